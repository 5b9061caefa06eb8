"""Semantic prior embedding: untrained it changes nothing; trained, every part of it has an effect."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from unblur.checkpoints.folder import BUNDLED_FAITHFUL, load_checkpoint, save_checkpoint
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.models import (
    MIMOUNetConfig,
    MPRNetConfig,
    MultiOutput,
    NAFNetConfig,
    PriorConfig,
    RestorerConfig,
    RestormerConfig,
    SemanticPriorConfig,
    UNetConfig,
    build,
)
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.features import FeatureLevel
from unblur.models.host import DecoderScale
from unblur.models.pooling import use_local_pooling
from unblur.models.spe import MultiLevelAggregation, SemanticAttention

TINY = PriorConfig(
    network=SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), fusion_channels=8),
    channels=8,
    heads=2,
)
HOSTS = (
    UNetConfig(channels=(4, 6, 8), blocks=1),
    MIMOUNetConfig(width=4, blocks=1),
    MPRNetConfig(width=8, widening=4, detail_widening=4, detail_blocks=1, reduction=1),
    NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2),
    RestormerConfig(width=8, blocks=(1, 1, 1), heads=(1, 2, 4), refinement_blocks=1),
)
hosts = pytest.mark.parametrize("config", HOSTS, ids=lambda config: type(config).__name__)


def awake(config: RestorerConfig, *, conditioned: bool = True) -> torch.nn.Module:
    """Build a network without zeros, except those that exclude the prior unless it is `conditioned`."""
    generator = torch.Generator().manual_seed(0)
    model = build(config).eval()
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim == 4 and parameter.shape[2:] != (1, 1):
            parameter.data = noise * 0.7 / parameter[0].numel() ** 0.5
        elif not name.endswith("strength"):
            parameter.data = parameter.data + 0.1 * noise
        elif conditioned:
            parameter.data = noise
    return model


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@hosts
def test_plugging_a_prior_in_changes_nothing_bit_for_bit(config: RestorerConfig) -> None:
    torch.manual_seed(0)
    without = build(config)
    torch.manual_seed(0)
    plugged = build(replace(config, prior=TINY))
    # A host begins with the same random weights whether there is a prior or not.
    shared = plugged.state_dict()
    assert all(torch.equal(value, shared[name]) for name, value in without.state_dict().items())
    assert {name.split(".")[0] for name in shared.keys() - without.state_dict().keys()} == {"prior", "embeddings"}
    host = awake(config)
    plugged.load_state_dict(shared | host.state_dict())
    blurry = picture(2, 3, 45, 70)
    with torch.no_grad():
        expected = host(blurry)
        assert torch.equal(plugged.eval()(blurry), expected)
        assert not torch.allclose(expected, blurry)
        # The same for whatever the prior says.
        for name, parameter in plugged.named_parameters():
            if name.startswith(("prior.", "embeddings.")) and not name.endswith("strength"):
                parameter.copy_(torch.randn(parameter.shape) * 0.1)
        assert torch.equal(plugged(blurry), expected)


@hosts
def test_a_host_depends_on_the_prior_at_any_size(config: RestorerConfig) -> None:
    model = awake(replace(config, prior=TINY))
    for size in ((1, 1), (45, 70)):
        blurry = picture(1, 3, *size)
        with torch.no_grad():
            restored = model(blurry)
            assert restored.shape == blurry.shape
            model.get_submodule("prior.student.correct.1").bias[0] += 1
            heard = model(blurry)
        assert bool(restored.isfinite().all())
        if size != (1, 1):
            assert (heard - restored).abs().max() > 1e-5


@hosts
def test_the_restoration_loss_reaches_host_and_embedding_and_leaves_the_student_alone(config: RestorerConfig) -> None:
    model = awake(replace(config, prior=TINY)).train()
    blurry, sharp = picture(1, 3, 64, 96), picture(1, 3, 64, 96).flip(3)
    outputs = model.restore_all(blurry) if isinstance(model, MultiOutput) else [model(blurry)]
    torch.stack([F.l1_loss(output, F.interpolate(sharp, output.shape[2:])) for output in outputs]).sum().backward()
    for name, parameter in model.named_parameters():
        if name.startswith("prior.student."):
            assert not parameter.requires_grad
        else:
            assert parameter.grad is not None, name
            assert bool(parameter.grad.abs().sum() > 0), name


@hosts
def test_saved_and_loaded_equal(config: RestorerConfig, tmp_path: Path) -> None:
    config = replace(config, prior=TINY)
    assert from_json(to_json(config, RestorerConfig), RestorerConfig) == config  # type: ignore[arg-type]
    model = awake(config)
    save_checkpoint(tmp_path, model, config, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
    blurry = picture(1, 3, 40, 40)
    with torch.no_grad():
        assert torch.equal(load_checkpoint(tmp_path).model(blurry), model(blurry))


@hosts
def test_bfloat16_stays_close_to_float32(config: RestorerConfig) -> None:
    model = awake(replace(config, prior=TINY))
    blurry = picture(1, 3, 64, 64)
    with torch.no_grad():
        full = model(blurry)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(blurry)
    assert half.dtype == torch.float32
    assert (half - full).abs().mean() < 0.05 * (full - blurry).abs().mean()


def test_a_host_without_a_prior_is_what_it_was() -> None:
    """The bundled weights were saved before there were priors."""
    checkpoint = load_checkpoint(BUNDLED_FAITHFUL)
    assert checkpoint.config.prior is None  # type: ignore[union-attr]
    assert not any(name.startswith(("prior", "embeddings")) for name in checkpoint.model.state_dict())


def test_aggregation_lets_every_place_choose_its_level() -> None:
    levels = (FeatureLevel(stride_px=4, channels=2), FeatureLevel(stride_px=16, channels=3))
    layer = MultiLevelAggregation(levels, 2, 8)
    fine, coarse = picture(1, 2, 8, 8), picture(1, 3, 2, 2)
    torch.nn.init.zeros_(layer.weigh.weight)
    with torch.no_grad():
        layer.mix.weight.zero_()[:, :, 1, 1] = torch.eye(2)
        layer.mix.bias.zero_()
        # A mean where the level is finer, bilinear between the middles where it is coarser.
        reduced = [reduce(norm(x)) for reduce, norm, x in zip(layer.reduce, layer.norms, (fine, coarse), strict=True)]
        at_8 = [F.avg_pool2d(reduced[0], 2), F.interpolate(reduced[1], scale_factor=2, mode="bilinear")]
        for chosen in (0, 1):
            layer.weigh.bias.copy_(torch.tensor([50.0, -50.0]) * (1 - 2 * chosen))
            torch.testing.assert_close(layer([fine, coarse]), at_8[chosen])
        layer.weigh.bias.zero_()
        torch.testing.assert_close(layer([fine, coarse]), (at_8[0] + at_8[1]) / 2)


def test_attention_is_a_softmax_over_the_cosines_of_channels() -> None:
    config = PriorConfig(channels=6, heads=2)
    layer = SemanticAttention(DecoderScale(stride_px=8, channels=4), config)
    with torch.no_grad():
        layer.temperature.copy_(torch.tensor([1.0, 3.0]))
        query, key, value = torch.randn(3, 1, 6, 5, 7)
        mixed = layer.attend(query, key, value)
        for head, temperature in enumerate((1.0, 3.0)):
            channels = slice(3 * head, 3 * head + 3)
            asked, offered, content = (part[0, channels].flatten(1) for part in (query, key, value))
            cosines = F.cosine_similarity(asked[:, None], offered[None], dim=2)
            expected = (temperature * cosines).softmax(dim=1) @ content
            torch.testing.assert_close(mixed[0, channels].flatten(1), expected)


@pytest.mark.parametrize("ablated", [{"only_stride_px": 16}, {"attention": False}], ids=str)
def test_a_prior_with_a_part_left_out_is_a_prior(ablated: dict[str, int], tmp_path: Path) -> None:
    config = replace(HOSTS[0], prior=replace(TINY, **ablated))
    torch.manual_seed(0)
    host = build(HOSTS[0])
    torch.manual_seed(0)
    begun = build(config).state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in host.state_dict().items())
    model = awake(config)
    blurry = picture(1, 3, 64, 64)
    with torch.no_grad():
        restored = model(blurry)
        # The fused level of stride 4 receives no prior when only that of stride 16 does.
        model.get_submodule("prior.student.correct.0").bias.data += 1
        deaf = torch.equal(model(blurry), restored)
        model.get_submodule("prior.student.correct.2").bias.data[0] += 1
        assert (model(blurry) - restored).abs().max() > 1e-5
    assert deaf == ("only_stride_px" in ablated)
    weights = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    model(blurry).sum().backward()
    assert all(parameter.grad is not None for name, parameter in model.named_parameters() if name in weights)
    save_checkpoint(tmp_path, model, config, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
    assert load_checkpoint(tmp_path).config == config


def test_a_level_that_the_prior_lacks_is_one_sentence() -> None:
    with pytest.raises(UnblurError, match="no level at a stride of 3 px; its strides are 4, 8, 16, 32"):
        build(replace(HOSTS[0], prior=replace(TINY, only_stride_px=3)))


def test_with_local_pooling_a_tile_has_the_prior_of_the_whole() -> None:
    layer = awake_attention()
    x, prior = picture(1, 4, 6, 96), picture(1, 8, 6, 96).flip(3) - 0.5
    with torch.no_grad():
        everywhere = layer(x, prior)
        assert not torch.allclose(layer(x[..., :64], prior[..., :64])[..., :32], everywhere[..., :32], atol=1e-4)
        use_local_pooling(layer, 10_000)
        torch.testing.assert_close(layer(x, prior), everywhere)
        use_local_pooling(layer, 8 * 16)
        local = layer(x, prior)
        torch.testing.assert_close(layer(x[..., :64], prior[..., :64])[..., :48], local[..., :48])
        assert not torch.allclose(local, everywhere, atol=1e-4)


def awake_attention() -> SemanticAttention:
    torch.manual_seed(0)
    layer = SemanticAttention(DecoderScale(stride_px=8, channels=4), PriorConfig(channels=8, heads=2))
    torch.nn.init.ones_(layer.strength)
    torch.nn.init.constant_(layer.temperature, 5.0)
    return layer


def test_strides_off_the_grid_are_one_sentence() -> None:
    config = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=0, decoder_blocks=(1,), stem_stride=3, prior=TINY)
    with pytest.raises(UnblurError, match="not 3"):
        build(config)


@pytest.mark.parametrize("wrong", [{"scales": 0}, {"heads": 3, "channels": 8}, {"channels": 0, "heads": 0}])
def test_an_invalid_config_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        PriorConfig(**wrong)
