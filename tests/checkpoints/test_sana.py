"""SANA's transformer and DC-AE as diffusers itself writes them: the same answers, and conditions that begin silent."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from unblur.checkpoints.dc_autoencoder import load_dc_autoencoder
from unblur.checkpoints.sana import load_sana
from unblur.errors import UnblurError
from unblur.models.dc_autoencoder import SANA_SCALING_FACTOR, build_sana_autoencoder
from unblur.models.tokens import Tokens

diffusers = pytest.importorskip("diffusers", reason="needs the extra `generative`")

SIZES = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 3,
    "attention_head_dim": 8,
    "num_layers": 3,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 12,
    "cross_attention_dim": 24,
    "caption_channels": 10,
}


def tiny_sana(**other: Any) -> Any:
    torch.manual_seed(0)
    network = diffusers.SanaTransformer2DModel(**SIZES | other).eval()
    # As in the published weights, words are to be heard.
    torch.nn.init.normal_(network.caption_norm.weight)
    return network


def tiny_autoencoder() -> Any:
    torch.manual_seed(0)
    stages = ("ResBlock",) * 4 + ("EfficientViTBlock",) * 2
    return diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_types=stages,
        decoder_block_types=stages,
        encoder_block_out_channels=(4, 4, 8, 8, 16, 16),
        decoder_block_out_channels=(4, 4, 8, 8, 16, 16),
        encoder_layers_per_block=(1, 1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1, 1),
        encoder_qkv_multiscales=((), (), (), (), (5,), (5,)),
        decoder_qkv_multiscales=((), (), (), (), (5,), (5,)),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
        scaling_factor=0.41407,
    ).eval()


def test_the_transformer_equals_that_of_diffusers_even_in_shards_and_in_a_pipeline(tmp_path: Path) -> None:
    theirs = tiny_sana()
    theirs.save_pretrained(tmp_path / "whole")
    theirs.save_pretrained(tmp_path / "pipeline" / "transformer", max_shard_size="60KB")
    shards = sorted((tmp_path / "pipeline" / "transformer").glob("*.safetensors"))
    assert len(shards) > 1
    noisy, sigma = torch.randn(2, 4, 3, 5), torch.tensor([0.13, 0.9])
    values, mask = torch.randn(2, 6, 10), torch.tensor([[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1]])
    with torch.no_grad():
        expected = theirs(noisy, values, 1000 * sigma, encoder_attention_mask=mask).sample
        for source in ("whole", "pipeline"):
            ours = load_sana(tmp_path / source)
            answer = ours(noisy, sigma, Tokens(values, mask.bool()))
            torch.testing.assert_close(answer, expected, atol=1e-5, rtol=1e-5)
    shards[0].unlink()
    with pytest.raises(UnblurError, match="lacks weights"):
        load_sana(tmp_path / "pipeline")


def test_new_condition_channels_are_zero_initialised_and_trainable(tmp_path: Path) -> None:
    tiny_sana().save_pretrained(tmp_path)
    alone, conditioned = load_sana(tmp_path), load_sana(tmp_path, condition_channels=7)
    noisy, sigma = torch.randn(2, 4, 3, 5), torch.rand(2)
    tokens = Tokens(torch.randn(2, 6, 10), torch.ones(2, 6, dtype=torch.bool))
    conditions = torch.randn(2, 7, 3, 5)
    joined = torch.cat((noisy, conditions), dim=1)
    assert torch.equal(conditioned(joined, sigma, tokens), alone(noisy, sigma, tokens))
    conditioned(joined, sigma, tokens).square().mean().backward()
    torch.optim.SGD(conditioned.parameters(), lr=0.1).step()
    other = torch.cat((noisy, conditions + 1), dim=1)
    assert not torch.equal(conditioned(joined, sigma, tokens), conditioned(other, sigma, tokens))


def test_half_precision_is_read_as_float32(tmp_path: Path) -> None:
    tiny_sana().half().save_pretrained(tmp_path)
    assert {parameter.dtype for parameter in load_sana(tmp_path).parameters()} == {torch.float32}


def test_the_autoencoder_is_that_of_diffusers_with_its_factor_and_any_size(tmp_path: Path) -> None:
    theirs = tiny_autoencoder()
    theirs.save_pretrained(tmp_path / "vae")
    encoder, decoder = load_dc_autoencoder(tmp_path)
    photo = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        latents = theirs.encode(photo * 2 - 1).latent
        torch.testing.assert_close(encoder(photo), latents * 0.41407)
        torch.testing.assert_close(decoder(latents * 0.41407), (theirs.decode(latents).sample + 1) / 2)
        # Mirrored to 64 x 96, so the same as of the mirrored photograph.
        odd = photo[..., :50, :90]
        mirrored = torch.nn.functional.pad(odd, (0, 6, 0, 14), mode="reflect")
        torch.testing.assert_close(encoder(odd), encoder(mirrored))
    assert not any(parameter.requires_grad for half in (encoder, decoder) for parameter in half.parameters())


def test_the_published_autoencoder_has_the_published_size() -> None:
    """About 312 million parameters."""
    with torch.device("meta"):
        halves = build_sana_autoencoder()
    assert round(sum(p.numel() for half in halves for p in half.parameters()) / 1e6) == 312
    assert halves[0].scaling_factor == halves[1].scaling_factor == SANA_SCALING_FACTOR


def test_missing_files_and_other_networks_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="There is no folder"):
        load_sana(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnblurError, match=r"no config\.json"):
        load_sana(tmp_path / "empty")
    tiny_autoencoder().save_pretrained(tmp_path / "vae")
    with pytest.raises(UnblurError, match="of the kind AutoencoderDC"):
        load_sana(tmp_path / "vae")
    tiny_sana().save_pretrained(tmp_path / "sana")
    with pytest.raises(UnblurError, match="of the kind SanaTransformer2DModel"):
        load_dc_autoencoder(tmp_path / "sana")
    weights = tmp_path / "sana" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-50])
    with pytest.raises(UnblurError, match="damaged"):
        load_sana(tmp_path / "sana")
    weights.unlink()
    with pytest.raises(UnblurError, match="lacks weights"):
        load_sana(tmp_path / "sana")


@pytest.mark.parametrize(
    ("entry", "value", "complaint"),
    [
        ("qk_norm", "rms_norm_across_heads", "another kind"),
        ("num_layers", 4, "19 entries missing"),
        ("num_layers", "many", "num_layers"),
        ("cross_attention_dim", 12, "widths differ"),
        ("mlp_ratio", None, "mlp_ratio"),
        ("caption_channels", 11, "instead of"),
    ],
)
def test_an_unsuitable_configuration_is_refused_in_one_sentence(
    tmp_path: Path, entry: str, value: object, complaint: str
) -> None:
    tiny_sana().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {entry: value}))
    with pytest.raises(UnblurError, match=complaint):
        load_sana(tmp_path)


@pytest.mark.parametrize(("entry", "value"), [("scaling_factor", None), ("encoder_block_types", ["Nothing"] * 6)])
def test_an_invalid_autoencoder_is_refused_in_one_sentence(tmp_path: Path, entry: str, value: object) -> None:
    tiny_autoencoder().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {entry: value}))
    with pytest.raises(UnblurError, match=r"scaling_factor|cannot build"):
        load_dc_autoencoder(tmp_path)
