"""Measure how often the blur report is right on simulated photographs.

`python -m experiments.measure_blur_report PHOTOS -o FOLDER` blurs photographs as `experiments.blur_kinds` describes,
inspects them, and compares the reports with the truth. The photographs must not be those of the training.

Agreement means that the most probable kind of the report is the kind that was simulated. Another table counts the
reports that say "uncertain" apart. Length and direction are compared with the true ones where the kind is right: the
length with the median diagonal of the box around the true paths of the places that moved, or with the diameter of the
disk; the direction with the mean of the true directions, for paths of at least 8 px whose start and end are more than
half as far apart as they are long.
"""

import math
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro
from tqdm import tqdm

from experiments.blur_kinds import KnownBlur, simulate
from experiments.harness import run, write_table
from unblur.blur.undirected import to_undirected
from unblur.checkpoints.folder import BUNDLED_BLUR_CLASSIFIER, load_checkpoint
from unblur.datasets.photo_folder import find_photos
from unblur.errors import UnblurError
from unblur.models import BlurClassifier
from unblur.restoration.blur_report import KINDS, BlurReport
from unblur.restoration.inspect import BlurInspector

SHORTEST_DIRECTED_PX, STRAIGHTEST = 8.0, 0.5
"""Paths whose direction is compared: as long as this in pixels, and their ends as far apart as this share of it."""


PROBABILITIES = 0.5, 0.7, 0.9
"""Probabilities above which agreement is counted apart."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A report and the truth, one line of the table of single photographs."""

    photo: str
    kind: str
    noisy: bool
    compressed: bool
    reported: str
    likeliest: str
    confidence: float
    left_alone: bool
    """True if `unblur restore` leaves the photograph as it is."""
    reported_noisy: bool
    noise_level: float
    length_px: float
    """The true length, median over the places that moved, or diameter."""
    reported_length_px: float
    direction_error_deg: float | None


