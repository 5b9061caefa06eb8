"""What is gained where blur is mild and where it is severe: fifths of the images, told by how blurry they are.

By the PSNR of the blurry photograph, as its protocol measures it, or by the length of its blur. The severe images are
the worst fifth. From measured rows and, for the length, the motion; nothing is restored here.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

from unblur.errors import UnblurError
from unblur.evaluation.row import Row
from unblur.evaluation.score_plots import finite_rows
from unblur.evaluation.tables import Table

FIFTHS = ("1, mildest", "2", "3", "4", "5, severe")


@dataclass(frozen=True, kw_only=True)
class Fifth:
    """The images of one severity."""

    mildest: float
    """Of its images, in dB or pixels."""
    severest: float
    images: int
    gains_db: tuple[float, ...]
    """Mean gain of every run."""


@dataclass(frozen=True, kw_only=True)
class SeverityStudy:
    """Runs over the same images, side by side."""

    runs: tuple[str, ...]
    measure: str
    """What severity is told by, with its unit."""
    fifths: tuple[Fifth | None, ...]
    """Mildest first; None where no image is, because many are equally severe."""
    whole: Fifth
    left_out: int
    """Images that equal their sharp twins: their PSNR is infinite."""


def by_psnr(runs: Mapping[str, Sequence[Row]]) -> SeverityStudy:
    """Severity is the PSNR of the blurry photograph: the lower, the more severe. Raises UnblurError, see `_study`."""
    first = next(iter(runs.values()), ())
    severity = {row.image: -row.scores["psnr_before_db"] for row in finite_rows(first)}
    return _study(runs, severity, "PSNR before, dB", sign=-1)


def by_length(runs: Mapping[str, Sequence[Row]], lengths_px: Mapping[str, float]) -> SeverityStudy:
    """Severity is the mean length of the blur's paths in pixels, by the name of the image without its suffix.

    Raises UnblurError for an image whose length is not there, and see `_study`.
    """
    severity = {}
    for row in finite_rows(next(iter(runs.values()), ())):
        stem = row.image.rpartition(".")[0] or row.image
        if stem not in lengths_px:
            raise UnblurError(f"The motion of {row.image} is not known; give the folder that was measured.")
        severity[row.image] = lengths_px[stem]
    return _study(runs, severity, "length of blur, px", sign=1)


def fifths(severity: Mapping[str, float]) -> list[list[str]]:
    """Images in five parts, mildest first; equal severities lie in the same part, so parts may be empty."""
    bounds = quantiles(severity.values(), n=len(FIFTHS), method="inclusive")
    parts: list[list[str]] = [[] for _ in FIFTHS]
    for image, value in severity.items():
        parts[bisect_left(bounds, value)].append(image)
    return parts


def severity_table(study: SeverityStudy) -> Table:
    """One line a fifth and one for all; gains are means over images, in dB."""
    lines = [
        (title, *(_cells(fifth) if fifth else ("-", "0", *("-" for _ in study.runs))))
        for title, fifth in zip(FIFTHS, study.fifths, strict=True)
    ]
    gains = [f"{run}, gain dB" for run in study.runs]
    return Table(header=("fifth", study.measure, "images", *gains), lines=(*lines, ("all", *_cells(study.whole))))


def _study(runs: Mapping[str, Sequence[Row]], severity: Mapping[str, float], measure: str, sign: int) -> SeverityStudy:
    """Raises UnblurError where runs are not over the same images, and where images are fewer than fifths."""
    if not runs:
        raise UnblurError("There is nothing to compare; give at least one CSV of `unblur evaluate`.")
    (first, rows), *others = runs.items()
    for name, other in others:
        if _pictures(other) != _pictures(rows):
            raise UnblurError(f"{first} and {name} did not measure the same images alike; compare those that did.")
    # An image that one network has restored perfectly would leave the fifth without a mean.
    finite = set.intersection(*({row.image for row in finite_rows(run)} for run in runs.values()))
    values = {image: value for image, value in severity.items() if image in finite}
    if len(values) < len(FIFTHS):
        raise UnblurError(f"{first} has {len(values)} images with a finite PSNR; fifths need at least {len(FIFTHS)}.")
    gains = [{row.image: row.gain_db for row in run} for run in runs.values()]
    members = fifths(values)

    def fifth(images: Sequence[str]) -> Fifth:
        told = [sign * values[image] for image in images]
        mildest, severest = (min(told), max(told)) if sign > 0 else (max(told), min(told))
        means = tuple(fmean(of_run[image] for image in images) for of_run in gains)
        return Fifth(mildest=mildest, severest=severest, images=len(images), gains_db=means)

    return SeverityStudy(
        runs=tuple(runs),
        measure=measure,
        fifths=tuple(fifth(images) if images else None for images in members),
        whole=fifth(list(values)),
        left_out=len(rows) - len(values),
    )


def _pictures(rows: Sequence[Row]) -> tuple[object, ...]:
    """What must be equal of two runs to be compared image by image."""
    conditions = rows[0].conditions
    return conditions.data_set, conditions.pictures, conditions.protocol, {row.image for row in rows}


def _cells(fifth: Fifth) -> tuple[str, ...]:
    reach = f"{fifth.mildest:.2f} to {fifth.severest:.2f}"
    return reach, str(fifth.images), *(f"{gain:+.2f}" for gain in fifth.gains_db)
