"""Compare GLOWDeblur with versions without motion, semantics, alignment, or blur pattern pretraining.

One network is pretrained on everything that the simulator knows, then fine-tuned on the given data sets. It is measured
once more without motion and once more without semantics: condition dropout on a tenth of the training examples taught
it to work without. The versions without alignment and without pretraining are trained on their own with the same number
of updates; without pretraining, all of them are on the given data sets. Every run and every measurement is stored in
the output folder and is not repeated.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
import tyro
from numpy.typing import NDArray

from experiments.data_sets import find_training_source
from experiments.harness import ProgressBars, Report, lock_settings, run, select_one, write_table
from experiments.prior_scores import load_prior_protocol
from experiments.severe_half import make_summary_csv, make_summary_table, summarize
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_PRIOR, load_checkpoint
from unblur.checkpoints.latent_spaces import LoadedLatentSpace, open_latent_space
from unblur.datasets import DataSource, Pair, PhotoFolder
from unblur.datasets.photo_folder import compute_photos_fingerprint
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.errors import UnblurError
from unblur.evaluation.measure import measure
from unblur.evaluation.metric import NIQE
from unblur.evaluation.peers.planes import to_pixels, to_planes
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Row, read_rows, to_csv
from unblur.metrics.niqe import BLOCK_PX
from unblur.models import GlowConfig, GlowDeblur, GlowRestorer
from unblur.models.samplers import Sampling
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.recipes.glow import glow, glow_joint
from unblur.restoration.device import choose_device
from unblur.training.allocator import keep_freed_memory
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.objective_settings import GlowTraining
from unblur.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class GlowStudy:
    """Settings of all runs; stored as study.json in the output folder."""

    steps: int
    """Number of updates of the pretraining."""
    joint_steps: int
    """Number of updates of the fine-tuning on `sources`."""
    cache_size: int
    """Number of patches whose frozen features are cached and reused by each stage."""
    seed: int
    sources: tuple[DataSource, ...]
    """Data sets to fine-tune on, in equal shares."""
    sampling: Sampling
    validation: ValidationSet
    encoder: str
    """SHA-256 of the encoder."""
    decoder: str
    prior: str
    """SHA-256 of the semantic prior."""
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""


@dataclass(frozen=True, kw_only=True)
class AblationContext:
    """Inputs and outputs of the ablation."""

    folder: Path
    photos: Path
    encoder: Path
    prior: Path | None
    """Checkpoint of the semantic prior; None is the bundled one."""
    device: str = "cpu"
    report: Report = lambda _what, _done, _of: None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One line of the table: a run, and the conditions that its network gets."""

    title: str
    run: str
    """Name of the folder of the run."""
    aligned: bool = True
    pretrained: bool = True
    motion: bool = True
    semantics: bool = True


VARIANTS = (
    Variant(title="everything", run="everything"),
    Variant(title="no motion", run="everything", motion=False),
    Variant(title="no semantics", run="everything", semantics=False),
    Variant(title="no alignment", run="no-alignment", aligned=False),
    Variant(title="no BPP", run="no-bpp", pretrained=False),
)


def make_ablation_settings(
    context: AblationContext,
    space: LoadedLatentSpace,
    held_out: Path,
    sources: tuple[DataSource, ...],
    *,
    steps: int,
    joint_steps: int,
    cache_size: int,
    seed: int,
    sampling: Sampling,
    validation: ValidationSet,
) -> GlowStudy:
    """Return the settings, with fingerprints of all inputs. Raises UnblurError when the prior cannot be read."""
    return GlowStudy(
        steps=steps,
        joint_steps=joint_steps,
        cache_size=cache_size,
        seed=seed,
        sources=sources,
        sampling=sampling,
        validation=validation,
        encoder=space.encoder_sha256,
        decoder=space.decoder_sha256,
        prior=load_checkpoint(context.prior or BUNDLED_PRIOR).sha256,
        photos=compute_photos_fingerprint(context.photos),
        held_out=compute_photos_fingerprint(held_out),
    )


def load_ablation_protocol() -> Protocol:
    """Return the prior ablation's protocol with NIQE. Raises UnblurError without the weights of ST-LPIPS."""
    plain = load_prior_protocol()
    return replace(plain, name="glow-study", source="Ours.", metrics=(*plain.metrics, NIQE))


