"""Measure how similar a semantic prior's features of a blurry photograph are to its teacher's of the sharp one.

The claim that this measures: in the features of a network of another task, a blurry photograph is close to the sharp
one (Wang et al. 2023, arXiv 2302.06898), and a student that learnt across levels comes closer. How the paper measures
it is not known. Here nearness is the cosine of the angle between features, which has no unit: at every place, which is
about sharp local structure, and of means over 4 x 4 regions of the photograph, which is about global context. So that
features can be held against the colours of pixels, there is also the distance that blur moves a place, as a share of
the distance between any two places of all sharp photographs (root mean squares; see `spreads`).

A two-pass student also gets the restoration by the bundled weights.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Annotated

import torch
import torch.nn.functional as F
import tyro
from torch import Tensor, nn
from tqdm import tqdm

from experiments.harness import run
from unblur.app.output_file import make_write_error, write_output
from unblur.atomic import write_atomically
from unblur.checkpoints.folder import BUNDLED_PRIOR, Checkpoint, load_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import Pair, PairFolder
from unblur.errors import UnblurError
from unblur.evaluation.score_plots import COLOURS, DOTS_PER_INCH, SIDE_INCHES, check_plottable, encode_figure
from unblur.evaluation.tables import Table
from unblur.metrics import psnr
from unblur.models import SemanticPrior
from unblur.models.features import FeatureLevel
from unblur.models.semantic_prior import compute_features
from unblur.restoration.device import choose_device
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer
from unblur.training.losses import compute_mean_cosine

PARTS = 5
"""Number of parts of the pairs, by the severity of blur."""

REGIONS = 4
"""Rows and columns of them."""


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One pair at one level, compared with the teacher's features of the sharp photograph: means over positions."""

    image: str
    psnr_db: float
    """PSNR of the blurry photograph: the severity of its blur."""
    stride_px: int
    teacher: float
    """Cosine between the teacher's features of the blurry and the sharp photograph."""
    student: float
    """Cosine between the student's features and the teacher's of the sharp photograph."""
    teacher_regions: float
    """Cosine as in `teacher`, of means over regions."""
    student_regions: float
    pixels_moved: float
    """Distance by blur, as a share of the spread of colours; the same at every level."""
    teacher_moved: float
    """The same for the teacher's features."""
    student_moved: float
    """The same for the student's features."""
    checkpoint: str
    """SHA-256 of the weights."""


@dataclass(frozen=True, kw_only=True)
class Spreads:
    """Root mean square distances between two places of sharp photographs, drawn at random."""

    pixels: float
    """Spread of colours in [0, 1]."""
    levels: tuple[float, ...]
    """Spread of the teacher's features, finest first."""


@dataclass(frozen=True, kw_only=True)
class Severity:
    """Means over the pairs of one severity, each of the lists a number for every level."""

    pairs: int
    psnr_db: float
    teacher: tuple[float, ...]
    student: tuple[float, ...]
    teacher_regions: tuple[float, ...]
    student_regions: tuple[float, ...]
    pixels_moved: float
    teacher_moved: tuple[float, ...]
    student_moved: tuple[float, ...]

    @property
    def closed(self) -> float:
        """Share of the gap to a cosine of 1 that the student has closed at places, mean over levels."""
        return _compute_closed_share(self.teacher, self.student)

    @property
    def closed_regions(self) -> float:
        """The same of means over regions."""
        return _compute_closed_share(self.teacher_regions, self.student_regions)


def load_prior(source: str | Path | None, device: torch.device) -> tuple[SemanticPrior, nn.Module, str]:
    """Return a checkpoint of `unblur train prior`, or the bundled one, its teacher and its SHA-256.

    Raises UnblurError.
    """
    student, checkpoint = open_prior(source)
    return student.to(device), load_teacher(student.config.backbone).to(device), checkpoint.sha256


