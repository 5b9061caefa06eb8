"""Host networks of the prior: published parameter counts, and laws that hold for all of them."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.config import from_json, to_json
from unblur.models import (
    MIMOUNetConfig,
    MPRNetConfig,
    MultiOutput,
    NAFNetConfig,
    RestorerConfig,
    RestormerConfig,
    UNetConfig,
    build,
)
from unblur.models.mprnet import join_halves, split_in_halves
from unblur.models.pooling import use_local_pooling
from unblur.restoration.loading import load

UNET = UNetConfig(channels=(4, 6, 8), blocks=1)
FAST_UNET = UNetConfig(channels=(4, 6), blocks=1, stem_stride=2, expanded=12)
MIMO = MIMOUNetConfig(width=4, blocks=1, dropout=0.1)
MPR = MPRNetConfig(width=8, widening=4, detail_widening=4, detail_blocks=1, reduction=1)
RESTORMER = RestormerConfig(width=8, blocks=(1, 1, 1), heads=(1, 2, 4), refinement_blocks=1)
NAF = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)

hosts = pytest.mark.parametrize(
    "config",
    [UNET, pytest.param(FAST_UNET, id="fast UNet"), MIMO, MPR, RESTORMER],
    ids=lambda config: type(config).__name__,
)
multi_output_hosts = pytest.mark.parametrize("config", [MIMO, MPR], ids=lambda config: type(config).__name__)


def awake(config: RestorerConfig) -> torch.nn.Module:
    """Last layers start at 0, which hides all before them; everything is given seeded values."""
    generator = torch.Generator().manual_seed(0)
    model = build(config).eval()
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 4:
            parameter.data = noise * 0.7 / parameter[0].numel() ** 0.5
        else:
            # Weights of norms, slopes and temperatures start at a number of their own, biases at random.
            parameter.data = noise * 0.1 + (0 if name.endswith("bias") else parameter.data)
    return model


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("config", "published_millions", "counted"),
    [
        # Millions as papers compare them (Stripformer, HI-Diff); counts by building the authors' own networks, at the
        # commits that tests/checkpoints/test_foreign.py names.
        pytest.param(MIMOUNetConfig(), 6.8, 6_807_171, id="MIMO-UNet"),
        pytest.param(MIMOUNetConfig(blocks=20, dropout=0.1), 16.1, 16_107_651, id="MIMO-UNet+"),
        # One slope for each of 55 blocks instead of one for all of them.
        pytest.param(MPRNetConfig(), 20.1, 20_127_073 + 54, id="MPRNet"),
        pytest.param(RestormerConfig(), 26.1, 26_126_644, id="Restormer"),
    ],
)
def test_parameter_counts_of_the_published_networks(
    config: RestorerConfig, published_millions: float, counted: int
) -> None:
    with torch.device("meta"):
        count = sum(p.numel() for p in build(config).parameters())
    assert (round(count / 1e6, 1), count) == (published_millions, counted)


def test_parameter_count_of_a_unet_by_hand() -> None:
    def convolution(channels_in: int, channels: int, side: int) -> int:
        return (channels_in * side**2 + 1) * channels

    by_hand = convolution(3, 4, 3) + 2 * 2 * convolution(4, 4, 3) + convolution(4, 6, 3)
    by_hand += 2 * convolution(6, 6, 3)
    by_hand += convolution(6, 4, 2) + convolution(8, 4, 1) + convolution(4, 3, 3)
    assert sum(p.numel() for p in build(UNetConfig(channels=(4, 6), blocks=1)).parameters()) == by_hand


@hosts
@pytest.mark.parametrize("size", [(1, 1), (1, 18), (17, 15)])
def test_any_size_comes_back_in_its_size(config: RestorerConfig, size: tuple[int, int]) -> None:
    blurry = picture(2, 3, *size)
    with torch.no_grad():
        restored = awake(config)(blurry)
    assert restored.shape == blurry.shape
    assert bool(restored.isfinite().all())


@hosts
def test_training_begins_at_the_identity(config: RestorerConfig) -> None:
    blurry = picture(1, 3, 19, 22)
    model = build(config)
    assert torch.equal(model(blurry), blurry)
    for output in model.restore_all(blurry) if isinstance(model, MultiOutput) else ():
        stride = round(22 / output.shape[3])
        assert torch.equal(output, blurry[..., ::stride, ::stride])


@hosts
def test_padding_replicates_the_edge_and_is_cut_off(config: RestorerConfig) -> None:
    model = awake(config)
    blurry = picture(1, 3, 14, 21)
    with torch.no_grad():
        padded_by_hand = F.pad(blurry, (0, 3, 0, 2), mode="replicate")
        torch.testing.assert_close(model(blurry), model(padded_by_hand)[..., :14, :21])


@multi_output_hosts
def test_the_last_output_is_the_restored_photograph(config: RestorerConfig) -> None:
    model = awake(config)
    assert isinstance(model, MultiOutput)
    blurry = picture(1, 3, 21, 14)
    with torch.no_grad():
        outputs = model.restore_all(blurry)
        assert torch.equal(outputs[-1], model(blurry))
    assert len(outputs) == 3
    for output in outputs:
        stride = round(21 / output.shape[2])
        assert output.shape == (1, 3, -(-21 // stride), -(-14 // stride))
    # Each is a picture of its own.
    for earlier, later in pairwise(outputs):
        assert not torch.allclose(F.interpolate(earlier, later.shape[2:]), later, atol=1e-3)


def test_networks_with_one_output_do_not_claim_more() -> None:
    assert not any(isinstance(build(config), MultiOutput) for config in (UNET, RESTORMER, NAF))


@hosts
def test_a_loss_over_all_outputs_reaches_every_parameter(config: RestorerConfig) -> None:
    model = awake(config)
    blurry, sharp = picture(1, 3, 16, 24), picture(1, 3, 16, 24).flip(3)
    outputs = model.restore_all(blurry) if isinstance(model, MultiOutput) else [model(blurry)]
    torch.stack([F.l1_loss(output, F.interpolate(sharp, output.shape[2:])) for output in outputs]).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not bool(p.grad.abs().sum() > 0)]
    assert not without


@hosts
def test_bfloat16_stays_close_to_float32(config: RestorerConfig) -> None:
    model = awake(config)
    blurry = picture(1, 3, 32, 32)
    with torch.no_grad():
        full = model(blurry)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(blurry)
    assert half.dtype == torch.float32
    assert (half - full).abs().mean() < 0.02 * (full - blurry).abs().mean()


@hosts
def test_saved_and_loaded_equal(config: RestorerConfig, tmp_path: Path) -> None:
    model = awake(config)
    save_checkpoint(tmp_path, model, config, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.config == config
    blurry = picture(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(checkpoint.model(blurry), model(blurry))


@hosts
def test_a_config_survives_json(config: RestorerConfig) -> None:
    text = to_json(config, RestorerConfig)
    assert f'"kind": "{type(config).__name__}"' in text
    assert from_json(text, RestorerConfig) == config  # type: ignore[arg-type]


@hosts
def test_a_checkpoint_restores_an_array(config: RestorerConfig, tmp_path: Path) -> None:
    save_checkpoint(tmp_path, build(config), config, train_patch_px=64, card="# tiny\n")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    # A fresh network is the identity, through all of reading, cutting and blending.
    np.testing.assert_array_equal(load(tmp_path, device="cpu").restore(pixels), pixels)


@pytest.mark.parametrize(
    "config", [UNET, MIMO, MPR, RESTORMER, RestormerConfig(width=4, blocks=(1, 1), heads=(1, 1)), NAF]
)
def test_decoder_scales_are_what_the_decoder_is_given(config: RestorerConfig) -> None:
    model = build(config)
    decoders = model.decoder2.levels if isinstance(config, MPRNetConfig) else model.decoders
    given: list[tuple[int, int]] = []
    for decoder in decoders:
        decoder.register_forward_pre_hook(
            lambda _, inputs: given.append((48 // inputs[0].shape[3], inputs[0].shape[1]))
        )
    with torch.no_grad():
        model(picture(1, 3, 32, 48))
    assert [(scale.stride_px, scale.channels) for scale in model.decoder_scales] == given


@pytest.mark.parametrize("config", [UNET, MIMO], ids=lambda config: type(config).__name__)
def test_a_tile_equals_the_whole_beyond_the_reach_of_convolutions(config: RestorerConfig) -> None:
    model = awake(config)
    blurry = picture(1, 3, 8, 256)
    with torch.no_grad():
        torch.testing.assert_close(model(blurry[..., :160])[..., :64], model(blurry)[..., :64])


def test_local_pooling_limits_the_receptive_field_of_mprnet() -> None:
    model = awake(MPRNetConfig(width=4, widening=0, detail_widening=0, detail_blocks=1))
    blurry = picture(1, 3, 8, 512)
    changed = blurry.clone()
    changed[..., :8] = 10
    with torch.no_grad():
        assert (model(blurry) - model(changed))[..., -8:].abs().max() > 1e-4
        use_local_pooling(model, 8)
        far, near = (model(blurry) - model(changed))[..., -8:], (model(blurry) - model(changed))[..., :8]
    assert far.abs().max() < 1e-6 < near.abs().max()


def test_halves_in_the_batch_come_back_in_their_places() -> None:
    x = picture(2, 3, 8, 12)
    halves = split_in_halves(x, 2)
    assert torch.equal(halves[2:], x[:, :, 4:])
    assert torch.equal(join_halves(join_halves(split_in_halves(halves, 3), 3), 2), x)


def test_dropout_of_mimo_unet_plus_acts_in_training_only() -> None:
    model = awake(MIMOUNetConfig(width=4, blocks=1, dropout=0.5))
    blurry = picture(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(model(blurry), model(blurry))
        model.train()
        assert not torch.equal(model(blurry), model(blurry))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda: UNetConfig(channels=(8,)), "two strides"),
        (lambda: MIMOUNetConfig(width=1), "at least 2"),
        (lambda: MIMOUNetConfig(dropout=1.0), "dropout"),
        (lambda: MPRNetConfig(width=3), "at least reduction"),
        (lambda: MPRNetConfig(widening=-1), "0 channels or more"),
        (lambda: RestormerConfig(blocks=(1, 1), heads=(1,)), "each with its blocks and heads"),
        (lambda: RestormerConfig(width=10, blocks=(1, 1), heads=(3, 4)), "divide among the heads"),
        (lambda: RestormerConfig(blocks=(0, 1), heads=(1, 1)), "positive"),
    ],
)
def test_an_invalid_config_is_refused(wrong, says) -> None:
    with pytest.raises(ValueError, match=says):
        wrong()
