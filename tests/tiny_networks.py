"""Networks that a test can train in a second: all parts of GLOWDeblur, as small as they get."""

from pathlib import Path

from unblur.models import (
    GlowConfig,
    MotionEstimatorConfig,
    NAFNetConfig,
    PreReconstructionConfig,
    SemanticPriorConfig,
)
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.linear_dit import LinearDiTConfig
from unblur.models.motion_guidance import MOTION_CHANNELS
from unblur.models.semantic_guidance import SemanticGuidanceConfig

LATENTS = 4

NAFNET = NAFNetConfig(width=4, encoder_blocks=(1, 1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1, 1), stem_stride=2)
PRIOR = SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), fusion_channels=8)
DENOISER = LinearDiTConfig(
    width=16,
    blocks=2,
    self_heads=2,
    cross_heads=2,
    token_channels=16,
    latent_channels=LATENTS,
    condition_channels=LATENTS + MOTION_CHANNELS,
)
GLOW = GlowConfig(
    denoiser=DENOISER,
    pre_reconstruction=PreReconstructionConfig(nafnet=NAFNET, align_channels=4, latent_channels=LATENTS),
    motion=MotionEstimatorConfig(channels=(4, 6, 8, 8), blocks=(1, 1, 1, 1)),
    semantics=SemanticGuidanceConfig(prior=PRIOR, regions=2),
)


def save_text_encoder(folder: Path, channels: int = 16) -> Path:
    """Save a text model of random weights with a tokenizer that knows four words, and return its folder."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers

    torch.manual_seed(0)
    sizes = {"vocab_size": 8, "hidden_size": channels, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.BertModel(transformers.BertConfig(**sizes, intermediate_size=channels)).save_pretrained(folder)
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "a": 2, "red": 3, "blue": 4, "bus": 5}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]")
    tokenizer.save_pretrained(folder)
    return folder


def save_captioner(folder: Path) -> Path:
    """Save a BLIP of random weights that knows a few words, and return its folder."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

    torch.manual_seed(3)
    small = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {"vocab_size": 8, "encoder_hidden_size": 16, "bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2}
    config = transformers.BlipConfig(
        vision_config=small | {"image_size": 32, "patch_size": 16},
        text_config=small | text | {"pad_token_id": 0, "max_position_embeddings": 256},
        projection_dim=8,
        image_text_hidden_size=8,
    )
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    words = {"<pad>": 0, "<bos>": 1, "<eos>": 2, "<unk>": 3, "a": 4, "red": 5, "blue": 6, "bus": 7}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", unk_token="<unk>"
    )
    images = BlipImageProcessorPil(size={"height": 32, "width": 32})
    transformers.BlipProcessor(images, tokenizer).save_pretrained(folder)
    return folder


def save_sana(folder: Path) -> Path:
    """Save a SANA transformer of diffusers with random weights and the sizes of `DENOISER`, and return its folder."""
    import diffusers
    import torch

    torch.manual_seed(0)
    sana = diffusers.SanaTransformer2DModel(
        in_channels=LATENTS,
        out_channels=LATENTS,
        num_layers=DENOISER.blocks,
        num_attention_heads=DENOISER.self_heads,
        attention_head_dim=DENOISER.width // DENOISER.self_heads,
        num_cross_attention_heads=DENOISER.cross_heads,
        cross_attention_head_dim=DENOISER.width // DENOISER.cross_heads,
        cross_attention_dim=DENOISER.width,
        caption_channels=DENOISER.token_channels,
        mlp_ratio=DENOISER.ffn_ratio,
        patch_size=1,
        sample_size=2,
    )
    sana.save_pretrained(folder)
    return folder


def save_dc_autoencoder(folder: Path) -> Path:
    """Save an AutoencoderDC of diffusers with random weights and `LATENTS` channels, and return its folder."""
    import diffusers
    import torch

    torch.manual_seed(0)
    stages = ("ResBlock",) * 6
    autoencoder = diffusers.AutoencoderDC(
        latent_channels=LATENTS,
        encoder_block_types=stages,
        decoder_block_types=stages,
        encoder_block_out_channels=(4, 4, 8, 8, 16, 16),
        decoder_block_out_channels=(4, 4, 8, 8, 16, 16),
        encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6,
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        scaling_factor=0.41407,
    )
    autoencoder.save_pretrained(folder)
    return folder


def save_pipeline(folder: Path) -> Path:
    """Save a pipeline of diffusers as SANA's, with random weights: transformer, vae, text_encoder and tokenizer.

    The transformer has the sizes of `DENOISER`, the vae as many latents, and the text encoder as many channels.
    """
    save_sana(folder / "transformer")
    save_dc_autoencoder(folder / "vae")
    save_text_encoder(folder / "text", DENOISER.token_channels)
    (folder / "text").rename(folder / "text_encoder")
    (folder / "tokenizer").mkdir()
    for file in (folder / "text_encoder").glob("tokenizer*"):
        file.rename(folder / "tokenizer" / file.name)
    return folder