@torch.inference_mode()
def compute_spreads(sharps: Iterable[Tensor], teacher: nn.Module) -> Spreads:
    """Compute the spread over all positions of the sharp photographs, (3, H, W) in [0, 1] and of any size.

    The mean square distance between two values drawn at random is twice their variance. Raises UnblurError when there
    are not photographs.
    """
    device = next(teacher.parameters()).device
    sums: list[tuple[Tensor, Tensor, int]] = []
    for sharp in sharps:
        photo = sharp[None].to(device)
        maps = [values.double().flatten(2)[0] for values in (photo, *compute_features(teacher, photo))]
        found = [(values.sum(1), values.square().sum(1), values.shape[1]) for values in maps]
        before = sums or [(torch.zeros_like(one), torch.zeros_like(one), 0) for one, _, _ in found]
        sums = [(a + d, b + e, c + f) for (a, b, c), (d, e, f) in zip(before, found, strict=True)]
    if not sums:
        raise UnblurError("There are no pairs to measure; give at least one folder with blurry/ and sharp/.")
    variances = [(squares / count - (total / count).square()).sum().item() for total, squares, count in sums]
    pixels, *levels = ((2 * variance) ** 0.5 for variance in variances)
    return Spreads(pixels=pixels, levels=tuple(levels))


@torch.inference_mode()
def measure_similarity(
    pairs: Iterable[Pair],
    student: SemanticPrior,
    teacher: nn.Module,
    spread: Spreads,
    checkpoint: str,
    restorer: Restorer | None = None,
) -> Iterator[FeatureRow]:
    """Yield one row for each pair and level, finest first. A two-pass student also gets the results of `restorer`."""
    device = next(student.parameters()).device
    for pair in pairs:
        blurry, sharp = (side[None].to(device) for side in (pair.blurry, pair.sharp))
        restored = None if restorer is None else restorer.restore(pair.blurry)[None].to(device)
        sharp_features, blurry_features = compute_features(teacher, sharp), compute_features(teacher, blurry)
        predicted = student(blurry, restored)
        for place, level in enumerate(student.levels):
            yield FeatureRow(
                image=pair.name,
                psnr_db=float(psnr(blurry, sharp)),
                stride_px=level.stride_px,
                teacher=compute_mean_cosine(blurry_features[place], sharp_features[place]),
                student=compute_mean_cosine(predicted[place], sharp_features[place]),
                teacher_regions=compute_mean_cosine(
                    _average_regions(blurry_features[place]), _average_regions(sharp_features[place])
                ),
                student_regions=compute_mean_cosine(
                    _average_regions(predicted[place]), _average_regions(sharp_features[place])
                ),
                pixels_moved=compute_distance(blurry, sharp) / spread.pixels,
                teacher_moved=compute_distance(blurry_features[place], sharp_features[place]) / spread.levels[place],
                student_moved=compute_distance(predicted[place], sharp_features[place]) / spread.levels[place],
                checkpoint=checkpoint,
            )


def compute_distance(features: Tensor, others: Tensor) -> float:
    """Return the root mean square over places of the distance between features. Shape: (1, C, H, W) each."""
    return (features.float() - others.float()).square().sum(1).mean().sqrt().item()


def make_similarity_csv(rows: Iterable[FeatureRow]) -> str:
    """Return the rows with a header line."""
    lines = tuple(
        (
            row.image,
            f"{row.psnr_db:.3f}",
            str(row.stride_px),
            *(f"{cosine:.5f}" for cosine in (row.teacher, row.student, row.teacher_regions, row.student_regions)),
            *(f"{share:.5f}" for share in (row.pixels_moved, row.teacher_moved, row.student_moved)),
            row.checkpoint,
        )
        for row in rows
    )
    cosines = ("teacher", "student", "teacher_regions", "student_regions")
    moved = ("pixels_moved", "teacher_moved", "student_moved")
    return Table(header=("image", "psnr_db", "stride_px", *cosines, *moved, "checkpoint"), lines=lines).csv()


