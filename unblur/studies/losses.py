"""What a network should be taught to make small: short legs from the same weights, alike in everything but the loss."""

from dataclasses import dataclass
from pathlib import Path

from unblur.checkpoints.folder import load_checkpoint
from unblur.datasets.photo_folder import photos_fingerprint
from unblur.studies.rows import Report
from unblur.training.loop import train
from unblur.training.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class LossStudy:
    """What all legs have in common; `study.json` in the study's folder."""

    steps: int
    seed: int
    started_from: str
    """SHA-256 of the weights that all of them begin with."""
    photos: str
    """Fingerprint of the photographs that are trained on."""


def settings_of(photos: Path, start_from: Path, *, steps: int, seed: int) -> LossStudy:
    """The study, with the names of all that it begins with. Raises UnblurError when that cannot be read."""
    return LossStudy(
        steps=steps,
        seed=seed,
        started_from=load_checkpoint(start_from).sha256,
        photos=photos_fingerprint(photos),
    )


def trained(leg: Recipe, photos: Path, start_from: Path, folder: Path, device: str, report: Report) -> Path:
    """The checkpoint of a leg, in `folder`, trained unless that was done before. Raises UnblurError."""
    run = folder / "runs" / leg.name.replace(" ", "-")
    train(
        leg,
        photos,
        run,
        start_from=start_from,
        device=device,
        on_step=lambda step, _: report(f"{leg.name}: training", step, leg.steps),
    )
    return run
