"""Measure what captions tell GLOWDeblur: trained with them, given the right one, a wrong one, regions, or nothing.

`python -m experiments.caption_guidance --photos PHOTOS --held-out PHOTOS --latent-encoder taesana_encoder.pth -o
FOLDER` tunes a generator by the recipe `glow-captions` with several seeds and measures it, and the generator before, on
the same held-out pairs. The velocity error is that of the denoiser at fixed noise levels, with the same noise for all
conditions; it shows differences that are too small for the decoded image. An interrupted command continues. Several
processes share the training: `--start 0 --every 2` and `--start 1 --every 2`; then the command without both prints the
tables.
"""

import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated, Literal, cast, get_args

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor

from experiments.harness import ProgressBars, Report, format_mean, lock_settings, run, write_table
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_DECODER, BUNDLED_GENERATOR, load_checkpoint
from unblur.checkpoints.latent_spaces import FrozenEncoder, load_encoder
from unblur.config import from_json, to_json
from unblur.datasets import Pair, PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.tables import Table
from unblur.metrics import psnr
from unblur.metrics.st_lpips import load_st_lpips
from unblur.models import GlowConfig, GlowDeblur
from unblur.models.flow import add_noise, velocity_target
from unblur.models.glow import Conditions
from unblur.models.samplers import Sampling
from unblur.models.tokens import Tokens
from unblur.recipes.glow import glow_captions
from unblur.seeds import make_generator
from unblur.training.allocator import keep_freed_memory
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.objective_settings import CaptionSettings, GlowTraining
from unblur.training.objectives.patch_captions import PatchCaptions
from unblur.training.recipe import Recipe

Condition = Literal["caption", "wrong caption", "regions", "nothing"]

SIGMAS = (0.3, 0.6, 0.8, 0.95)
"""Noise levels of the measured velocity errors."""

SEVERITIES = (("severe", 16.0),)
"""Blur that leaves the most to guess."""


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """Settings of all networks; stored as study.json in the output folder."""

    steps: int
    cache_size: int
    size_px: int
    sampling_steps: int
    captions: CaptionSettings
    encoder: str
    """SHA-256 of the encoder."""
    before: str
    """SHA-256 of the generator that is tuned."""
    photos: str
    held_out: str


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Means of one network with one condition over all pairs."""

    velocity_error: float
    """Mean squared error of the velocity."""
    st_lpips: float
    """ST-LPIPS of the decoded image."""
    psnr_db: float
    """PSNR of the decoded image."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Scores of one network by condition."""

    caption: Scores
    wrong_caption: Scores
    regions: Scores
    nothing: Scores

    def get(self, condition: Condition) -> Scores:
        """Return the scores with a condition."""
        return cast(Scores, getattr(self, condition.replace(" ", "_")))


class CaptionStudy:
    """Tunes generators and measures them; finished ones are not made again."""

    def __init__(self, settings: StudySettings, output: Path, before: Path, encoder: Path, photos: Path) -> None:
        self.settings, self.output, self.before, self.photos = settings, output, before, photos
        self.encoder_path, self.encoder = encoder, load_encoder(encoder)

    def train(self, seed: int, report: Report) -> Path:
        """Return the checkpoint of the generator that is tuned with captions and a seed."""
        recipe = make_caption_recipe(self.settings, seed)
        folder = self.output / f"captions-seed{seed}"
        train(
            recipe,
            self.photos,
            folder,
            init=InitFrom(checkpoint=self.before),
            latent_encoder=self.encoder_path,
            on_step=lambda step, _: report(f"training, seed {seed}", step, recipe.schedule.steps),
        )
        return folder

    def measure(self, checkpoint: Path, name: str, pairs: Sequence[Pair], report: Report) -> Measured:
        """Measure a generator with all conditions."""
        stored = self.output / f"{name}.json"
        if not stored.exists():
            network = load_checkpoint(checkpoint).model.eval()
            measured = measure_conditions(cast(GlowDeblur, network), self.encoder, self.settings, pairs, name, report)
            write_atomically(stored, to_json(measured).encode())
        return from_json(stored.read_text(encoding="utf-8"), Measured, stored)