def group_by_severity(rows: Sequence[FeatureRow], levels: Sequence[FeatureLevel]) -> list[Severity]:
    """Group the pairs into fifths by the PSNR of the blurry photograph, least blurry first; fewer where pairs are."""
    per_pair = [rows[start : start + len(levels)] for start in range(0, len(rows), len(levels))]
    per_pair.sort(key=lambda members: -members[0].psnr_db)
    count = min(PARTS, len(per_pair))
    bounds = [part * len(per_pair) // count for part in range(count + 1)]

    def means(pairs: Sequence[Sequence[FeatureRow]], name: str) -> tuple[float, ...]:
        return tuple(fmean(getattr(pair[place], name) for pair in pairs) for place in range(len(levels)))

    return [
        Severity(
            pairs=len(members),
            psnr_db=fmean(pair[0].psnr_db for pair in members),
            teacher=means(members, "teacher"),
            student=means(members, "student"),
            teacher_regions=means(members, "teacher_regions"),
            student_regions=means(members, "student_regions"),
            pixels_moved=fmean(pair[0].pixels_moved for pair in members),
            teacher_moved=means(members, "teacher_moved"),
            student_moved=means(members, "student_moved"),
        )
        for members in (per_pair[start:stop] for start, stop in pairwise(bounds))
    ]


def make_similarity_table(severities: Sequence[Severity], levels: Sequence[FeatureLevel]) -> Table:
    """Tabulate cosines at positions, teacher -> student, and the shares of the gap to 1 that the student closes."""
    lines = tuple(
        (
            str(one.pairs),
            f"{one.psnr_db:.2f}",
            *(f"{before:.3f} -> {after:.3f}" for before, after in zip(one.teacher, one.student, strict=True)),
            f"{one.closed:.0%}",
            f"{one.closed_regions:.0%}",
        )
        for one in severities
    )
    heads = (f"stride {level.stride_px}" for level in levels)
    return Table(header=("pairs", "PSNR", *heads, "gap closed", "of regions"), lines=lines)


def make_distance_table(severities: Sequence[Severity], levels: Sequence[FeatureLevel]) -> Table:
    """Tabulate the distance of pixels and features, teacher -> student, in shares of the spread over photographs."""
    lines = tuple(
        (
            str(one.pairs),
            f"{one.psnr_db:.2f}",
            f"{one.pixels_moved:.3f}",
            *(
                f"{before:.3f} -> {after:.3f}"
                for before, after in zip(one.teacher_moved, one.student_moved, strict=True)
            ),
        )
        for one in severities
    )
    heads = (f"stride {level.stride_px}" for level in levels)
    return Table(header=("pairs", "PSNR", "pixels", *heads), lines=lines)


def _average_regions(features: Tensor) -> Tensor:
    """Average over regions, (1, C, H, W) -> (1, C, REGIONS, REGIONS)."""
    return F.adaptive_avg_pool2d(features.float(), REGIONS)


def _compute_closed_share(before: Sequence[float], after: Sequence[float]) -> float:
    """Return the mean over levels; 0 where there is no gap."""
    pairs = zip(before, after, strict=True)
    return fmean((student - teacher) / (1 - teacher) if teacher < 1 else 0.0 for teacher, student in pairs)


def plot_similarity(severities: Sequence[Severity], levels: Sequence[FeatureLevel], path: Path) -> None:
    """Write a PNG; equal rows give equal bytes. Raises UnblurError without matplotlib, OSError from the disk."""
    check_plottable()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2 * SIDE_INCHES, SIDE_INCHES), dpi=DOTS_PER_INCH, layout="constrained")
    cosines, distances = figure.subplots(1, 2)
    places = range(len(severities))
    for index, level in enumerate(levels):
        colour = COLOURS[index % len(COLOURS)]
        similarities = [(one.teacher[index], one.student[index]) for one in severities]
        moved = [(one.teacher_moved[index], one.student_moved[index]) for one in severities]
        for panel, pairs in ((cosines, similarities), (distances, moved)):
            teacher, student = zip(*pairs, strict=True)
            panel.plot(places, teacher, "o--", color=colour, markersize=3)
            panel.plot(places, student, "o-", color=colour, markersize=4, label=f"stride {level.stride_px}")
    distances.plot(places, [one.pixels_moved for one in severities], color="#222222", linewidth=2, label="pixels")
    cosines.set_ylabel("cosine with the teacher's features of the sharp photograph")
    distances.set_ylabel("moved by blur, share of the spread over photographs")
    severe = severities[-1]
    closed = f"{severe.closed:.0%} at places, {severe.closed_regions:.0%} of regions"
    cosines.set_title(f"of the gap, closed in the severe fifth: {closed}", fontsize=9)
    distances.set_title("blurry against sharp", fontsize=9)
    for panel in (cosines, distances):
        panel.set_xticks(list(places), [f"{one.psnr_db:.1f}" for one in severities])
        panel.set_xlabel("fifths of the pairs, mean PSNR in dB; dashed: teacher, whole: student")
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8)
    write_atomically(path, encode_figure(figure))


