"""Restored photographs against the sharp truth, one row an image, eight bits as users get them."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.datasets import Pair
from unblur.datasets.fingerprint import compute_fingerprint
from unblur.datasets.pair_files import PairFiles, format_size, read_frames, read_pair, read_picture
from unblur.errors import UnblurError
from unblur.evaluation.method import Method, from_function
from unblur.evaluation.metric import Metric
from unblur.evaluation.peers.outputs import save_output
from unblur.evaluation.protocol import PAIRS, Protocol
from unblur.evaluation.row import Conditions, Row
from unblur.restoration.picture_restorer import mean_change

RestoreArray = Callable[[NDArray[Any]], NDArray[Any]]
"""(H, W, 3) uint8 -> (H, W, 3) uint8."""


@dataclass(frozen=True, kw_only=True)
class NamedFiles:
    """The files of a pair, and the name of its row."""

    image: str
    files: PairFiles


def measure(pairs: Iterable[Pair], restore: RestoreArray, checkpoint: str, protocol: Protocol = PAIRS) -> Iterator[Row]:
    """Restore each blurry photograph by any function, and compare it with its sharp twin."""
    method = from_function("function", restore)
    conditions = make_conditions(method, protocol, checkpoint=checkpoint)
    for pair in pairs:
        yield _measure_image(
            pair.name, _round_to_8_bits(pair.blurry), [_round_to_8_bits(pair.sharp)], method, protocol, conditions
        )


def measure_files(
    named: NamedFiles,
    method: Method,
    protocol: Protocol,
    conditions: Conditions,
    keep: Path | None = None,
    also: Sequence[Metric] = (),
) -> Row:
    """Restore one photograph on disk and measure it, and put what was restored into the folder `keep`.

    `also` is measured beside the protocol's own metrics.

    Raises UnblurError when a file cannot be read or written.
    """
    if not protocol.needs_sharp:
        blurry = read_picture(named.files.blurry)
        row = _measure_image(named.image, blurry, [], method, protocol, conditions, keep, also)
    elif protocol.best_of_frames:
        blurry, frames = read_frames(named.files)
        row = _measure_image(named.image, blurry, frames, method, protocol, conditions, keep, also)
    else:
        pair = read_pair(named.files)
        blurry, sharp = _round_to_8_bits(pair.blurry), _round_to_8_bits(pair.sharp)
        row = _measure_image(named.image, blurry, [sharp], method, protocol, conditions, keep, also)
    return replace(row, part=named.files.part)


def make_conditions(
    method: Method,
    protocol: Protocol,
    *,
    checkpoint: str = "",
    data_set: str = "",
    pictures: str = "",
    metrics: str = "",
) -> Conditions:
    """Return the conditions that all rows of a run share."""
    return Conditions(
        data_set=data_set,
        pictures=pictures,
        protocol=protocol.title,
        method=method.name,
        checkpoint=method.checkpoint or checkpoint,
        device=method.device,
        precision=method.precision,
        pooling_window_px=method.pooling_window_px,
        torch=torch.__version__,
        unblur=version("unblur"),
        runtime=method.runtime,
        metrics=metrics,
    )


def fingerprint_pictures(files: Sequence[NamedFiles]) -> str:
    """Return twelve digits of the fingerprint of the pictures, for the conditions of rows."""
    paths = ((named.image, (side.path for side in (named.files.blurry, *named.files.sharps))) for named in files)
    return compute_fingerprint(paths)[:12]


def _measure_image(
    image: str,
    blurry: Tensor,
    sharps: Sequence[Tensor],
    method: Method,
    protocol: Protocol,
    conditions: Conditions,
    keep: Path | None = None,
    also: Sequence[Metric] = (),
) -> Row:
    """Measure an image (3, H, W) uint8 against `sharps`, the frames of the exposure; empty if the truth is unknown."""
    pixels = blurry.permute(1, 2, 0).contiguous().numpy()
    began = time.perf_counter()
    done = method.apply(pixels, image)
    seconds = time.perf_counter() - began
    if done.pixels.shape != pixels.shape or done.pixels.dtype != np.uint8:
        raise UnblurError(
            f"{method.name} made of {image}, {format_size(blurry)}, an array {done.pixels.shape} of {done.pixels.dtype}"
            "; it must give a picture of the same size in eight bits."
        )
    if keep is not None:
        save_output(keep, image, done.pixels)
    scores: dict[str, float] = {}
    if not sharps:
        scores["change_after"] = mean_change(pixels, done.pixels)
    # One moment as floats at a time: all of them would not fit into the memory of most machines.
    restored = _scale_to_255(torch.from_numpy(done.pixels).permute(2, 0, 1))
    after, aligned_after = protocol.best_scores(restored, map(_scale_to_255, sharps), "after", also)
    before, aligned_before = protocol.best_scores(_scale_to_255(blurry), map(_scale_to_255, sharps), "before", also)
    # Before and after beside each other, as people read them.
    for pair in zip(before.items(), after.items(), strict=True):
        scores.update(pair)
    return Row(
        image=image,
        height=blurry.shape[1],
        width=blurry.shape[2],
        scores=scores,
        aligned_before=aligned_before,
        aligned_after=aligned_after,
        tile_px=done.tile_px,
        seconds=seconds,
        conditions=conditions,
    )


def _round_to_8_bits(picture: Tensor) -> Tensor:
    return (picture * 255).round().clamp(0, 255).to(torch.uint8)


def _scale_to_255(picture: Tensor) -> Tensor:
    return picture.float() / 255
