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
