"""Learning a latent space: the losses by formula, the discriminator, and a run that goes on as if nothing had been."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from unblur.checkpoints.folder import load_checkpoint
from unblur.checkpoints.latent_spaces import open_latent_space
from unblur.datasets.pair_files import read_rgb
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.metrics import psnr
from unblur.models import AutoencoderConfig, LatentDecoderConfig, LatentEncoderConfig
from unblur.models.tiny_autoencoder import build_taesana_encoder
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.training.adversarial import Adversary
from unblur.training.loop import train
from unblur.training.objective_settings import AutoencoderTraining
from unblur.training.recipe import Recipe, Schedule, TrainingData
from unblur.training.reconstruction_loss import perceptual_loss, pixel_loss, spectrum_loss
from unblur.training.state import load_state

DECODER = LatentDecoderConfig(channels=(32, 32, 16, 16, 16), blocks=(1, 1, 1, 1, 1))
ENCODER = LatentEncoderConfig(channels=(16, 16, 16, 32, 32), blocks=(1, 1, 1, 1, 1))
TINY = Recipe(
    name="tiny-decoder",
    model=DECODER,
    data=TrainingData(sampling=PatchSampling(patch_px=64, pristine_share=1.0), workers=0),
    objective=AutoencoderTraining(perceptual=0, adversarial_start=0.3),
    schedule=Schedule(steps=6, batch=2, warmup_steps=2),
    log_every=1,
    checkpoint_every=2,
)
OWN = replace(TINY, name="tiny-autoencoder", model=AutoencoderConfig(encoder=ENCODER, decoder=DECODER))


class KilledError(Exception):
    pass


@pytest.fixture
def encoder_file(tmp_path: Path) -> Path:
    """A file in the form of TAESANA's, with weights that nobody trained."""
    torch.manual_seed(0)
    torch.save(build_taesana_encoder().half().state_dict(), tmp_path / "taesana_encoder.pth")
    return tmp_path / "taesana_encoder.pth"


def lines_of(run: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in {"seconds", "waited_share"}} for line in lines]


