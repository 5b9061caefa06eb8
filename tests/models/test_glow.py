"""GLOWDeblur as a whole: what reaches the denoiser, what can be withheld, and what comes out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_networks import GLOW, LATENTS
from torch import Tensor, nn

from unblur.blur.undirected import to_undirected
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, load_checkpoint, save_checkpoint
from unblur.config import from_json, to_json
from unblur.models import GlowConfig, GlowDeblur, GlowRestorer, build
from unblur.models.flow import add_noise, sample_sigmas, velocity_target
from unblur.models.glow import Conditions
from unblur.models.glow_sizes import glow
from unblur.models.latent_noise import sample_latent_noise
from unblur.models.motion_guidance import MOTION_CHANNELS, compute_motion_map
from unblur.models.padding import reflect_to_multiple
from unblur.models.pre_reconstruction import PreReconstruction, PreReconstructionConfig
from unblur.models.samplers import Sampling
from unblur.models.semantic_guidance import SemanticGuidanceConfig
from unblur.models.tokens import Tokens, select_tokens
from unblur.seeds import make_generator

pytestmark = pytest.mark.slow  # Loading diffusers alone takes seconds.


def lively(config: GlowConfig = GLOW) -> GlowDeblur:
    """Return a network with random weights where training begins with zeros."""
    torch.manual_seed(0)
    network = GlowDeblur(config)
    for name, parameter in network.named_parameters():
        if parameter.abs().max() == 0 or "tokens.norm" in name:
            nn.init.normal_(parameter, std=0.3)
    return network.eval()


class Enlarged(nn.Module):
    """A decoder that shows the first three channels of latents."""

    def forward(self, latents: Tensor) -> Tensor:
        return F.interpolate(latents[:, :3], scale_factor=32.0)


def every(batch: int, used: bool) -> Tensor:
    return torch.full((batch,), used)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 160)])
def test_conditions_lie_on_the_grid_of_latents(height: int, width: int) -> None:
    network = lively()
    with torch.no_grad():
        conditions = network(torch.rand(2, 3, height, width))
    assert conditions.restored.shape == (2, 3, height, width)
    assert conditions.aligned.shape == (2, LATENTS, height // 32, width // 32)
    assert conditions.motion.shape == (2, MOTION_CHANNELS, height // 32, width // 32)
    assert conditions.tokens.values.shape == (2, 4, 16)
    noisy = torch.randn(2, LATENTS, height // 32, width // 32)
    assert network.predict_velocity(noisy, torch.rand(2), conditions).shape == noisy.shape


def test_the_velocity_depends_on_every_condition() -> None:
    network = lively()
    with torch.no_grad():
        conditions = network(torch.rand(2, 3, 64, 64))
        noisy, sigma = torch.randn(2, LATENTS, 2, 2), torch.rand(2)
        known = network.predict_velocity(noisy, sigma, conditions)
        others = [
            replace(conditions, aligned=conditions.aligned + 1),
            replace(conditions, motion=conditions.motion + 1),
            replace(conditions, tokens=Tokens(conditions.tokens.values.flip(2), conditions.tokens.mask)),
            network.drop_conditions(conditions, every(2, False), every(2, True)),
            network.drop_conditions(conditions, every(2, True), every(2, False)),
        ]
        assert not any(
            torch.allclose(network.predict_velocity(noisy, sigma, other), known, atol=1e-5) for other in others
        )
        whole = network.drop_conditions(conditions, every(2, True), every(2, True))
        assert torch.equal(network.predict_velocity(noisy, sigma, whole), known)


def test_conditions_are_dropped_for_single_examples() -> None:
    network, blurry = lively(), torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        conditions = network(blurry)
        mixed = network.drop_conditions(conditions, torch.tensor([False, True]), torch.tensor([True, False]))
        noisy, sigma = torch.randn(2, LATENTS, 2, 2), torch.rand(2)
        answer = network.predict_velocity(noisy, sigma, mixed)
        for index, (motion, semantics) in enumerate([(False, True), (True, False)]):
            alone = network.drop_conditions(network(blurry[index : index + 1]), every(1, motion), every(1, semantics))
            expected = network.predict_velocity(noisy[index : index + 1], sigma[index : index + 1], alone)
            torch.testing.assert_close(answer[index : index + 1], expected, atol=1e-5, rtol=1e-4)


def test_dropped_tokens_do_not_depend_on_the_photograph() -> None:
    network = lively()
    with torch.no_grad():
        one, other = (
            network.drop_conditions(network(torch.rand(1, 3, 32, 64)), every(1, True), every(1, False)) for _ in "ab"
        )
    assert torch.equal(one.tokens.values, other.tokens.values)
    assert one.tokens.mask.tolist() == other.tokens.mask.tolist() == [[True, False, False, False]]


def test_captions_take_the_place_of_regions() -> None:
    network = lively()
    captions = Tokens(torch.randn(1, 7, 16), torch.ones(1, 7, dtype=torch.bool))
    with torch.no_grad():
        assert torch.equal(network(torch.rand(1, 3, 32, 32), captions).tokens.values, captions.values)


def test_a_network_of_captions_alone_has_its_null_token_without_one() -> None:
    config = replace(GLOW, tokens="captions")
    torch.manual_seed(0)
    network = GlowDeblur(config).eval()
    blurry = torch.rand(1, 3, 32, 32)
    tokens = GlowRestorer(network, Enlarged()).compute_conditions(blurry).tokens
    assert torch.equal(tokens.values[0, 0], network.semantic_guidance.null_token)
    assert tokens.mask.sum() == 1
    caption = Tokens(torch.randn(1, 3, 16), torch.ones(1, 3, dtype=torch.bool))
    assert torch.equal(
        GlowRestorer(network, Enlarged(), caption=caption).compute_conditions(blurry).tokens.values, caption.values
    )


def test_selected_tokens_are_those_of_each_example_with_padding() -> None:
    first = Tokens(torch.randn(2, 3, 5), torch.tensor([[True, True, False], [True, True, True]]))
    second = Tokens(torch.randn(2, 4, 5), torch.ones(2, 4, dtype=torch.bool))
    selected = select_tokens(torch.tensor([True, False]), first, second)
    assert selected.mask.tolist() == [[True, True, False, False], [True] * 4]
    assert torch.equal(selected.values[0, :3], first.values[0])
    assert torch.equal(selected.values[1], second.values[1])


def test_tokens_depend_on_content_and_position() -> None:
    network, blurry = lively(), torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        before = network.semantic_guidance(blurry, blurry).values
        blurry[..., :32, 96:] = 0
        change = (network.semantic_guidance(blurry, blurry).values - before).abs().mean(dim=2)[0]
    assert change.argmax() == 1  # the upper right of 2 x 2
    assert not torch.allclose(before[0, 0], before[0, 3])


def test_a_two_pass_prior_gets_the_restored_image() -> None:
    prior = replace(GLOW.semantics.prior, two_pass=True)
    network = GlowDeblur(replace(GLOW, semantics=replace(GLOW.semantics, prior=prior)))
    for delta_gate in network.semantic_guidance.prior.delta_gate:
        torch.nn.init.constant_(delta_gate, 0.5)
    shown: list[torch.Tensor] = []
    network.semantic_guidance.prior.register_forward_pre_hook(lambda _, pictures: shown.extend(pictures))
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        conditions = network(blurry)
    assert torch.equal(shown[0], blurry)
    assert torch.equal(shown[1], conditions.restored)


def test_the_motion_map_holds_paths_and_their_lengths() -> None:
    start = torch.randn(1, 2, 8, 12) * 10
    end = torch.randn(1, 2, 8, 12) * 10
    drop_conditions = compute_motion_map(to_undirected(start, end))[0]
    assert drop_conditions.shape == (MOTION_CHANNELS, 2, 3)
    place = (slice(4, 8), slice(8, 12))
    middle = ((start + end) / 2)[0][:, place[0], place[1]].mean(dim=(1, 2))
    length = (end - start)[0][:, place[0], place[1]].norm(dim=0).mean()
    torch.testing.assert_close(drop_conditions[:2, 1, 2], middle / 32)
    torch.testing.assert_close(drop_conditions[4, 1, 2], length / 32)
    assert bool((drop_conditions[5] == 1).all())
    # The map does not distinguish the start from the end.
    torch.testing.assert_close(compute_motion_map(to_undirected(end, start))[0], drop_conditions)


def test_the_first_restoration_begins_as_the_bundled_network() -> None:
    bundled = load_checkpoint(BUNDLED_FAITHFUL)
    network = PreReconstruction(PreReconstructionConfig(nafnet=bundled.config)).eval()  # type: ignore[arg-type]
    network.nafnet.load_state_dict(bundled.model.state_dict())
    blurry = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        restored, aligned = network(blurry)
        assert torch.equal(restored, bundled.model(blurry))
    assert aligned.shape == (1, 32, 2, 3)
    assert glow("small").pre_reconstruction == PreReconstructionConfig(nafnet=bundled.config)  # type: ignore[arg-type]


def loss_of(network: GlowDeblur, blurry: Tensor, sharp: Tensor, clean: Tensor, seed: int) -> Tensor:
    """A step of training: docs/explain/glowdeblur.md."""
    batch = len(blurry)
    conditions: Conditions = network(blurry)
    masked = network.drop_conditions(
        conditions, *(torch.rand(2, batch, generator=make_generator(seed, "masks")) >= 0.1)
    )
    sigma = sample_sigmas(batch, make_generator(seed, "sigma"))
    noise = torch.randn(clean.shape, generator=make_generator(seed, "noise"))
    velocity = network.predict_velocity(add_noise(clean, noise, sigma), sigma, masked)
    aligned = F.mse_loss(conditions.aligned, clean)
    restored = F.mse_loss(conditions.restored, sharp)
    return F.mse_loss(velocity, velocity_target(clean, noise)) + aligned + restored


def test_every_parameter_that_is_not_frozen_has_a_gradient_and_no_other() -> None:
    network = lively()
    blurry, clean = torch.rand(12, 3, 64, 64), torch.randn(12, LATENTS, 2, 2)
    loss_of(network, blurry, blurry.flip(0), clean, seed=2).backward()
    frozen = ("motion_guidance.estimator.", "semantic_guidance.prior.")
    for name, parameter in network.named_parameters():
        if name.startswith(frozen):
            assert not parameter.requires_grad, name
        # A bias of all keys shifts all scores of a place alike, which softmax does not notice.
        elif not name.endswith("cross_attention.key.bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().max() > 0, name


def test_training_improves_on_the_mean_velocity() -> None:
    """Latents that the blurry photograph tells: the velocity is soon found better than by its mean, which gets 1."""
    torch.manual_seed(0)
    network = GlowDeblur(GLOW)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=5e-3)
    losses = []
    for step in range(40):
        blurry = torch.rand(8, 3, 1, 1, generator=make_generator(step, "photograph")).expand(-1, -1, 32, 32)
        clean = torch.cat((blurry, blurry[:, :1]), dim=1)[..., :1, :1] * 4 - 2
        loss = loss_of(network, blurry, blurry, clean, step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-10:]) < 0.6 * sum(losses[:10])


@pytest.mark.parametrize("solver", ["dpm", "euler"])
@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 70), (64, 32)])
def test_any_photograph_is_restored_and_the_same_again(solver: str, height: int, width: int) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    sampling = Sampling(solver=solver, steps=2)  # type: ignore[arg-type]
    blurry = torch.rand(2, 3, height, width)
    restorers = [GlowRestorer(lively(), Enlarged(), sampling, seed=seed) for seed in (1, 1, 2)]
    restored = [restorer(blurry) for restorer in restorers]
    assert restored[0].shape == blurry.shape
    assert torch.equal(restored[0], restored[1])
    assert not torch.equal(restored[0], restored[2])
    # What else is in the batch does not matter.
    torch.testing.assert_close(restorers[0](blurry[1:]), restored[0][1:], atol=1e-4, rtol=1e-4)


def test_latents_begin_with_the_noise_of_their_seed() -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    network = GlowDeblur(GLOW)  # without a velocity, so that what comes out is the beginning
    with torch.no_grad():
        conditions = network(torch.rand(2, 3, 64, 32))
        latents = network.sample_latents(conditions, Sampling(steps=2), seed=5)
    noise = sample_latent_noise(5, latents.shape[1], range(2), range(1))
    torch.testing.assert_close(latents, noise.expand_as(latents))


def test_a_restorer_drops_conditions_that_are_switched_off() -> None:
    caption = Tokens(torch.randn(1, 3, 16), torch.tensor([[True, True, False]]))
    blurry = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        drop_conditions = GlowRestorer(lively(), Enlarged(), caption=caption).compute_conditions(blurry)
        silent = GlowRestorer(lively(), Enlarged(), caption=caption, motion=False, semantics=False).compute_conditions(
            blurry
        )
    assert torch.equal(drop_conditions.tokens.values, caption.values.expand(2, -1, -1))
    assert drop_conditions.motion[:, 5].min() == 1
    assert silent.motion.abs().max() == 0
    assert silent.tokens.mask.tolist() == [[True, False, False]] * 2


def test_bfloat16_is_near_float32() -> None:
    network, blurry = lively(), torch.rand(1, 3, 64, 64)
    noisy, sigma = torch.randn(1, LATENTS, 2, 2), torch.tensor([0.5])
    with torch.no_grad():
        exact = network.predict_velocity(noisy, sigma, network(blurry))
        with torch.autocast("cpu", torch.bfloat16):
            mixed = network.predict_velocity(noisy, sigma, network(blurry))
            network.bfloat16()
            halved = network.predict_velocity(noisy, sigma, network(blurry))
    for rounded in (mixed, halved):
        assert (rounded.float() - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_saved_and_loaded_equal(tmp_path: Path) -> None:
    network = lively()
    save_checkpoint(tmp_path, network, GLOW, train_patch_px=64, card="# tiny\n", dtype=torch.float32)
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.config == GLOW == from_json(to_json(GLOW), GlowConfig)
    assert isinstance(build(GLOW), GlowDeblur)
    blurry, noisy, sigma = torch.rand(1, 3, 32, 64), torch.randn(1, LATENTS, 1, 2), torch.rand(1)
    with torch.no_grad():
        one, other = (model.predict_velocity(noisy, sigma, model(blurry)) for model in (network, checkpoint.model))  # type: ignore[operator]
    assert torch.equal(one, other)


@pytest.mark.parametrize("side", [1, 2, 31, 33, 70])
def test_mirrored_sides_are_those_of_numpy(side: int) -> None:
    x = torch.rand(1, 2, side, 40)
    expected = np.pad(x.numpy(), ((0, 0), (0, 0), (0, -side % 32), (0, 24)), mode="reflect")
    assert np.array_equal(reflect_to_multiple(x, 32).numpy(), expected)


def test_parts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="needs 10 condition channels, not 9"):
        replace(GLOW, denoiser=replace(GLOW.denoiser, condition_channels=9))
    first = GLOW.pre_reconstruction
    assert first is not None
    with pytest.raises(ValueError, match="must agree on latents"):
        replace(GLOW, pre_reconstruction=replace(first, latent_channels=LATENTS + 1))
    with pytest.raises(ValueError, match="needs the latents of the blurry photograph"):
        GlowDeblur(replace(GLOW, pre_reconstruction=None))(torch.rand(1, 3, 32, 32))
    with pytest.raises(ValueError, match="stride 32, not 16"):
        PreReconstructionConfig(nafnet=replace(first.nafnet, stem_stride=1))
    with pytest.raises(ValueError, match="at least one region"):
        SemanticGuidanceConfig(regions=0)
