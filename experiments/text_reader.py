"""Readability: the share of a picture's characters that a trained reader gets right.

The reader is PP-OCRv6 small (PaddlePaddle, Apache-2.0): Liao et al., "Real-time Scene Text Detection with
Differentiable Binarization", AAAI 2020, arXiv 1911.08947, finds lines; Du et al., "SVTR", IJCAI 2022,
arXiv 2205.00159, reads them. Its weights are in the PyPI package rapidocr, which runs them (our extra `ocr`).
"""

import unicodedata
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from unblur.errors import UnblurError

DETECTION, RECOGNITION = "PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx"
"""Named, so that another release of the package cannot bring other models, and other numbers, unnoticed."""

SMALLEST_SIDE_PX = 32
"""Pictures are searched at their own size: the package would enlarge small ones, which takes seconds and changes what
a blur of so many pixels means."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def compute_character_accuracy(read: str, truth: str) -> float:
    """Return 1 - edit distance / length of the truth, at least 0.

    Capitals and small letters are equal, white space is ignored, and full-width characters equal plain ones (NFKC).
    Raises UnblurError when the truth holds no characters.
    """
    wanted = normalize_text(truth)
    if not wanted:
        raise UnblurError(f"A reading cannot be compared with {truth!r}, which holds no characters; give the text.")
    return max(0.0, 1 - compute_edit_distance(normalize_text(read), wanted) / len(wanted))


def normalize_text(text: str) -> str:
    """Normalise a text for comparison: NFKC, case folded, without white space, which no reader places reliably."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def compute_edit_distance(first: str, second: str) -> int:
    """Return the fewest characters to insert, delete or replace that make one text the other (Levenshtein 1966)."""
    costs = list(range(len(second) + 1))
    for row, one in enumerate(first, start=1):
        diagonal, costs[0] = costs[0], row
        for column, other in enumerate(second, start=1):
            replaced = diagonal + (one != other)
            diagonal = costs[column]
            costs[column] = min(replaced, diagonal + 1, costs[column - 1] + 1)
    return costs[-1]


def sort_in_reading_order(boxes: Sequence[Box]) -> list[list[int]]:
    """Return the numbers of the boxes by rows, top to bottom, and in a row from left to right.

    A box belongs to a row when its middle is less than half of the smaller height from the middle of the row's highest.
    """
    rows: list[list[int]] = []
    for number in sorted(range(len(boxes)), key=lambda n: (_find_middle(boxes[n]), boxes[n])):
        if rows:
            first = boxes[rows[-1][0]]
            smaller = min(_measure_height(first), _measure_height(boxes[number]))
            if _find_middle(boxes[number]) - _find_middle(first) < smaller / 2:
                rows[-1].append(number)
                continue
        rows.append([number])
    return [sorted(row, key=lambda n: boxes[n]) for row in rows]


class TextReader:
    """Reads the text in a picture; the same text every time."""

    def __init__(self, threads: int = 1) -> None:
        """Load the networks; `threads` of 0 means as many as there are. Raises UnblurError without the extra."""
        if threads < 0:
            raise UnblurError(f"A reader cannot use {threads} threads; give 1 or more, or 0 for as many as there are.")
        try:
            package = import_module("rapidocr")
            import_module("onnxruntime")
        except ImportError as error:
            raise UnblurError(
                f"Text cannot be read because {error.name} is not installed; run: pip install 'unblur[ocr]'"
            ) from error
        models = Path(package.__file__ or "").parent / "models"
        for name in (DETECTION, RECOGNITION):
            if not (models / name).is_file():
                raise UnblurError(
                    f"rapidocr {version('rapidocr')} lacks its model {name}; run: pip install 'rapidocr==3.10.0'"
                )
        self.name = f"rapidocr {version('rapidocr')}, {RECOGNITION.removesuffix('.onnx')}"
        """The name and version of the reader, for the tables."""
        self._engine: Any = package.RapidOCR(
            params={
                "Global.log_level": "error",
                # Nobody hangs a sign upside down; blur must not make it so.
                "Global.use_cls": False,
                "Det.model_path": str(models / DETECTION),
                "Det.limit_side_len": SMALLEST_SIDE_PX,
                "Rec.model_path": str(models / RECOGNITION),
                "EngineConfig.onnxruntime.intra_op_num_threads": threads or -1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def read(self, image: Tensor) -> str:
        """Return the text in (3, H, W), RGB in [0, 1], rounded to eight bits: rows from top to bottom, one a line.

        Lines read with less confidence than 0.5 are left out, the package's default. Raises UnblurError for another
        shape or type, and for NaN.
        """
        if image.ndim != 3 or image.shape[0] != 3 or 0 in image.shape or not image.is_floating_point():
            raise UnblurError(
                f"Text is read in one image (3, H, W) of floats in [0, 1], not in {tuple(image.shape)} {image.dtype}; "
                "give images one by one and divide by full scale."
            )
        if not image.isfinite().all():
            raise UnblurError("Text cannot be read in an image with NaN or infinity; correct the step that made it.")
        levels = (image.detach().cpu() * 255).round().clamp(0, 255).flip(0).permute(1, 2, 0)  # Blue first.
        found = self._engine(np.ascontiguousarray(levels.numpy().astype(np.uint8)))
        if found.txts is None:
            return ""
        corners = np.asarray(found.boxes, dtype=float)
        boxes: list[Box] = [(x0, y0, x1, y1) for (x0, y0), (x1, y1) in zip(corners.min(1), corners.max(1), strict=True)]
        return "\n".join(" ".join(found.txts[number] for number in row) for row in sort_in_reading_order(boxes))


def _find_middle(box: Box) -> float:
    return (box[1] + box[3]) / 2


def _measure_height(box: Box) -> float:
    return box[3] - box[1]