def equal(one: object, other: object) -> bool:
    """Return whether nested dicts and lists of tensors, numbers and texts are equal."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
    return one == other


def test_losses_by_formula() -> None:
    random = np.random.default_rng(0)
    one, other = random.random((2, 2, 3, 16, 12))
    error = one - other
    ours = float(pixel_loss(torch.from_numpy(one), torch.from_numpy(other)))
    assert ours == pytest.approx(np.mean(np.sqrt(error**2 + 1e-6)) - 1e-3, rel=1e-6)
    sizes = np.abs(np.fft.rfft2(error, norm="ortho"))
    ours = float(spectrum_loss(torch.from_numpy(one), torch.from_numpy(other)))
    assert ours == pytest.approx(np.mean(np.sqrt(sizes**2 + 1e-6)) - 1e-3, rel=1e-4)


@pytest.mark.parametrize("loss", [pixel_loss, spectrum_loss])
def test_the_truth_costs_nothing_and_has_a_gradient(loss: nn.Module) -> None:
    answer = torch.rand(1, 3, 8, 8, requires_grad=True)
    found = loss(answer, answer.detach())
    assert found.item() == pytest.approx(0, abs=1e-7)
    found.backward()
    assert answer.grad is not None
    assert answer.grad.isfinite().all()


def test_a_spread_error_costs_more_in_the_spectrum_than_a_wave_of_the_same_energy() -> None:
    truth = torch.zeros(1, 3, 32, 32)
    spread = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    wave = torch.cos(torch.arange(32) * np.pi / 4).expand(1, 3, 32, 32)
    wave = wave * spread.square().mean().sqrt() / wave.square().mean().sqrt()
    assert float(spectrum_loss(spread, truth)) > 5 * float(spectrum_loss(wave, truth))


@pytest.mark.parametrize(("share", "compared"), [(0.5, 2), (1.0, 4), (0.01, 1)])
def test_the_loss_compares_a_share_of_the_batch(share: float, compared: int) -> None:
    class Distance(nn.Module):
        def forward(self, restored: Tensor, sharp: Tensor) -> Tensor:
            assert restored.shape == sharp.shape == (compared, 3, 4, 4)
            assert 0 <= float(restored.min()) <= float(restored.max()) <= 1
            return torch.arange(float(compared))

    found = perceptual_loss(3 * torch.randn(4, 3, 4, 4), torch.rand(4, 3, 4, 4), Distance(), share)
    assert float(found) == pytest.approx((compared - 1) / 2)


def test_a_discriminator_learns_and_its_gradient_reaches_the_network() -> None:
    torch.manual_seed(0)
    adversary = Adversary(seed=1, device="cpu")
    before = [p.detach().clone() for p in adversary.discriminator.parameters()]
    losses = []
    for _ in range(25):
        sharp = torch.rand(2, 3, 32, 32)
        blurry = nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1).requires_grad_()
        losses.append(adversary.learn(blurry, sharp))
        assert blurry.grad is None
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    assert not any(map(torch.equal, before, adversary.discriminator.parameters()))
    learnt = [p.detach().clone() for p in adversary.discriminator.parameters()]
    adversary.compute_fooling_loss(blurry).backward()
    assert blurry.grad is not None
    assert float(blurry.grad.abs().sum()) > 0
    assert all(map(torch.equal, learnt, adversary.discriminator.parameters()))
    assert adversary.compute_fooling_loss(sharp).item() < adversary.compute_fooling_loss(blurry).item()


def test_a_discriminator_is_the_seeds_and_disturbs_no_other_randomness() -> None:
    torch.manual_seed(7)
    first = Adversary(seed=1, device="cpu").state_dict()
    drawn = torch.rand(3)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(3), drawn)
    assert equal(first, Adversary(seed=1, device="cpu").state_dict())
    assert not equal(first, Adversary(seed=2, device="cpu").state_dict())


@pytest.mark.parametrize("recipe", [TINY, OWN], ids=["decoder", "autoencoder"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    recipe: Recipe, photos: Path, encoder_file: Path, tmp_path: Path
) -> None:
    encoder = encoder_file if recipe is TINY else None

    def killed_after(last: int):
        def on_step(step: int, _measured: dict[str, float]) -> None:
            if step == last:
                raise KilledError

        return on_step

    train(recipe, photos, tmp_path / "whole", latent_encoder=encoder)
    for last in (1, 3, 5):  # before the discriminator, after its first step, in the middle of its work
        with pytest.raises(KilledError):
            train(recipe, photos, tmp_path / "parts", latent_encoder=encoder, on_step=killed_after(last))
    train(recipe, photos, tmp_path / "parts", latent_encoder=encoder)
    whole, parts = (load_state(tmp_path / run / "training_state.pt") for run in ("whole", "parts"))
    assert equal(whole, parts)
    assert whole["objective"]["batches"] == 6
    assert lines_of(tmp_path / "whole") == lines_of(tmp_path / "parts")
    assert ["discriminator" in line for line in lines_of(tmp_path / "whole")] == 2 * [False] + 4 * [True]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [TINY, OWN], ids=["decoder", "autoencoder"])
def test_a_short_run_brings_reconstructions_nearer(
    recipe: Recipe, published: Callable[[str], Path], tmp_path: Path
) -> None:
    """Train on four pictures of four colours each; the first reconstructions are grey."""
    colours = tmp_path / "colours"
    colours.mkdir()
    for number, corners in enumerate(np.random.default_rng(0).integers(0, 255, (4, 2, 2, 3), dtype=np.uint8)):
        write_photo(Photo(pixels=corners.repeat(48, axis=0).repeat(48, axis=1)), colours / f"{number}.png")
    longer = replace(
        recipe,
        optimization=replace(recipe.optimization, ema_decay=0.9),
        schedule=replace(recipe.schedule, steps=100, warmup_steps=5, peak_learning_rate=2e-3),
        checkpoint_every=100,
    )
    # Untrained, an encoder tells a decoder next to nothing.
    encoder = published("taesana_encoder.pth") if recipe is TINY else None
    train(longer, colours, tmp_path / "run", latent_encoder=encoder)
    decibels = [line["psnr_db"] for line in lines_of(tmp_path / "run")]
    assert sum(decibels[-10:]) / 10 > sum(decibels[:10]) / 10 + 3
    # What was saved, averaged and at 16 bits, does outside of training what it did inside.
    found = open_latent_space(tmp_path / "run", encoder, None, torch.device("cpu"))
    sharp = torch.stack([read_rgb(path) for path in sorted(colours.iterdir())]).float() / 255
    with torch.inference_mode():
        latents = found.space.encode(sharp)
        height, width = sharp.shape[2:]
        saved_db = psnr(found.space.decode(latents)[..., :height, :width], sharp).mean()
    assert saved_db > psnr(torch.full_like(sharp, 0.5), sharp).mean() + 3
    assert 0.3 < latents.std() < 3


def test_st_lpips_is_computed_where_it_has_a_weight(photos: Path, tmp_path: Path) -> None:
    if find_spec("stlpips_pytorch") is None:
        pytest.skip("needs stlpips-pytorch (extra perceptual)")
    recipe = replace(
        OWN, objective=AutoencoderTraining(perceptual=0.1, adversarial=0), schedule=replace(OWN.schedule, steps=2)
    )
    train(recipe, photos, tmp_path / "run")
    assert all(0 < line["st_lpips"] < 5 and "discriminator" not in line for line in lines_of(tmp_path / "run"))


def test_the_run_folder_is_a_latent_space(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    train(
        replace(TINY, schedule=replace(TINY.schedule, steps=1)),
        photos,
        tmp_path / "decoder",
        latent_encoder=encoder_file,
    )
    train(replace(OWN, schedule=replace(OWN.schedule, steps=1)), photos, tmp_path / "own")
    assert load_checkpoint(tmp_path / "decoder").config == DECODER
    assert not any("encoder" in name for name in load_checkpoint(tmp_path / "decoder").model.state_dict())
    assert "--decoder FOLDER" in (tmp_path / "decoder" / "README.md").read_text()
    cpu = torch.device("cpu")
    image = torch.rand(1, 3, 40, 70)
    for found in (
        open_latent_space(tmp_path / "decoder", encoder_file, None, cpu),
        open_latent_space(tmp_path / "own", None, None, cpu),
    ):
        latents = found.space.encode(image)
        assert latents.shape == (1, 32, 2, 3)
        assert found.space.decode(latents).shape == (1, 3, 64, 96)


def test_what_does_not_fit_is_one_sentence(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    once = replace(TINY, schedule=replace(TINY.schedule, steps=1))
    with pytest.raises(UnblurError, match="by --latent-encoder"):
        train(once, photos, tmp_path / "a")
    with pytest.raises(UnblurError, match="needs no other encoder"):
        train(
            replace(OWN, schedule=replace(OWN.schedule, steps=1)), photos, tmp_path / "b", latent_encoder=encoder_file
        )
    with pytest.raises(UnblurError, match="No weights at"):
        train(once, photos, tmp_path / "c", latent_encoder=tmp_path / "nowhere.pth")
    other = tmp_path / "other.pth"
    torch.save(nn.Linear(2, 2).state_dict(), other)
    with pytest.raises(UnblurError, match="another network"):
        train(once, photos, tmp_path / "d", latent_encoder=other)
    coarse = replace(once, model=replace(DECODER, channels=(32, 16), blocks=(1, 1)))
    with pytest.raises(UnblurError, match="stride 32"):
        train(coarse, photos, tmp_path / "e", latent_encoder=encoder_file)
    assert not any((tmp_path / run).exists() for run in "abcde")


def test_a_run_resumes_with_its_own_encoder_only(photos: Path, encoder_file: Path, tmp_path: Path) -> None:
    recipe = replace(TINY, schedule=replace(TINY.schedule, steps=2), checkpoint_every=1)

    def stop(_step: int, _measured: dict[str, float]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, photos, tmp_path / "run", latent_encoder=encoder_file, on_step=stop)
    torch.manual_seed(1)
    torch.save(build_taesana_encoder().state_dict(), tmp_path / "other.pth")
    with pytest.raises(UnblurError, match="another encoder"):
        train(recipe, photos, tmp_path / "run", latent_encoder=tmp_path / "other.pth")
