"""`unblur study cost`: what generative restoration costs, and what linear attention saves."""

import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from unblur.app.output_file import write_output
from unblur.errors import UnblurError
from unblur.names import GlowSize

if TYPE_CHECKING:
    from unblur.evaluation.cost import GrowthCost, PartCost, RunCost
    from unblur.evaluation.tables import Table


def cost(
    network: tyro.conf.Positional[GlowSize] = "small",
    *,
    sizes: tuple[str, ...] = ("512x512", "1280x720"),
    steps: tuple[int, ...] = (1, 4, 20),
    sides: tuple[int, ...] = (256, 512, 1024, 2048, 4096),
    timed_up_to: int = 0,
    dtype: Literal["float32", "bfloat16"] = "float32",
    device: str = "cpu",
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    plot: Path | None = None,
) -> int:
    """Measure GLOWDeblur without trained weights: parameters, multiplications, seconds, memory, growth with pixels.

    Args:
        network: Its size. 0.6b takes several gigabytes of memory, 1.6b twice as much and more.
        sizes: Photographs to restore, as WIDTHxHEIGHT.
        steps: Numbers of steps to restore them in, or none (--steps alone) to count without restoring.
        sides: Sides in pixels of square photographs at which the denoiser is compared with a softmax twin, or none.
        timed_up_to: The largest of these sides at which processor time is measured as well, by default none.
        dtype: What weights are kept and multiplied in.
        device: What restores: cpu, cuda, ...
        csv: File for the numbers of the restorations.
        plot: PNG file for a figure of the growth with pixels; needs `pip install 'unblur[plots]'`.
    """
    import torch

    from unblur.evaluation.cost import growth_costs, part_costs, run_cost
    from unblur.evaluation.score_plots import check_plottable

    shapes = [_shape(size) for size in sizes]
    if any(number < 1 for number in steps) or any(side < 32 or side % 32 for side in sides):
        raise UnblurError("Steps must be positive and sides multiples of 32; give others.")
    if plot is not None:
        check_plottable()
        if not sides:
            raise UnblurError("Nothing grows without --sides; give some, or leave out --plot.")
    for width, height in shapes:
        parts = _parts_table(part_costs(network, height, width), width, height, steps)
        sys.stdout.write(parts.markdown() + "\n")
    runs = [
        run_cost(network, height, width, number, getattr(torch, dtype), device)
        for width, height in shapes
        for number in steps
    ]
    if runs:
        sys.stdout.write(_runs_table(runs).markdown() + "\n")
    if sides:
        growth = growth_costs(network, sides, timed_up_to)
        sys.stdout.write(_growth_table(growth).markdown())
        if plot is not None:
            _plot(growth, plot)
    if csv is not None:
        write_output(csv, _all_numbers(runs).csv().encode())
    return 0


def _plot(growth: "list[GrowthCost]", path: Path) -> None:
    from unblur.app.output_file import refused
    from unblur.evaluation.growth_plot import plot_growth

    try:
        plot_growth(growth, path)
    except OSError as error:
        raise refused(path, error) from error


def _shape(size: str) -> tuple[int, int]:
    """Width and height of "1280x720"."""
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise UnblurError(f"{size} is no size of a photograph; give it as 1280x720.")
    return int(width), int(height)


def _parts_table(parts: "list[PartCost]", width: int, height: int, steps: tuple[int, ...]) -> "Table":
    from unblur.evaluation.cost import run_macs
    from unblur.evaluation.tables import Table

    whole = sum(part.parameters for part in parts)
    counted = [(part.part, part.parameters, part.macs) for part in parts]
    counted += [(f"all, steps: {number}", whole, run_macs(parts, number)) for number in steps]
    return Table(
        header=(f"{width} x {height}", "parameters", "GMACs"),
        lines=tuple((name, f"{parameters / 1e6:.2f} M", f"{macs / 1e9:.1f}") for name, parameters, macs in counted),
    )


def _runs_table(runs: "list[RunCost]") -> "Table":
    from unblur.evaluation.tables import Table

    return Table(
        header=("photograph", "steps", "seconds", "processor seconds", "peak memory, MiB"),
        lines=tuple(
            (
                f"{run.width} x {run.height}",
                str(run.steps),
                f"{run.seconds:.2f}",
                f"{run.processor_s:.2f}",
                f"{run.peak_mib:.0f}",
            )
            for run in runs
        ),
    )


def _growth_table(rows: "list[GrowthCost]") -> "Table":
    """A step of the denoiser, and of its twin with softmax."""
    from unblur.evaluation.tables import Table

    return Table(
        header=("denoiser at", "GMACs", "with softmax", "processor seconds", "with softmax"),
        lines=tuple(
            (
                f"{row.side_px} x {row.side_px}",
                f"{row.linear_macs / 1e9:.2f}",
                f"{row.softmax_macs / 1e9:.2f}",
                *("" if seconds is None else f"{seconds:.3f}" for seconds in (row.linear_s, row.softmax_s)),
            )
            for row in rows
        ),
    )


def _all_numbers(runs: "list[RunCost]") -> "Table":
    from unblur.evaluation.cost import RunCost
    from unblur.evaluation.tables import Table

    names = tuple(field.name for field in fields(RunCost))
    return Table(header=names, lines=tuple(tuple(str(getattr(run, name)) for name in names) for run in runs))