def measure(
    photos: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: Path = BUNDLED_BLUR_CLASSIFIER,
    seed: int = 2,
    threads: int = 1,
) -> int:
    """Measure the blur report.

    Args:
        photos: Folder of sharp photographs.
        output: Folder of the tables.
        checkpoint: Folder of the blur classifier.
        seed: Names everything that is random.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    network = load_checkpoint(checkpoint).model
    if not isinstance(network, BlurClassifier):
        raise UnblurError(f"{checkpoint} holds no blur classifier; train one by experiments.train_blur_classifier.")
    inspector, found = BlurInspector(network), find_photos(photos)
    compared = [
        compare(known, inspector.inspect(known.image))
        for known in tqdm(simulate(found, seed), total=len(KINDS) * len(found), disable=not sys.stderr.isatty())
    ]
    title = f"Blur report on {len(compared)} simulated photographs"
    output.mkdir(parents=True, exist_ok=True)
    write_table(output, "blur_report", title, summarise(compared), _make_csv(compared))
    return 0


def compare(known: KnownBlur, report: BlurReport) -> Comparison:
    """Return a report beside the truth."""
    length_px, direction = _get_truth(known)
    error = None
    if direction is not None and report.direction_deg is not None and report.likeliest == known.kind:
        apart = abs(report.direction_deg - direction) % 180
        error = min(apart, 180 - apart)
    return Comparison(
        photo=known.name,
        kind=known.kind,
        noisy=known.noisy,
        compressed=known.compressed,
        reported=report.kind,
        likeliest=report.likeliest,
        confidence=report.confidence,
        left_alone=report.is_surely_sharp,
        reported_noisy=report.noisy,
        noise_level=report.noise_level,
        length_px=length_px,
        reported_length_px=report.length_px,
        direction_error_deg=error,
    )


def _get_truth(known: KnownBlur) -> tuple[float, float | None]:
    """Return the true length in pixels, and the true direction in degrees where it is clear."""
    moved = known.cells == 1
    if known.kind == "out of focus":
        return 2 * known.radius_px, None
    if not bool(moved.any()):
        return 0.0, None
    length_px = float(known.length_px[moved].median())
    x, y = to_undirected(-known.ends / 2, known.ends / 2)[2:, moved].mean(dim=1).tolist()
    if length_px < SHORTEST_DIRECTED_PX or math.hypot(x, y) < STRAIGHTEST * length_px:
        return length_px, None
    # Rows grow downwards.
    return length_px, math.degrees(math.atan2(-y, x) / 2) % 180


def summarise(compared: list[Comparison]) -> str:
    """Return tables of kinds against reported kinds, and one line for each other number."""
    lines = [*_count_kinds(compared, [one.likeliest for one in compared], KINDS), ""]
    right = sum(one.kind == one.likeliest for one in compared)
    lines += [f"- Agreement of the most probable kind: {right} of {len(compared)}, {right / len(compared):.1%}."]
    certain = [one for one in compared if one.reported != "uncertain"]
    right = sum(one.kind == one.reported for one in certain)
    if certain:
        lines.append(f"- Reports that are not uncertain: {len(certain)}; right: {right}, {right / len(certain):.1%}.")
    for least in PROBABILITIES:
        those = [one for one in compared if one.confidence >= least]
        agree = sum(one.kind == one.likeliest for one in those)
        if those:
            share = f"{len(those) / len(compared):.1%} of the photographs"
            lines.append(f"- Probability of at least {least:.0%}: {share}; right: {agree / len(those):.1%}.")
    alone = [one for one in compared if one.left_alone]
    lines.append(f"- Left alone: {len(alone)}; sharp: {sum(one.kind == 'sharp' for one in alone)}.")
    for noisy, compressed, what in (
        (False, False, "clean"),
        (True, False, "noisy"),
        (False, True, "JPEG"),
        (True, True, "noisy JPEG"),
    ):
        those = [one for one in compared if (one.noisy, one.compressed) == (noisy, compressed)]
        lines.append(f"- {what}: {sum(one.kind == one.likeliest for one in those)} of {len(those)}.")
    noise = sum(one.noisy == one.reported_noisy for one in compared)
    lines.append(f"- Noise: {noise} of {len(compared)} are called noisy as they are.")
    lines += _compare_sizes(compared)
    lines += ["", *_count_kinds(compared, [one.reported for one in compared], (*KINDS, "uncertain"))]
    return "\n".join(lines) + "\n"


def _count_kinds(compared: list[Comparison], reported: list[str], kinds: tuple[str, ...]) -> list[str]:
    """Return a table of simulated kinds against `reported` ones, which have `kinds`."""
    counts = Counter(zip((one.kind for one in compared), reported, strict=True))
    lines = [f"| simulated | photographs | {' | '.join(kinds)} | right |", f"|---|---|{'---|' * len(kinds)}---|"]
    for kind in KINDS:
        total = sum(counts[kind, other] for other in kinds)
        cells = " | ".join(str(counts[kind, other]) for other in kinds)
        lines.append(f"| {kind} | {total} | {cells} | {counts[kind, kind] / max(1, total):.1%} |")
    return lines


def _compare_sizes(compared: list[Comparison]) -> list[str]:
    lines = []
    for kind in KINDS[1:]:
        those = [one for one in compared if one.kind == one.likeliest == kind]
        ratios = sorted(one.reported_length_px / one.length_px for one in those if one.length_px > 0)
        if ratios:
            low, high = (ratios[round(share * (len(ratios) - 1))] for share in (0.1, 0.9))
            lines.append(
                f"- {kind}: reported length over true length, median {statistics.median(ratios):.2f}, "
                f"from {low:.2f} to {high:.2f} for four fifths."
            )
    errors = [one.direction_error_deg for one in compared if one.direction_error_deg is not None]
    if errors:
        lines.append(
            f"- Direction: median error {statistics.median(errors):.0f} degrees, at most 15 degrees in "
            f"{sum(error <= 15 for error in errors)} of {len(errors)}."
        )
    return lines


def _make_csv(compared: list[Comparison]) -> str:
    rows = [",".join(vars(compared[0]))]
    rows += [",".join(map(_format_cell, vars(one).values())) for one in compared]
    return "\n".join(rows) + "\n"


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(run(measure))
