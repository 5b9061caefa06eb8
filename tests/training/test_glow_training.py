"""Learning GLOWDeblur: the loss by formula, what stays frozen, and a run that goes on as if nothing had been."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from former_names import former_json, make_former_run
from test_loop import TINY as RESTORER
from test_loop import KilledError, metrics, same_weights
from tiny_networks import GLOW, LATENTS, PRIOR, save_sana
from torch import nn

from unblur.app.cli import main
from unblur.blur import Camera
from unblur.checkpoints.folder import BUNDLED_FAITHFUL, BUNDLED_MOTION_ESTIMATOR, load_checkpoint, save_checkpoint
from unblur.checkpoints.latent_spaces import load_encoder
from unblur.checkpoints.old_names import restore_former_name
from unblur.checkpoints.sana import load_sana
from unblur.config import from_json, to_json
from unblur.datasets import Pair, PhotoFolder
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import (
    AutoencoderConfig,
    GlowConfig,
    GlowDeblur,
    GlowRestorer,
    LatentDecoderConfig,
    LatentEncoderConfig,
    MotionEstimatorConfig,
    MultiScaleConfig,
    PreReconstruction,
    PreReconstructionConfig,
    SemanticPriorConfig,
    build,
)
from unblur.models.glow_sizes import glow
from unblur.models.linear_dit import use_recomputation
from unblur.models.samplers import Sampling
from unblur.models.tiny_autoencoder import build_taesana_encoder
from unblur.models.tokens import Tokens
from unblur.recipes import find_recipe
from unblur.seeds import seed_for
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.objective_settings import GlowTraining
from unblur.training.objectives import cached_flow_matching
from unblur.training.objectives.build import build_objective
from unblur.training.objectives.flow_matching import FlowMatchingObjective
from unblur.training.objectives.objective import Objective
from unblur.training.objectives.pre_reconstruction import PreReconstructionObjective
from unblur.training.recipe import Recipe, Schedule, TrainingData
from unblur.training.step import take_step

# The motion estimator begins as the bundled one.
NETWORK = replace(GLOW, motion=MotionEstimatorConfig())
AUTOENCODER = AutoencoderConfig(
    encoder=LatentEncoderConfig(latent_channels=LATENTS, channels=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1)),
    decoder=LatentDecoderConfig(latent_channels=LATENTS, channels=(8, 8, 8, 8, 8), blocks=(1, 1, 1, 1, 1)),
)
TINY = Recipe(
    name="tiny-glow",
    model=NETWORK,
    objective=GlowTraining(),
    data=TrainingData(camera=Camera(extent_px=(2, 6)), sampling=PatchSampling(patch_px=64), workers=2),
    schedule=Schedule(steps=5, batch=2, warmup_steps=2),
    log_every=1,
    checkpoint_every=2,
)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """A checkpoint of an autoencoder that nobody trained."""
    torch.manual_seed(3)
    save_checkpoint(tmp_path / "autoencoder", build(AUTOENCODER), AUTOENCODER, train_patch_px=64, card="tiny")
    return tmp_path / "autoencoder"


@pytest.fixture
def prior(tmp_path: Path) -> Path:
    """A prior whose student knows nothing yet; enough to be asked."""
    torch.manual_seed(4)
    save_checkpoint(tmp_path / "prior", build(PRIOR), PRIOR, train_patch_px=64, card="tiny")
    return tmp_path / "prior"


def task(recipe: Recipe, photos: Path, encoder: Path) -> Objective:
    return build_objective(recipe, PhotoFolder(photos), "cpu", load_encoder(encoder))


def batch(of: Objective, indices: range) -> tuple[torch.Tensor, ...]:
    return tuple(map(torch.stack, zip(*map(of.example, indices), strict=True)))


def lively(config: GlowConfig = NETWORK) -> GlowDeblur:
    """Return a network with random weights where training begins with zeros."""
    torch.manual_seed(0)
    network = GlowDeblur(config)
    for parameter in network.parameters():
        if parameter.requires_grad and parameter.abs().max() == 0:
            nn.init.normal_(parameter, std=0.1)
    return network


def stop_after_three(step: int, _measured: dict[str, float]) -> None:
    if step == 3:
        raise KilledError


def train_three_steps(recipe: Recipe, photos: Path, run: Path, init: InitFrom, encoder: Path) -> None:
    """Begin a run that is killed after three steps."""
    with pytest.raises(KilledError):
        train(recipe, photos, run, init=init, latent_encoder=encoder, on_step=stop_after_three)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    train(
        replace(TINY, data=replace(TINY.data, workers=0)),
        photos,
        tmp_path / "whole",
        init=InitFrom(prior=prior),
        latent_encoder=encoder,
    )
    train_three_steps(TINY, photos, tmp_path / "parts", InitFrom(prior=prior), encoder)
    # What began is in the run; only what makes the examples is needed again.
    train(TINY, photos, tmp_path / "parts", latent_encoder=encoder)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    lines = metrics(tmp_path / "parts")
    assert lines == metrics(tmp_path / "whole")
    assert {"velocity", "alignment", "psnr_db", "gain_db"} <= set(lines[0])


def test_frozen_weights_stay_bit_for_bit_and_the_checkpoint_restores(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    train(
        replace(TINY, schedule=replace(TINY.schedule, steps=2)),
        photos,
        tmp_path / "run",
        init=InitFrom(prior=prior),
        latent_encoder=encoder,
    )
    found = load_checkpoint(tmp_path / "run")
    network = found.model
    assert isinstance(network, GlowDeblur)
    for part, source in [("motion_guidance.estimator", BUNDLED_MOTION_ESTIMATOR), ("semantic_guidance.prior", prior)]:
        frozen = load_checkpoint(source).model.state_dict()
        assert all(torch.equal(value, frozen[name]) for name, value in network.get_submodule(part).state_dict().items())
    decoder = load_checkpoint(encoder).model.get_submodule("decoder")
    blurry = torch.rand(1, 3, 40, 70)
    restored = GlowRestorer(network, decoder, Sampling(steps=2))(blurry)
    assert restored.shape == blurry.shape
    assert bool(restored.isfinite().all())
    assert "Generative" in (tmp_path / "run" / "README.md").read_text()


def test_a_run_continues_from_a_checkpoint_with_a_single_pass_prior(tmp_path: Path) -> None:
    once = lively()
    save_checkpoint(tmp_path / "once", once, NETWORK, train_patch_px=64, card="tiny", dtype=torch.float32)
    semantics = replace(NETWORK.semantics, prior=replace(PRIOR, two_pass=True))
    config = replace(NETWORK, semantics=semantics)
    twice = build(config)
    InitFrom(checkpoint=tmp_path / "once").apply(twice, config)
    assert isinstance(twice, GlowDeblur)
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        one, other = once(blurry), twice(blurry)
    assert torch.equal(one.tokens.values, other.tokens.values)
    assert torch.equal(one.aligned, other.aligned)


def test_the_optimizer_receives_trained_parameters_only(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    recipe = replace(
        TINY,
        optimization=replace(TINY.optimization, ema_decay=0.0),
        schedule=replace(TINY.schedule, steps=1, peak_learning_rate=1e-2, warmup_steps=0),
    )
    train(recipe, photos, tmp_path / "run", init=InitFrom(prior=prior), latent_encoder=encoder)
    state = torch.load(tmp_path / "run" / "training_state.pt", weights_only=True)
    torch.manual_seed(0)
    trained = [parameter for parameter in GlowDeblur(NETWORK).parameters() if parameter.requires_grad]
    assert len(state["optimizer"]["param_groups"][0]["params"]) == len(trained)


def test_the_loss_is_that_of_flow_matching_and_of_its_parts(photos: Path, encoder: Path) -> None:
    learning = GlowTraining(alignment=0.5, restoration=2.0, motion_dropout=0.5, semantics_dropout=0.5)
    diffusion = task(replace(TINY, objective=learning), photos, encoder)
    shown = blurry, sharp, clean, noise, sigma, unmasked = batch(diffusion, range(4))
    network = lively().eval()
    with torch.no_grad():
        verdict = diffusion.loss(diffusion.forward(network, shown), shown)
        conditions = network(blurry)
        noisy = torch.stack([(1 - s) * c + s * n for c, n, s in zip(clean, noise, sigma, strict=True)])
        motion = conditions.motion * unmasked[:, 0].view(-1, 1, 1, 1)
        nothing = Tokens(
            network.semantic_guidance.null_token.expand(4, 4, -1), torch.tensor([[True, False, False, False]] * 4)
        )
        expected = 0.0
        for index in range(4):
            tokens = conditions.tokens if unmasked[index, 1] else nothing
            one = slice(index, index + 1)
            alone = replace(
                conditions,
                aligned=conditions.aligned[one],
                motion=motion[one],
                tokens=Tokens(tokens.values[one], tokens.mask[one]),
            )
            velocity = network.predict_velocity(noisy[one], sigma[one], alone)
            expected += float((velocity - (noise - clean)[one]).square().mean()) / 4
    expected += 0.5 * float((conditions.aligned - clean).square().mean())
    expected += 2.0 * float(((conditions.restored - sharp).square() + 1e-6).sqrt().mean())
    assert float(verdict.loss) == pytest.approx(expected, rel=1e-5)
    assert 0 < unmasked.float().mean() < 1
    assert not verdict.diverged
    lost = torch.full_like(noise, 1e3)
    assert diffusion.loss((lost, conditions), shown).diverged
    assert diffusion.loss((noise - clean, replace(conditions, restored=sharp + 2)), shown).diverged


def test_cached_patches_are_made_once_and_frozen_parts_stay_unchanged(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = replace(TINY, objective=GlowTraining(cache_size=3))

    train(
        replace(cached, data=replace(cached.data, workers=0)),
        photos,
        tmp_path / "whole",
        init=InitFrom(prior=prior),
        latent_encoder=encoder,
    )
    train_three_steps(cached, photos, tmp_path / "parts", InitFrom(prior=prior), encoder)
    files = sorted((tmp_path / "parts" / "cache").glob("*.safetensors"))
    assert [file.stem for file in files] == ["000000", "000001", "000002"]
    # All have been shown, so nothing is simulated any more.
    monkeypatch.setattr("unblur.datasets.simulated.SimulatedPairs.expose", lambda *_: pytest.fail("made again"))
    train(cached, photos, tmp_path / "parts", latent_encoder=encoder)
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")
    assert {"velocity", "alignment"} < set(metrics(tmp_path / "parts")[0])
    torch.manual_seed(seed_for(cached.seed, "weights"))
    began, network = GlowDeblur(NETWORK), load_checkpoint(tmp_path / "whole").model
    nafnet = began.pre_reconstruction.nafnet.state_dict()  # type: ignore[union-attr]
    for name, value in network.get_submodule("pre_reconstruction.nafnet").state_dict().items():
        assert torch.equal(value, nafnet[name].half().float())
    for file in ("training_state.pt", "model.safetensors", "config.json", "README.md"):
        (tmp_path / "parts" / file).unlink()
    with pytest.raises(UnblurError, match="has features of another recipe"):
        train(replace(cached, seed=2), photos, tmp_path / "parts", init=InitFrom(prior=prior), latent_encoder=encoder)
    files[0].write_bytes(b"no patch")
    with pytest.raises(UnblurError, match=r"\.safetensors is damaged .*; remove it"):
        train(cached, photos, tmp_path / "parts", init=InitFrom(prior=prior), latent_encoder=encoder)


def test_an_unfinished_run_with_former_names_finds_its_cache(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = replace(TINY, objective=GlowTraining(cache_size=3))
    digest, init = cached_flow_matching._hash_frozen, InitFrom(prior=prior)
    with monkeypatch.context() as former:
        former.setattr(cached_flow_matching, "_hash_frozen", lambda network, *_: digest(network, restore_former_name))
        train_three_steps(recipe, photos, tmp_path / "run", init, encoder)
    settings = tmp_path / "run" / "cache" / "settings.json"
    settings.write_text(former_json(settings.read_text()))
    make_former_run(tmp_path / "run")
    monkeypatch.setattr("unblur.datasets.simulated.SimulatedPairs.expose", lambda *_: pytest.fail("made again"))
    train(recipe, photos, tmp_path / "run", latent_encoder=encoder)
    assert not (tmp_path / "run" / "kept").exists()


@pytest.mark.parametrize("aligned", [True, False])
def test_cached_features_equal_newly_computed_ones(
    photos: Path, encoder: Path, tmp_path: Path, *, aligned: bool
) -> None:
    model = NETWORK if aligned else replace(NETWORK, pre_reconstruction=None)
    network = lively(model).eval()
    folder = PhotoFolder(photos)
    cached = replace(TINY, model=model, objective=GlowTraining(cache_size=4, motion_dropout=0, semantics_dropout=0))
    new = replace(cached, objective=replace(cached.objective, cache_size=None, restoration=0))
    again, once = (
        build_objective(recipe, folder, "cpu", load_encoder(encoder), tmp_path / "cache") for recipe in (cached, new)
    )
    assert isinstance(again, Objective)
    for part in cached.frozen_parts:
        network.get_submodule(part).requires_grad_(False)
    again.prepare(network)
    # Every round shows all of them, in another order.
    clean = batch(once, range(4))[2]
    rounds = [batch(again, range(first, first + 4)) for first in (0, 4, 8)]
    orders = [[int((clean - one).abs().mean(dim=(1, 2, 3)).argmin()) for one in shown[4]] for shown in rounds]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(map(tuple, orders))) > 1
    shown = batch(once, range(4))
    with torch.no_grad():
        expected = once.forward(network, shown)[1]
        conditions = again.forward(network, rounds[0])[1]
    for name in ("restored", "aligned", "motion"):
        given, wanted = getattr(conditions, name), getattr(expected, name)[orders[0]]
        assert (given - wanted.clamp(0, 1) if name == "restored" else given - wanted).abs().max() < 0.01
    assert (conditions.tokens.values - expected.tokens.values[orders[0]]).abs().max() < 0.01
    assert not torch.equal(rounds[0][5], rounds[1][5])


def test_an_example_depends_on_its_number_alone(photos: Path, encoder: Path) -> None:
    one, other = (
        task(TINY, photos, encoder),
        task(replace(TINY, schedule=replace(TINY.schedule, batch=8, steps=99)), photos, encoder),
    )
    for index in (3, 0):
        assert all(map(torch.equal, one.example(index), other.example(index)))
    assert not torch.equal(one.example(0)[3], one.example(1)[3])
    seeded = task(replace(TINY, seed=2), photos, encoder)
    assert not torch.equal(one.example(0)[3], seeded.example(0)[3])


class OnePatch:
    """An endless list of one patch, which takes no time to make."""

    def __getitem__(self, index: int, /) -> Pair:
        grey = torch.full((3, 32, 32), 0.5)
        return Pair(blurry=grey, sharp=grey, name=str(index))


def test_condition_dropout_follows_the_recipe(encoder: Path) -> None:
    def unmasked(learning: GlowTraining, count: int) -> torch.Tensor:
        first = PreReconstructionObjective(OnePatch(), load_encoder(encoder), learning)
        return batch(FlowMatchingObjective(first, seed=1), range(count))[5]

    assert all(0.85 < float(share) < 0.95 for share in unmasked(GlowTraining(), 400).float().mean(dim=0))
    motion, semantics = unmasked(GlowTraining(motion_dropout=1.0, semantics_dropout=0.0), 50).unbind(dim=1)
    assert not bool(motion.any())
    assert bool(semantics.all())


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(parts: int, photos: Path, encoder: Path) -> None:
    """Compare in float32, where only the order of sums can differ."""
    diffusion = task(TINY, photos, encoder)
    gradients, verdicts = [], []
    for count in (1, parts):
        network = lively()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
        size = 4 // count
        shown = [batch(diffusion, range(first, first + size)) for first in range(0, 4, size)]
        verdict, norm = take_step(network, optimizer, diffusion, shown, clip_norm=1e9, precision="float32")
        gradients.append([p.grad for p in network.parameters() if p.grad is not None])
        verdicts.append((float(verdict.loss), norm))
    assert verdicts[0] == pytest.approx(verdicts[1], rel=1e-5)
    for one, other in zip(*gradients, strict=True):
        assert float((one - other).norm()) <= 1e-4 * float(one.norm()) + 1e-6


def test_computing_blocks_again_changes_no_gradient(photos: Path, encoder: Path) -> None:
    diffusion = task(TINY, photos, encoder)
    shown = batch(diffusion, range(2))
    gradients, calls = [], []
    for again in (False, True):
        network = lively()
        if again:
            use_recomputation(network)
        counted: list[int] = []
        network.denoiser.blocks[0].register_forward_pre_hook(lambda *_, counted=counted: counted.append(1))
        diffusion.loss(diffusion.forward(network, shown), shown).loss.backward()
        gradients.append({name: p.grad for name, p in network.named_parameters() if p.grad is not None})
        calls.append(len(counted))
    assert calls == [1, 2]
    assert gradients[0].keys() == gradients[1].keys()
    assert all(torch.equal(value, gradients[1][name]) for name, value in gradients[0].items())


def test_a_run_with_parts_and_recomputation_is_nearly_the_plain_one(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    for name, recipe in [("plain", TINY), ("frugal", replace(TINY, accumulate=2, gradient_checkpointing=True))]:
        train(
            replace(recipe, schedule=replace(recipe.schedule, steps=2)),
            photos,
            tmp_path / name,
            init=InitFrom(prior=prior),
            latent_encoder=encoder,
        )
    one, other = (metrics(tmp_path / name) for name in ("plain", "frugal"))
    # bfloat16 keeps eight bits.
    assert one[-1]["velocity"] == pytest.approx(other[-1]["velocity"], rel=1e-2)
    assert from_json(to_json(replace(TINY, accumulate=2, gradient_checkpointing=True)), Recipe).accumulate == 2


def test_a_first_restoration_is_trained_for_itself_and_begun_with(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    first = replace(TINY, model=NETWORK.pre_reconstruction, schedule=replace(TINY.schedule, steps=2))
    train(first, photos, tmp_path / "first", latent_encoder=encoder)
    assert "gain_db" in metrics(tmp_path / "first")[0]
    assert "--init" in (tmp_path / "first" / "README.md").read_text()
    still = replace(TINY, schedule=replace(TINY.schedule, steps=1, peak_learning_rate=0.0, final_learning_rate=0.0))
    train(
        still,
        photos,
        tmp_path / "run",
        init=InitFrom(checkpoint=tmp_path / "first", prior=prior),
        latent_encoder=encoder,
    )
    after = load_checkpoint(tmp_path / "run").model.get_submodule("pre_reconstruction").state_dict()
    assert all(
        torch.equal(value, after[name])
        for name, value in load_checkpoint(tmp_path / "first").model.state_dict().items()
    )
    # The next stage begins with all of it, and needs no prior but the one inside.
    train(
        replace(still, seed=5),
        photos,
        tmp_path / "joint",
        init=InitFrom(checkpoint=tmp_path / "run"),
        latent_encoder=encoder,
    )
    assert same_weights(tmp_path / "run", tmp_path / "joint")


def test_parts_of_other_checkpoints_replace_those_of_an_initialized_network(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    """Shared weights of the package change there; the next stage of a network that shares them needs the new ones."""
    first = NETWORK.pre_reconstruction
    assert first is not None
    still = replace(TINY, schedule=replace(TINY.schedule, steps=1, peak_learning_rate=0.0, final_learning_rate=0.0))
    train(still, photos, tmp_path / "run", init=InitFrom(prior=prior), latent_encoder=encoder)
    torch.manual_seed(7)
    several = MultiScaleConfig(nafnet=first.nafnet, channels=4, blocks=1)
    for name, config in (("several", several), ("motion", NETWORK.motion)):
        save_checkpoint(tmp_path / name, build(config), config, train_patch_px=64, card="")
    init = InitFrom(checkpoint=tmp_path / "run", motion=tmp_path / "motion", nafnet=tmp_path / "several")
    train(still, photos, tmp_path / "on", init=init, latent_encoder=encoder)
    before, after = (load_checkpoint(tmp_path / name).model.state_dict() for name in ("run", "on"))
    lent = {
        "pre_reconstruction.nafnet.": load_checkpoint(tmp_path / "several").model.get_submodule("nafnet"),
        "motion_guidance.estimator.": load_checkpoint(tmp_path / "motion").model,
    }
    expected = before | {
        place + name: value for place, part in lent.items() for name, value in part.state_dict().items()
    }
    assert any(not torch.equal(before[name], value) for name, value in expected.items())
    assert all(torch.equal(after[name], value) for name, value in expected.items())


def test_parts_that_a_network_does_not_have_are_refused(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    save_checkpoint(tmp_path / "motion", build(NETWORK.motion), NETWORK.motion, train_patch_px=64, card="")
    first = replace(TINY, model=NETWORK.pre_reconstruction)

    def trained(recipe: Recipe, init: InitFrom) -> None:
        train(recipe, photos, tmp_path / "run", init=init, latent_encoder=encoder)

    with pytest.raises(UnblurError, match="has no motion guidance"):
        trained(first, init=InitFrom(motion=tmp_path / "motion"))
    with pytest.raises(UnblurError, match="but the recipe trains"):
        trained(first, init=InitFrom(nafnet=tmp_path / "motion"))
    with pytest.raises(UnblurError, match="by --init-motion"):
        trained(TINY, init=InitFrom(prior=prior, motion=prior))
    plain = replace(TINY, model=replace(NETWORK, pre_reconstruction=None))
    with pytest.raises(UnblurError, match="has no NAFNet"):
        trained(plain, init=InitFrom(prior=prior, nafnet=tmp_path / "motion"))


def test_the_small_network_begins_as_the_bundled_ones() -> None:
    bundled = load_checkpoint(BUNDLED_FAITHFUL).model.state_dict()
    model = build(PreReconstructionConfig())
    InitFrom().apply(model, PreReconstructionConfig())
    assert isinstance(model, PreReconstruction)
    assert all(torch.equal(value, bundled[name]) for name, value in model.nafnet.state_dict().items())
    assert glow("small").motion == load_checkpoint(BUNDLED_MOTION_ESTIMATOR).config


def test_without_alignment_the_denoiser_gets_the_blurry_latents(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    plain = replace(NETWORK, pre_reconstruction=None)
    recipe = replace(TINY, model=plain, schedule=replace(TINY.schedule, steps=2))
    train(recipe, photos, tmp_path / "run", init=InitFrom(prior=prior), latent_encoder=encoder)
    assert "psnr_db" not in metrics(tmp_path / "run")[0]
    blurry, *_, encoded = task(recipe, photos, encoder).example(0)
    half = load_checkpoint(encoder).model
    assert torch.equal(encoded, half.get_submodule("encoder")(blurry[None])[0])
    network = load_checkpoint(tmp_path / "run").model
    assert isinstance(network, GlowDeblur)
    with pytest.raises(UnblurError, match="needs the encoder"):
        GlowRestorer(network, half.get_submodule("decoder"))
    restorer = GlowRestorer(
        network, half.get_submodule("decoder"), Sampling(steps=1), encoder=half.get_submodule("encoder")
    )
    assert torch.equal(restorer.compute_conditions(blurry[None]).aligned[0], encoded)
    assert restorer(torch.rand(1, 3, 40, 33)).shape == (1, 3, 40, 33)


def test_missing_or_unfitting_checkpoints_are_refused_in_one_sentence(
    photos: Path, encoder: Path, prior: Path, tmp_path: Path
) -> None:
    def trained(
        recipe: Recipe = TINY, init: InitFrom = InitFrom(prior=prior), latent_encoder: Path | None = encoder
    ) -> None:
        train(recipe, photos, tmp_path / "run", init=init, latent_encoder=latent_encoder)

    with pytest.raises(UnblurError, match="give their encoder by --latent-encoder"):
        trained(latent_encoder=None)
    with pytest.raises(UnblurError, match="by --init-prior"):
        trained(init=InitFrom())
    with pytest.raises(UnblurError, match="not the semantic prior of the recipe"):
        trained(init=InitFrom(prior=encoder))
    with pytest.raises(UnblurError, match="holds no encoder"):
        trained(latent_encoder=prior)
    torch.save(build_taesana_encoder().state_dict(), tmp_path / "taesana_encoder.pth")
    with pytest.raises(UnblurError, match="encodes 32 x 32 pixels as 32 numbers"):
        trained(latent_encoder=tmp_path / "taesana_encoder.pth")
    with pytest.raises(UnblurError, match="multiples of 32 px"):
        trained(replace(TINY, data=replace(TINY.data, sampling=PatchSampling(patch_px=40))))
    with pytest.raises(UnblurError, match="but the recipe trains"):
        trained(init=InitFrom(checkpoint=prior, prior=prior))
    with pytest.raises(UnblurError, match="cannot be divided"):
        trained(replace(TINY, accumulate=3))
    with pytest.raises(UnblurError, match="motion estimator has no weights"):
        trained(replace(TINY, model=replace(NETWORK, motion=replace(NETWORK.motion, blocks=(1, 1, 1, 1)))))
    with pytest.raises(UnblurError, match="has no semantic prior"):
        trained(replace(TINY, model=NETWORK.pre_reconstruction))
    assert not (tmp_path / "run").exists()
    for wrong in ({"alignment": -1.0}, {"motion_dropout": 1.5}):
        with pytest.raises(ValueError, match="GlowTraining"):
            GlowTraining(**wrong)
    with pytest.raises(ValueError, match="one part at least"):
        replace(TINY, accumulate=0)


def test_a_run_resumes_with_its_own_encoder_only(photos: Path, encoder: Path, prior: Path, tmp_path: Path) -> None:
    def stop(step: int, _measured: dict[str, float]) -> None:
        if step == 2:
            raise KilledError

    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "run", init=InitFrom(prior=prior), latent_encoder=encoder, on_step=stop)
    torch.manual_seed(9)
    save_checkpoint(tmp_path / "other", build(AUTOENCODER), AUTOENCODER, train_patch_px=64, card="other")
    with pytest.raises(UnblurError, match="another encoder"):
        train(TINY, photos, tmp_path / "run", latent_encoder=tmp_path / "other")


def test_recipes_from_before_there_was_glow_are_still_read() -> None:
    older = json.loads(to_json(RESTORER))
    for entry in ("objective", "accumulate", "gradient_checkpointing"):
        del older[entry]
    assert from_json(json.dumps(older), Recipe) == RESTORER


@pytest.mark.slow
def test_the_command_trains_it_with_every_option(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The recipe as it is but for fewer patches, from Stage I to II, with weights that nobody trained."""
    monkeypatch.setattr(
        "unblur.recipes.find_recipe",
        lambda name: replace(find_recipe(name), schedule=replace(find_recipe(name).schedule, batch=2)),
    )
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    config = SemanticPriorConfig()
    save_checkpoint(tmp_path / "prior", build(config), config, train_patch_px=64, card="tiny")
    torch.save(build_taesana_encoder().state_dict(), tmp_path / "taesana_encoder.pth")
    large = tmp_path / "large"
    large.mkdir()
    for photo in photos.iterdir():
        from PIL import Image

        with Image.open(photo) as picture:
            picture.resize((640, 640)).save(large / photo.name)
    given = ["--photos", str(large), "--latent-encoder", str(tmp_path / "taesana_encoder.pth"), "--steps", "1"]
    given += ["--device", "cpu"]
    assert main(["train", "glow", *given, "--init-prior", str(tmp_path / "prior"), "--run", str(tmp_path / "one")]) == 0
    found = load_checkpoint(tmp_path / "one")
    assert found.config == find_recipe("glow").model
    assert isinstance(found.model, GlowDeblur)
    decoder = build(LatentDecoderConfig()).eval()
    assert GlowRestorer(found.model, decoder, Sampling(steps=1))(torch.rand(1, 3, 50, 40)).shape == (1, 3, 50, 40)
    joint = ["--init", str(tmp_path / "one"), "--run", str(tmp_path / "two")]
    assert main(["train", "glow-joint", *given, *joint]) == 0


def test_the_denoiser_may_begin_as_sana(tmp_path: Path) -> None:
    pytest.importorskip("diffusers", reason="needs the extra `generative`")
    ours = NETWORK.denoiser
    save_sana(tmp_path / "sana")
    save_checkpoint(tmp_path / "prior", build(PRIOR), PRIOR, train_patch_px=64, card="tiny")
    init = InitFrom(prior=tmp_path / "prior", denoiser=tmp_path / "sana")
    network = GlowDeblur(NETWORK)
    init.apply(network, NETWORK)
    weights = load_sana(tmp_path / "sana", ours.condition_channels).state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in network.denoiser.state_dict().items())
    wider = replace(NETWORK, denoiser=replace(ours, blocks=ours.blocks + 1))
    with pytest.raises(UnblurError, match="give a SANA of that size"):
        init.apply(GlowDeblur(wider), wider)
    with pytest.raises(UnblurError, match="has no denoiser"):
        InitFrom(denoiser=tmp_path / "sana").apply(build(RESTORER.model), RESTORER.model)
