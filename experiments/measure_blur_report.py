"""Measure how often the blur report is right on simulated photographs.

`python -m experiments.measure_blur_report FILE... -o FOLDER` compares the report with the truth on examples of
`experiments.blur_examples`, whose photographs must not be those that the rule was fitted on.

What counts as agreement: the kind of the report is the kind that was simulated, whatever its confidence. Length and
direction are compared with the true ones where the kind is right: the length with the median diagonal of the box around
the true paths of the places that moved, or with the diameter of the disk; the direction with the mean of the true
directions, for paths of at least 8 px whose start and end are more than half as far apart as they are long.
"""

import math
import statistics
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from experiments.blur_examples import BlurExample, open_examples
from experiments.harness import run, write_table
from unblur.config import from_json
from unblur.errors import UnblurError
from unblur.restoration.blur_report import KINDS
from unblur.restoration.blur_rule import BUNDLED_RULE, BlurRule
from unblur.restoration.inspect import strength

SHORTEST_DIRECTED_PX, STRAIGHTEST = 8.0, 0.5
"""Paths whose direction is compared: as long as this in pixels, and their ends as far apart as this share of it."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A report and the truth, one line of the table of single photographs."""

    photo: str
    kind: str
    noisy: bool
    compressed: bool
    reported: str
    confidence: float
    reported_noisy: bool
    noise_level: float
    length_px: float
    """The true length, median over the places that moved, or diameter."""
    reported_length_px: float
    direction_error_degrees: float | None


def measure(
    examples: tyro.conf.Positional[tuple[Path, ...]],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    rule: Path = BUNDLED_RULE,
) -> int:
    """Measure the blur report.

    Args:
        examples: Files of examples.
        output: Folder of the tables.
        rule: The rule of the report.
    """
    if not rule.is_file():
        raise UnblurError(f"{rule} is missing; write it by python -m experiments.fit_blur_report.")
    fitted = from_json(rule.read_text(encoding="utf-8"), BlurRule, rule)
    compared = [comparison(example, fitted) for example in open_examples(examples)]
    title = f"Blur report on {len(compared)} simulated photographs"
    write_table(output, "blur_report", title, confusion(compared), _csv(compared))
    return 0


def comparison(example: BlurExample, rule: BlurRule) -> Comparison:
    """Return what `rule` reports of an example beside the truth."""
    probabilities = rule.photo(example.windows)
    reported = KINDS[int(probabilities.argmax())]
    length_px, direction = strength(rule, reported, example.windows, 1)
    true_length_px, true_direction = _truth(example)
    error = None
    if true_direction is not None and direction is not None and reported == example.kind:
        apart = abs(direction - true_direction) % 180
        error = min(apart, 180 - apart)
    return Comparison(
        photo=example.name,
        kind=example.kind,
        noisy=example.noisy,
        compressed=example.compressed,
        reported=reported,
        confidence=float(probabilities.max()),
        reported_noisy=example.noise_level >= rule.noise_level,
        noise_level=example.noise_level,
        length_px=true_length_px,
        reported_length_px=length_px,
        direction_error_degrees=error,
    )


def _truth(example: BlurExample) -> tuple[float, float | None]:
    """The true length in pixels, and the true direction where it is clear."""
    if example.kind == "out of focus":
        return 2 * example.radius_px, None
    x, y = example.doubled.tolist()
    apart = math.hypot(x, y)
    if example.length_px < SHORTEST_DIRECTED_PX or apart < STRAIGHTEST * example.length_px:
        return example.length_px, None
    # Rows grow downwards.
    return example.length_px, math.degrees(math.atan2(-y, x) / 2) % 180


def confusion(compared: list[Comparison]) -> str:
    """Return a table of kinds against reported kinds, and one line for each other number."""
    counts = Counter((one.kind, one.reported) for one in compared)
    lines = [f"| simulated | photographs | {' | '.join(KINDS)} | right |", f"|---|---|{'---|' * len(KINDS)}---|"]
    for kind in KINDS:
        total = sum(counts[kind, other] for other in KINDS)
        cells = " | ".join(str(counts[kind, other]) for other in KINDS)
        right = f"{counts[kind, kind] / total:.1%}" if total else ""
        lines.append(f"| {kind} | {total} | {cells} | {right} |")
    right = sum(counts[kind, kind] for kind in KINDS)
    lines += ["", f"- Agreement: {right} of {len(compared)}, {right / len(compared):.1%}."]
    for noisy, compressed, what in (
        (False, False, "clean"),
        (True, False, "noisy"),
        (False, True, "JPEG"),
        (True, True, "noisy JPEG"),
    ):
        those = [one for one in compared if (one.noisy, one.compressed) == (noisy, compressed)]
        agree = sum(one.kind == one.reported for one in those)
        lines.append(f"- {what}: {agree} of {len(those)}.")
    noise = sum(one.noisy == one.reported_noisy for one in compared)
    lines.append(f"- Noise: {noise} of {len(compared)} are called noisy as they are.")
    for kind in KINDS[1:]:
        those = [one for one in compared if one.kind == one.reported == kind]
        ratios = [one.reported_length_px / one.length_px for one in those if one.length_px > 0]
        if ratios:
            middle = sorted(ratios)
            low, high = (middle[round(share * (len(middle) - 1))] for share in (0.1, 0.9))
            lines.append(
                f"- {kind}: reported length over true length, median {statistics.median(ratios):.2f}, "
                f"from {low:.2f} to {high:.2f} for four fifths."
            )
    errors = [one.direction_error_degrees for one in compared if one.direction_error_degrees is not None]
    if errors:
        lines.append(
            f"- Direction: median error {statistics.median(errors):.0f} degrees, at most 15 degrees in "
            f"{sum(error <= 15 for error in errors)} of {len(errors)}."
        )
    return "\n".join(lines) + "\n"


def _csv(compared: list[Comparison]) -> str:
    rows = [",".join(vars(compared[0]))]
    rows += [",".join("" if value is None else _cell(value) for value in vars(one).values()) for one in compared]
    return "\n".join(rows) + "\n"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(run(measure))