def make_caption_recipe(settings: StudySettings, seed: int) -> Recipe:
    """Return the recipe `glow-captions` with the settings of the study."""
    recipe = glow_captions()
    assert isinstance(recipe.objective, GlowTraining)
    warmup = min(recipe.schedule.warmup_steps, settings.steps // 10)
    return replace(
        recipe,
        seed=seed,
        objective=replace(recipe.objective, cache_size=settings.cache_size, captions=settings.captions),
        schedule=replace(recipe.schedule, steps=settings.steps, warmup_steps=warmup),
    )


@torch.inference_mode()
def measure_conditions(
    network: GlowDeblur,
    encoder: FrozenEncoder,
    settings: StudySettings,
    pairs: Sequence[Pair],
    name: str,
    report: Report,
) -> Measured:
    """Measure a generator on pairs; the wrong caption of each is that of the next pair with another caption."""
    captions = PatchCaptions(settings.captions, network.config.denoiser.token_channels)
    decoder, distance = load_checkpoint(BUNDLED_DECODER).model.eval(), load_st_lpips("alex")
    encoded = [captions.pad(captions.encode(pair.sharp)) for pair in pairs]
    sampling = Sampling(steps=settings.sampling_steps)
    scores: dict[Condition, list[Scores]] = {condition: [] for condition in get_args(Condition)}
    for index, pair in enumerate(pairs):
        sharp, conditions = pair.sharp[None], network(pair.blurry[None])
        clean = encoder.network(sharp)
        noise = torch.randn(clean.shape, generator=make_generator(1, "noise", index))
        tokens = {
            "caption": _make_tokens(encoded[index]),
            "wrong caption": _make_tokens(find_other_caption(encoded, index)),
            "regions": conditions.tokens,
            "nothing": conditions.tokens,
        }
        keep = torch.ones(1, dtype=torch.bool)
        for condition in get_args(Condition):
            given = replace(conditions, tokens=tokens[condition])
            given = network.drop_conditions(given, keep, keep & (condition != "nothing"))
            restored = decoder(network.sample_latents(given, sampling, seed=index)).clamp(0, 1)
            scores[condition].append(
                Scores(
                    velocity_error=compute_velocity_error(network, given, clean, noise),
                    st_lpips=float(distance(restored, sharp).mean()),
                    psnr_db=float(psnr(restored, sharp).mean()),
                )
            )
        report(f"measuring {name}", index + 1, len(pairs))
    means = {condition.replace(" ", "_"): _average(values) for condition, values in scores.items()}
    return Measured(**means)


def find_other_caption(captions: Sequence[tuple[Tensor, Tensor]], index: int) -> tuple[Tensor, Tensor]:
    """Return the next caption that differs from caption `index`. Raises UnblurError where all are equal."""
    for step in range(1, len(captions)):
        other = captions[(index + step) % len(captions)]
        if not torch.equal(other[0], captions[index][0]):
            return other
    raise UnblurError("All held-out photographs have the same caption; give others.")


def compute_velocity_error(network: GlowDeblur, conditions: Conditions, clean: Tensor, noise: Tensor) -> float:
    """Return the mean squared error of the velocity over the noise levels. Latents (1, C, h, w) -> scalar."""
    target = velocity_target(clean, noise)
    errors = []
    for level in SIGMAS:
        sigma = torch.tensor([level])
        errors.append(
            float(F.mse_loss(network.predict_velocity(add_noise(clean, noise, sigma), sigma, conditions), target))
        )
    return fmean(errors)


def _make_tokens(encoded: tuple[Tensor, Tensor]) -> Tokens:
    values, mask = encoded
    return Tokens(values[None], mask[None])


def _average(scores: Sequence[Scores]) -> Scores:
    return Scores(**{field.name: fmean(getattr(one, field.name) for one in scores) for field in fields(Scores)})


def make_table(before: Measured, tuned: Sequence[Measured]) -> Table:
    """Make the table: one line for each condition before and after tuning, with standard deviations over the seeds."""
    lines = []
    for training, networks in (("without captions", [before]), ("with captions", list(tuned))):
        for condition in get_args(Condition):
            found = [network.get(condition) for network in networks]
            lines.append(
                (
                    training,
                    condition,
                    format_mean([one.velocity_error for one in found], 4),
                    format_mean([one.st_lpips for one in found], 4),
                    format_mean([one.psnr_db for one in found], 2),
                )
            )
    return Table(header=("trained", "given", "velocity error", "ST-LPIPS", "PSNR dB"), lines=tuple(lines))


def make_csv(networks: Sequence[tuple[str, Measured]]) -> str:
    """Make a CSV with one line for each network and condition."""
    names = tuple(field.name for field in fields(Scores))
    lines = [
        (name, condition, *(f"{getattr(measured.get(condition), field):.6f}" for field in names))
        for name, measured in networks
        for condition in get_args(Condition)
    ]
    return Table(header=("network", "condition", *names), lines=tuple(lines)).csv()


def caption_guidance(
    *,
    photos: Path,
    held_out: Path,
    latent_encoder: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: Path = BUNDLED_GENERATOR,
    captioner: str | None = None,
    text_encoder: str | None = None,
    share: float = 0.5,
    steps: int = 1500,
    cache_size: int = 1024,
    sampling_steps: int = 4,
    size: int = 256,
    pairs: int = 61,
    seeds: int = 3,
    start: int | None = None,
    every: int = 1,
) -> int:
    """Tune a generator with captions, and compare captions, wrong captions, regions and nothing.

    Args:
        photos: Folder of sharp photographs for training.
        held_out: Folder of other sharp photographs, whose severely blurred pairs are measured.
        latent_encoder: The file taesana_encoder.pth, or a checkpoint of `unblur train autoencoder`.
        output: Folder of the networks and tables.
        checkpoint: The generator that is tuned, of the size `small`.
        captioner: Folder or hub id of a captioner of transformers; classes of ImageNet in a template without it.
        text_encoder: Folder or hub id of the text encoder; MiniLM without it.
        share: Share of the training patches with a caption; the others have regions.
        steps: Updates of each network.
        cache_size: Training patches of each network.
        sampling_steps: Steps of the denoiser for each measured image.
        size: Side of the measured images in pixels.
        pairs: Number of measured pairs, at most.
        seeds: Number of random seeds.
        start: The first seed that this process trains, from 0, without tables; all seeds with tables without it.
        every: Step from one of these seeds to the next.
    """
    if min(steps, cache_size, sampling_steps, pairs - 1, seeds, every) < 1 or size < 64 or not 0 < share <= 1:
        raise UnblurError(
            "Give at least one step, patch and seed, two pairs, 64 px, and a share above 0 and at most 1."
        )
    before = load_checkpoint(checkpoint)
    if not isinstance(before.config, GlowConfig):
        raise UnblurError(f"{checkpoint} holds no generative network; give a checkpoint of GLOWDeblur.")
    settings = StudySettings(
        steps=steps,
        cache_size=cache_size,
        size_px=size,
        sampling_steps=sampling_steps,
        captions=CaptionSettings(captioner=captioner, text_encoder=text_encoder, share=share),
        encoder=load_encoder(latent_encoder).sha256,
        before=before.sha256,
        photos=compute_photos_fingerprint(photos),
        held_out=compute_photos_fingerprint(held_out),
    )
    lock_settings(output, settings)
    keep_freed_memory()
    study = CaptionStudy(settings, output, checkpoint, latent_encoder, photos)
    numbers = range(1, seeds + 1)
    with closing(ProgressBars()) as bars:
        if start is not None:
            for seed in numbers[start::every]:
                study.train(seed, bars)
            return 0
        validation = replace(ValidationSet(), severities=SEVERITIES, size_px=size)
        measured = list(simulate_validation_pairs(PhotoFolder(held_out), validation))[:pairs]
        unchanged = study.measure(checkpoint, "before", measured, bars)
        tuned = [study.measure(study.train(seed, bars), f"tuned-seed{seed}", measured, bars) for seed in numbers]
    title = (
        f"{len(measured)} severely blurred pictures of {size} px; {steps} steps with {cache_size} patches from "
        f"{before.sha256[:12]}, mean and standard deviation of {seeds} seeds; {sampling_steps} sampling steps."
    )
    networks = [("before", unchanged), *((f"seed {seed}", one) for seed, one in zip(numbers, tuned, strict=True))]
    write_table(output, "caption-guidance", title, make_table(unchanged, tuned).markdown(), make_csv(networks))
    return 0


if __name__ == "__main__":
    sys.exit(run(caption_guidance))