def measure_variant(
    variant: Variant,
    study: GlowStudy,
    context: AblationContext,
    space: LoadedLatentSpace,
    pairs: list[Pair],
    protocol: Protocol,
) -> list[Row]:
    """Return the rows of `variant`, which is trained and measured if that has not been done. Raises UnblurError."""
    table = context.folder / f"{variant.title.replace(' ', '-')}.csv"
    if not table.exists():
        sha256, restore = open_variant(variant, study, context, space)
        measured = []
        for row in measure(pairs, restore, sha256, protocol):
            measured.append(row)
            context.report(f"{variant.title}: measuring", len(measured), len(pairs))
        write_atomically(table, to_csv(measured).encode())
    return read_rows(table)


def open_variant(
    variant: Variant, study: GlowStudy, context: AblationContext, space: LoadedLatentSpace
) -> tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]:
    """Return the SHA-256 of a variant's weights, trained if necessary, and a function that restores with them.

    The function restores whole images, (H, W, 3) uint8 -> same, without checking its output. Raises UnblurError.
    """
    checkpoint = load_checkpoint(train_variant(variant, study, context))
    restorer = GlowRestorer(
        cast(GlowDeblur, checkpoint.model),
        space.space.decoder,
        study.sampling,
        encoder=space.space.encoder,
        motion=variant.motion,
        semantics=variant.semantics,
        seed=study.seed,
    )
    restorer = restorer.to(context.device).eval()

    @torch.inference_mode()
    def restore(pixels: NDArray[Any]) -> NDArray[Any]:
        return to_pixels(restorer(to_planes(pixels).to(context.device)))

    return checkpoint.sha256, restore


def compare_images(
    variants: Sequence[Variant],
    study: GlowStudy,
    context: AblationContext,
    space: LoadedLatentSpace,
    pairs: Sequence[Pair],
) -> NDArray[np.uint8]:
    """Draw one row for each pair: blurry, restored by every variant, sharp. Raises UnblurError."""
    columns = [[to_pixels(pair.blurry[None]) for pair in pairs]]
    for variant in variants:
        _, restore = open_variant(variant, study, context, space)
        columns.append([restore(blurry) for blurry in columns[0]])
    columns.append([to_pixels(pair.sharp[None]) for pair in pairs])
    rows: list[NDArray[np.uint8]] = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    return np.concatenate(rows)


def train_variant(variant: Variant, study: GlowStudy, context: AblationContext) -> Path:
    """Train both stages of a variant and return its checkpoint folder. Raises UnblurError."""
    tuned = context.folder / variant.run
    recipe = partial(make_ablation_recipe, cache_size=study.cache_size, seed=study.seed)
    if not variant.pretrained:
        whole = study.steps + study.joint_steps
        return _train(recipe(joint=False, aligned=True, sources=study.sources, steps=whole), tuned, None, context)
    begun = context.folder / f"{variant.run}-pretrained"
    aligned = variant.aligned
    _train(recipe(joint=False, aligned=aligned, sources=(), steps=study.steps), begun, None, context)
    joint = recipe(joint=True, aligned=aligned, sources=study.sources, steps=study.joint_steps)
    return _train(joint, tuned, begun, context)


def _train(recipe: Recipe, run: Path, init: Path | None, context: AblationContext) -> Path:
    train(
        recipe,
        context.photos,
        run,
        init=InitFrom(checkpoint=init, prior=context.prior),
        latent_encoder=context.encoder,
        device=context.device,
        on_step=lambda step, _: context.report(f"{run.name}: training", step, recipe.schedule.steps),
    )
    return run


