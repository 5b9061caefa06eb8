"""What GLOWDeblur's parts do: the whole, and the same without motion, semantics, alignment or blur pattern pretraining.

One network is pretrained on everything that the simulator knows, then tuned on the data sets of the study. It is also
measured with motion, or semantics, withheld: a tenth of its examples in training taught it to do without. What has no
alignment or no pretraining is trained for itself, with as many updates: without pretraining, all of them on the data
sets of the study. Every run and every measurement has a place in the study's folder and is not done again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_PRIOR, load_checkpoint
from unblur.checkpoints.latent_spaces import FoundSpace
from unblur.datasets import Ingredient, Pair
from unblur.datasets.photo_folder import photos_fingerprint
from unblur.datasets.validation import ValidationSet
from unblur.evaluation.measure import measure
from unblur.evaluation.metric import NIQE
from unblur.evaluation.peers.planes import pixels_of, planes_of
from unblur.evaluation.protocol import Protocol
from unblur.evaluation.row import Row, read_rows, to_csv
from unblur.models import GlowDeblur, GlowRestorer
from unblur.models.samplers import Sampling
from unblur.recipes.glow_study import glow_study
from unblur.studies.prior_scores import study_protocol
from unblur.studies.rows import Report
from unblur.training.loop import train
from unblur.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class GlowStudy:
    """What all runs of a study have in common; `study.json` in its folder."""

    steps: int
    """Of pretraining."""
    joint_steps: int
    """Of tuning on `sources`."""
    kept: int
    """Patches that each stage shows again and again."""
    seed: int
    sources: tuple[Ingredient, ...]
    """Data sets that are tuned on, in equal shares."""
    sampling: Sampling
    validation: ValidationSet
    encoder: str
    """SHA-256 of its weights."""
    decoder: str
    prior: str
    """SHA-256 of the semantic prior's."""
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where a study finds what it needs, and keeps what it makes."""

    folder: Path
    photos: Path
    encoder: Path
    prior: Path | None
    """None is the bundled one."""
    device: str = "cpu"
    report: Report = lambda _what, _done, _of: None


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A line of the table: a run, and what its restorer is told."""

    title: str
    run: str
    """Its folder."""
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


def settings_of(
    places: Places,
    space: FoundSpace,
    held_out: Path,
    sources: tuple[Ingredient, ...],
    *,
    steps: int,
    joint_steps: int,
    kept: int,
    seed: int,
    sampling: Sampling,
    validation: ValidationSet,
) -> GlowStudy:
    """The study, with the names of all that it looks at. Raises UnblurError when the prior cannot be read."""
    return GlowStudy(
        steps=steps,
        joint_steps=joint_steps,
        kept=kept,
        seed=seed,
        sources=sources,
        sampling=sampling,
        validation=validation,
        encoder=space.encoder_sha256,
        decoder=space.decoder_sha256,
        prior=load_checkpoint(places.prior or BUNDLED_PRIOR).sha256,
        photos=photos_fingerprint(places.photos),
        held_out=photos_fingerprint(held_out),
    )


def glow_protocol() -> Protocol:
    """That of the prior's study, and NIQE. Raises UnblurError when the weights of ST-LPIPS are missing."""
    plain = study_protocol()
    return replace(plain, name="glow-study", source="Ours.", metrics=(*plain.metrics, NIQE))


def rows_of(
    variant: Variant, study: GlowStudy, places: Places, space: FoundSpace, pairs: list[Pair], protocol: Protocol
) -> list[Row]:
    """The measurements of `variant`; what is not there yet is trained and measured. Raises UnblurError."""
    table = places.folder / f"{variant.title.replace(' ', '-')}.csv"
    if not table.exists():
        sha256, restore = restorer_of(variant, study, places, space)
        measured = []
        for row in measure(pairs, restore, sha256, protocol):
            measured.append(row)
            places.report(f"{variant.title}: measuring", len(measured), len(pairs))
        write_atomically(table, to_csv(measured).encode())
    return read_rows(table)


def restorer_of(
    variant: Variant, study: GlowStudy, places: Places, space: FoundSpace
) -> tuple[str, Callable[[NDArray[Any]], NDArray[Any]]]:
    """SHA-256 of a variant's weights, trained if they are not there yet, and what restores with them.

    It restores whole pictures, (H, W, 3) uint8 -> same, whatever comes out. Raises UnblurError.
    """
    checkpoint = load_checkpoint(trained(variant, study, places))
    restorer = GlowRestorer(
        cast(GlowDeblur, checkpoint.model),
        space.space.decoder,
        study.sampling,
        encoder=space.space.encoder,
        motion=variant.motion,
        semantics=variant.semantics,
        seed=study.seed,
    )
    restorer = restorer.to(places.device).eval()

    @torch.inference_mode()
    def restore(pixels: NDArray[Any]) -> NDArray[Any]:
        return pixels_of(restorer(planes_of(pixels).to(places.device)))

    return checkpoint.sha256, restore


def side_by_side(
    variants: Sequence[Variant], study: GlowStudy, places: Places, space: FoundSpace, pairs: Sequence[Pair]
) -> NDArray[np.uint8]:
    """A picture: a row for each pair, blurry, as every variant restores it, sharp. Raises UnblurError."""
    columns = [[pixels_of(pair.blurry[None]) for pair in pairs]]
    for variant in variants:
        _, restore = restorer_of(variant, study, places, space)
        columns.append([restore(blurry) for blurry in columns[0]])
    columns.append([pixels_of(pair.sharp[None]) for pair in pairs])
    rows: list[NDArray[np.uint8]] = [np.concatenate(row, axis=1) for row in zip(*columns, strict=True)]
    return np.concatenate(rows)


def trained(variant: Variant, study: GlowStudy, places: Places) -> Path:
    """The checkpoint folder of a variant after both stages. Raises UnblurError."""
    tuned = places.folder / variant.run
    recipe = partial(glow_study, kept=study.kept, seed=study.seed)
    if not variant.pretrained:
        whole = study.steps + study.joint_steps
        return _trained(recipe(joint=False, aligned=True, sources=study.sources, steps=whole), tuned, None, places)
    begun = places.folder / f"{variant.run}-pretrained"
    aligned = variant.aligned
    _trained(recipe(joint=False, aligned=aligned, sources=(), steps=study.steps), begun, None, places)
    joint = recipe(joint=True, aligned=aligned, sources=study.sources, steps=study.joint_steps)
    return _trained(joint, tuned, begun, places)


def _trained(recipe: Recipe, run: Path, start_from: Path | None, places: Places) -> Path:
    train(
        recipe,
        places.photos,
        run,
        start_from=start_from,
        prior_from=places.prior,
        encoder_from=places.encoder,
        device=places.device,
        on_step=lambda step, _: places.report(f"{run.name}: training", step, recipe.steps),
    )
    return run