def open_prior(source: str | Path | None) -> tuple[SemanticPrior, Checkpoint]:
    """Return the student of a checkpoint, None for the bundled one, and the checkpoint. Raises UnblurError."""
    checkpoint = load_checkpoint(BUNDLED_PRIOR if source is None else source)
    if not isinstance(checkpoint.model, SemanticPrior):
        raise UnblurError(f"{checkpoint.folder} holds no semantic prior; give a checkpoint of `unblur train prior`.")
    return checkpoint.model, checkpoint


def feature_similarity(
    folders: tyro.conf.Positional[list[Path]],
    *,
    checkpoint: str | None = None,
    once: bool = False,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    plot: Path | None = None,
    device: str = "auto",
) -> int:
    """Measure a semantic prior: how like the teacher's features of the sharp photograph its own are, before and after.

    Fifths of the pairs go from mild to severe blur. The second table holds features against pixels: how far blur moves
    them, as a share of how far places of sharp photographs lie apart.

    Args:
        folders: Data sets with blurry/ and sharp/; their pairs count together.
        checkpoint: Made by `unblur train prior`, instead of the bundled one: a folder or a hub id.
        once: Let a prior that looks twice see the blurry photographs alone, not also what the bundled weights restore
            of them.
        csv: File for one row a pair and level.
        plot: PNG file for a figure; needs `pip install 'unblur[plots]'`.
        device: auto, cpu, cuda, ...
    """
    if plot is not None:
        check_plottable()
    student, teacher, sha256 = load_prior(checkpoint, choose_device(device))
    sets = [PairFolder(folder) for folder in folders]
    spread = compute_spreads((pair.sharp for pairs in sets for pair in pairs), teacher)
    bar = tqdm((pair for pairs in sets for pair in pairs), unit="pair", disable=not sys.stderr.isatty())
    restorer = load(device=device, shake="off") if student.config.two_pass and not once else None
    rows = list(measure_similarity(bar, student, teacher, spread, sha256, restorer))
    severities = group_by_severity(rows, student.levels)
    suffix = "" if restorer is None else ", with a second pass over the restoration of the bundled weights"
    sys.stdout.write(
        f"Cosine with the teacher's features of the sharp photograph, teacher -> student: {sha256[:12]}{suffix}\n\n"
        f"{make_similarity_table(severities, student.levels).markdown()}\n"
        "Moved by blur, in shares of the distance between any two places of the sharp photographs\n\n"
        f"{make_distance_table(severities, student.levels).markdown()}"
    )
    if csv is not None:
        write_output(csv, make_similarity_csv(rows).encode())
    if plot is not None:
        try:
            plot_similarity(severities, student.levels, plot)
        except OSError as error:
            raise make_write_error(plot, error) from error
    return 0


if __name__ == "__main__":
    sys.exit(run(feature_similarity))