def make_ablation_recipe(
    *, joint: bool, aligned: bool, sources: tuple[DataSource, ...], steps: int, cache_size: int, seed: int
) -> Recipe:
    """Return the recipe of a stage, with the learning rate of Stage I or of the joint Stage II.

    It trains on `sources` in equal shares, or without any on everything that the simulator knows. Without `aligned` it
    has no pre-reconstruction and no alignment.
    """
    stage = glow_joint() if joint else glow()
    assert isinstance(stage.model, GlowConfig)
    assert isinstance(stage.objective, GlowTraining)
    return replace(
        stage,
        name=f"unblur-study-{'joint' if joint else 'glow'}",
        model=stage.model if aligned else replace(stage.model, pre_reconstruction=None),
        seed=seed,
        data=replace(stage.data, extra_sources=tuple(replace(source, share=1 / len(sources)) for source in sources)),
        objective=replace(stage.objective, cache_size=cache_size),
        schedule=replace(stage.schedule, steps=steps, warmup_steps=min(stage.schedule.warmup_steps, steps // 10)),
    )


def glow_ablation(
    sets: tyro.conf.Positional[list[str]],
    *,
    photos: Path,
    held_out: Path,
    checkpoint: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    init_prior: Path | None = None,
    latent_encoder: Path | None = None,
    bpp_steps: int = 4_000,
    steps: int = 2_000,
    cache_size: int = 2_048,
    sampling_steps: int = 20,
    seed: int = 1,
    size: int = 256,
    only: int | None = None,
    show: tuple[str, ...] = (),
    device: str = "auto",
) -> int:
    """Train GLOWDeblur with and without its parts, and compare what it restores.

    It is pretrained on everything that the simulator knows and then fine-tuned on the data sets; the same without
    alignment; and without pretraining, as long on the data sets alone. The first is measured without motion and without
    semantics, too. An interrupted command continues. Means are over all images and over the severe half. The table is
    also in glow.csv and glow.md in the output folder.

    Args:
        sets: Data sets to tune on, in equal shares: cameras of the simulator (gopro, realblur, rsblur) or folders, as
            in `experiments.cross_dataset`.
        photos: Folder of sharp photographs to train on.
        held_out: Folder of other sharp photographs, for the validation set that is measured on.
        checkpoint: Folder of `unblur train decoder` or `unblur train autoencoder`: the latent space.
        init_prior: Checkpoint folder of `unblur train prior`, instead of the bundled one.
        output: Folder that keeps the runs and tables.
        latent_encoder: File taesana_encoder.pth, where the checkpoint is a decoder.
        bpp_steps: Number of updates of the pretraining.
        steps: Number of updates of the tuning.
        cache_size: Number of patches whose frozen features are cached and reused by each stage.
        sampling_steps: Number of denoiser steps for each image.
        seed: Random seed of initial weights, patches and noise.
        size: Side of the validation set's pictures in pixels.
        show: Patterns of names: such pictures of the validation set are laid side by side in glow.png.
        only: Number of one line, from 0, instead of all: processes can share the work before the table is made.
        device: auto, cpu, cuda, ...
    """
    if min(bpp_steps, steps, cache_size, sampling_steps) < 1:
        raise UnblurError("--bpp-steps, --steps, --cache-size and --sampling-steps must be at least 1.")
    if size < 2 * BLOCK_PX:
        raise UnblurError(f"NIQE measures nothing of {size} px; give a --size of at least {2 * BLOCK_PX}.")
    variants = select_one(VARIANTS, only, "line")
    sources = {text: find_training_source(text) for text in sets}
    found = tuple(source for source in sources.values() if source is not None)
    if len(found) < len(sets) or not found:
        lacking = ", ".join(text for text, source in sources.items() if source is None) or "The experiment"
        raise UnblurError(f"{lacking} has no pairs for training; give data sets to tune on, each once.")
    protocol = load_ablation_protocol()
    where = choose_device(device)
    space = open_latent_space(checkpoint, latent_encoder, None, where)
    keep_freed_memory()
    with closing(ProgressBars()) as bars:
        context = AblationContext(
            folder=output,
            photos=photos,
            encoder=latent_encoder or checkpoint,
            prior=init_prior,
            device=str(where),
            report=bars,
        )
        study = make_ablation_settings(
            context,
            space,
            held_out,
            found,
            steps=bpp_steps,
            joint_steps=steps,
            cache_size=cache_size,
            seed=seed,
            sampling=Sampling(steps=sampling_steps),
            validation=replace(ValidationSet(), size_px=size),
        )
        lock_settings(output, study)
        pairs = list(simulate_validation_pairs(PhotoFolder(held_out), study.validation))
        rows = {}
        for variant in variants:
            rows[variant.title] = measure_variant(variant, study, context, space, pairs, protocol)
            sys.stderr.write(f"{variant.title}: measured\n")
        shown = [pair for pair in pairs if any(fnmatchcase(pair.name, pattern) for pattern in show)]
        if shown:
            write_photo(Photo(pixels=compare_images(variants, study, context, space, shown)), output / "glow.png")
    title = (
        f"{len(pairs)} pictures; {bpp_steps} steps of pretraining and {steps} of tuning on {', '.join(sets)}, or "
        f"{bpp_steps + steps} without pretraining, {cache_size} patches each; "
        f"seed {seed}, {sampling_steps} sampling steps."
    )
    lines = summarize(rows)
    write_table(output, "glow", title, make_summary_table(lines).markdown(), make_summary_csv({"validation": lines}))
    return 0


if __name__ == "__main__":
    sys.exit(run(glow_ablation))
