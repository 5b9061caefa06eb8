"""Restored photographs against the sharp truth, one row an image, eight bits as users get them.

Protocol `pairs` version 1: whole images, no alignment, rounded to eight bits before measuring; PSNR over all
three channels of each image and then the mean over images, the convention of the deblurring tables.
"""

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from unblur.datasets import Pair
from unblur.metrics import psnr, ssim

PROTOCOL = "pairs-v1"

RestoreArray = Callable[[np.ndarray], np.ndarray]
"""(H, W, 3) uint8 -> (H, W, 3) uint8."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What one image gave. `before` is the blurry photograph, `after` the restored one."""

    image: str
    height: int
    width: int
    psnr_before_db: float
    psnr_after_db: float
    ssim_before: float
    ssim_after: float
    seconds: float
    protocol: str = PROTOCOL
    checkpoint: str
    """SHA-256 of the weights."""


def measure(pairs: Iterable[Pair], restore: RestoreArray, checkpoint: str) -> Iterator[Row]:
    """Restore each blurry photograph and compare it with its sharp twin."""
    for pair in pairs:
        blurry = (pair.blurry * 255).round().clamp(0, 255).to(torch.uint8)
        began = time.perf_counter()
        restored = restore(blurry.permute(1, 2, 0).contiguous().numpy())
        seconds = time.perf_counter() - began
        before = blurry.float()[None] / 255
        after = torch.from_numpy(restored).permute(2, 0, 1).float()[None] / 255
        sharp = (pair.sharp * 255).round()[None] / 255
        yield Row(
            image=pair.name,
            height=blurry.shape[1],
            width=blurry.shape[2],
            psnr_before_db=_number(psnr(before, sharp)),
            psnr_after_db=_number(psnr(after, sharp)),
            ssim_before=_number(ssim(before, sharp)),
            ssim_after=_number(ssim(after, sharp)),
            seconds=seconds,
            checkpoint=checkpoint,
        )


def to_csv(rows: Iterable[Row]) -> str:
    """The rows with a header line, the form from which every table is made."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        values = asdict(row)
        writer.writerow({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in values.items()})
    return text.getvalue()


def summary(rows: list[Row]) -> str:
    """A Markdown table of means: one line a group (the image's name up to its first `_`), and one for all."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.image.split("_")[0], []).append(row)
    lines = [
        "| images | n | PSNR before | PSNR after | gain dB | SSIM before | SSIM after | worse | s/MP |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, members in [*(groups.items() if len(groups) <= 8 else []), ("all", rows)]:
        before, after = (
            fmean(r.psnr_before_db for r in members),
            fmean(r.psnr_after_db for r in members),
        )
        gain = f"{after - before:+.2f}" if math.isfinite(before) else "-"
        worse = sum(r.psnr_after_db < r.psnr_before_db for r in members)
        pixels = sum(r.height * r.width for r in members)
        lines.append(
            f"| {name} | {len(members)} | {before:.2f} | {after:.2f} | {gain} "
            f"| {fmean(r.ssim_before for r in members):.4f} | {fmean(r.ssim_after for r in members):.4f} "
            f"| {worse} | {sum(r.seconds for r in members) / pixels * 1e6:.2f} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: Tensor) -> float:
    return float(value.item())
