"""`unblur patterns`: which directions and lengths of blur a data set holds, and how diverse they are."""

import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.report import printable
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from torch import Tensor

    from unblur.metrics.blur_patterns import BlurPatterns, ImageMotion


def patterns(
    sources: tyro.conf.Positional[list[Path]],
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None,
    json: Annotated[Path | None, tyro.conf.arg(name="json")] = None,
) -> int:
    """Measure the blur of data sets: global or local, orientation, magnitude, diversity.

    Args:
        sources: Data sets with known motion: folders made by `unblur simulate`, or with motion/*.npz.
        output: Figure of all of them, .png or .svg; needs `pip install 'unblur[plots]'`.
        json: File for all numbers and histograms, one entry a data set.
    """
    from unblur.config import to_json
    from unblur.evaluation.pattern_plots import check_plottable, plot_patterns
    from unblur.metrics.blur_patterns import BlurPatterns, collect_patterns

    if not sources:
        raise UnblurError("There is no data set to measure; give at least one folder.")
    if output is not None:
        # Before the measuring, which may take long.
        check_plottable(output)
    measured = {name: collect_patterns(_motions(source)) for name, source in _named(sources).items()}
    sys.stdout.write(pattern_table(measured))
    if json is not None:
        _write(json, to_json(measured, dict[str, BlurPatterns]).encode())
    if output is not None:
        try:
            plot_patterns(measured, output)
        except OSError as error:
            raise _refused(output, error) from error
    return 0


def motion_of(source: Path) -> "Iterator[tuple[str, Tensor, Tensor]]":
    """Name and offsets at the exposure's start and end, (2, h, w) pixels (x, y), of each image of a data set.

    Raises UnblurError when `source` holds no known motion or one of its files cannot be read.
    """
    if any(source.glob("pairs-*.tar")):
        from unblur.datasets.shards import ShardFolder

        for pair in ShardFolder(source):
            yield str(pair.index), pair.start, pair.end
        return
    files = sorted((source / "motion").glob("*.npz"))
    if not files:
        raise UnblurError(
            f"{source} holds no known motion; give a folder made by `unblur simulate`, or one with motion/*.npz."
        )
    for file in files:
        yield file.stem, *_read_offsets(file)


def pattern_table(measured: "Mapping[str, BlurPatterns]") -> str:
    """A Markdown table, one line a data set, and a sentence on which is broader where there are several."""
    from unblur.metrics.blur_patterns import compare_breadth

    lines = [
        "| data set | n | global % | local % | still % | orientation entropy | magnitude entropy "
        "| median px | 90th pct px | diversity |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, data in measured.items():
        shares = (data.global_images, data.local_images, data.still_images)
        percents = " | ".join(f"{100 * count / data.images:.1f}" for count in shares)
        cell = printable(name).replace("|", "\\|")
        lines.append(
            f"| {cell} | {data.images} | {percents} "
            f"| {data.orientation_entropy:.3f} | {data.magnitude_entropy:.3f} "
            f"| {data.median_px:.1f} | {data.percentile_90_px:.1f} | {data.diversity:.3f} |"
        )
    (first, reference), *others = measured.items()
    for position, (name, data) in enumerate(others):
        breadth = compare_breadth(reference, data)
        lines += [""] * (position == 0) + [
            f"- {printable(first)} against {printable(name)}: orientation {_compared(breadth.orientation)}, "
            f"magnitude {_compared(breadth.magnitude)}."
        ]
    return "\n".join(lines) + "\n"


def _compared(gain: float) -> str:
    rounded = round(gain, 3)
    return "as broad" if rounded == 0 else f"{'broader' if rounded > 0 else 'narrower'} by {abs(rounded):.3f}"


def _named(sources: list[Path]) -> dict[str, Path]:
    """Folders' names where they tell the data sets apart, whole paths where not."""
    names = [source.resolve().name for source in sources]
    alike = len(set(names)) < len(names)
    return {str(source) if alike else name: source for name, source in zip(names, sources, strict=True)}


def _motions(source: Path) -> "Iterator[ImageMotion]":
    from tqdm import tqdm

    from unblur.metrics.blur_patterns import measure_motion

    for name, start, end in tqdm(motion_of(source), desc=source.name, unit="image", disable=not sys.stderr.isatty()):
        try:
            yield measure_motion(start, end)
        except UnblurError as error:
            raise UnblurError(f"{source}, image {name}: {error}") from error


def _read_offsets(file: Path) -> "tuple[Tensor, Tensor]":
    import numpy as np
    import torch

    try:
        with np.load(file, allow_pickle=False) as arrays:
            start, end = (torch.from_numpy(arrays[name]) for name in ("start", "end"))
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnblurError(
            f"{file} cannot be read as motion ({error}); it must hold the arrays start and end, (2, h, w) pixels."
        ) from error
    return start, end


def _write(path: Path, data: bytes) -> None:
    from unblur.atomic import write_atomically

    try:
        write_atomically(path, data)
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> UnblurError:
    return UnblurError(f"{path} cannot be written: {error.strerror or error}; choose another place.")
