"""Any network that was exported as ONNX, run by ONNX Runtime."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from unblur.errors import UnblurError
from unblur.evaluation.peers.planes import to_pixels, to_planes
from unblur.models.padding import pad_to_multiple
from unblur.restoration.tiles import SMALLEST_TILE_PX, Span, compute_spans

OVERLAP_PX = 32
"""Overlap in pixels of neighbouring tiles of a model with a fixed size."""
LARGEST_MEAN = 1.5
"""An output whose absolute values are larger on average is not in [0, 1]."""
_KINDS: dict[str, np.dtype[Any]] = {"tensor(float)": np.dtype(np.float32), "tensor(float16)": np.dtype(np.float16)}


class OnnxModel:
    """A model from RGB in [0, 1], (1, 3, H, W), to the same, of any size or of the one that it was exported for.

    Sides are padded to a multiple by repeating the last row and column. Larger pictures than a fixed size are cut into
    overlapping tiles, smaller ones padded. Raises UnblurError for what is no such model.
    """

    def __init__(self, path: Path, *, device: str = "auto", multiple_px: int = 1) -> None:
        """Open the model on `device`: auto, cpu or cuda. Both sides of its input are multiples of `multiple_px`."""
        try:
            import onnxruntime
        except ImportError as error:
            raise UnblurError("ONNX models need onnxruntime, which is missing; run: pip install 'unblur[onnx]'") from (
                error
            )
        if multiple_px < 1:
            raise UnblurError(f"Sides cannot be multiples of {multiple_px}; give at least 1.")
        if not path.is_file():
            raise UnblurError(f"There is no ONNX model at {path}; check the name.")
        self.name, self._path, self._multiple_px = path.name, path, multiple_px
        self.sha256 = _hash_model(path)
        self.device, providers = _choose_providers(device, onnxruntime.get_available_providers())
        self.runtime = f"onnxruntime {onnxruntime.__version__}"
        if multiple_px > 1:
            self.runtime += f", multiples of {multiple_px}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # ONNX Runtime has a dozen exceptions without a common parent of its own.
            raise UnblurError(f"{path} is not an ONNX model that runs ({_shorten(error)}); export it again.") from (
                error
            )
        self._input, self._kind, self._fixed = self._describe()

    def _describe(self) -> tuple[str, np.dtype[Any], tuple[int, int] | None]:
        """Return the name and the type of the input, and its height and width where they are fixed."""
        inputs = self._session.get_inputs()
        summary = ", ".join(f"{one.name} {one.type} {one.shape}" for one in inputs)
        wrong = UnblurError(
            f"{self._path} takes {summary}; a method must take one RGB picture in [0, 1], float (1, 3, height, width)."
        )
        if len(inputs) != 1 or inputs[0].type not in _KINDS or len(inputs[0].shape) != 4:
            raise wrong
        batch, channels, height, width = (
            size if isinstance(size, int) and size > 0 else None for size in inputs[0].shape
        )
        if batch not in (1, None) or channels not in (3, None) or (height is None) != (width is None):
            raise wrong
        fixed = None if height is None or width is None else (height, width)
        return inputs[0].name, _KINDS[inputs[0].type], fixed

    def restore(self, blurry: NDArray[Any]) -> NDArray[Any]:
        """Restore (H, W, 3) uint8 -> same."""
        planes = to_planes(blurry)
        restored = (
            self._restore_any_size(planes) if self._fixed is None else self._restore_in_tiles(planes, *self._fixed)
        )
        return to_pixels(restored)

    def tile_px(self, blurry: NDArray[Any]) -> int:
        """Return the largest side of the tiles into which a picture (H, W, 3) is cut; 0 if it is not."""
        if self._fixed is None or (blurry.shape[0] <= self._fixed[0] and blurry.shape[1] <= self._fixed[1]):
            return 0
        return max(self._fixed)

    def _restore_any_size(self, planes: Tensor) -> Tensor:
        return self._run(pad_to_multiple(planes, self._multiple_px))[..., : planes.shape[2], : planes.shape[3]]

    def _restore_in_tiles(self, planes: Tensor, height: int, width: int) -> Tensor:
        rows, columns = _place_windows(planes.shape[2], height), _place_windows(planes.shape[3], width)
        whole = torch.zeros_like(planes)
        for row in rows:
            for column in columns:
                tile = planes[..., row.start_px : row.stop_px, column.start_px : column.stop_px]
                own_height, own_width = tile.shape[2:]
                padded = F.pad(tile, (0, width - own_width, 0, height - own_height), mode="replicate")
                weights = torch.from_numpy(np.outer(row.weights, column.weights))
                whole[..., row.start_px : row.stop_px, column.start_px : column.stop_px] += (
                    self._run(padded)[..., :own_height, :own_width] * weights
                )
        return whole

    def _run(self, planes: Tensor) -> Tensor:
        """Run the model, (1, 3, H, W) -> same, and return its first output of this shape."""
        shape = tuple(planes.shape)
        try:
            outputs = self._session.run(None, {self._input: planes.numpy().astype(self._kind)})
        except Exception as error:
            raise UnblurError(
                f"{self._path} fails on {shape[3]} x {shape[2]} pixels ({_shorten(error)}); if it needs sides that "
                "are multiples of a number, give that with --multiple."
            ) from error
        output = next((one for one in outputs if getattr(one, "shape", None) == shape), None)
        if output is None:
            shapes = " and ".join(str(getattr(one, "shape", type(one).__name__)) for one in outputs)
            raise UnblurError(f"{self._path} makes {shapes} of a picture {shape}; it must give the shape that it gets.")
        restored = torch.from_numpy(output.astype(np.float32))
        if not float(restored.abs().mean()) <= LARGEST_MEAN:
            raise UnblurError(
                f"{self._path} gives values from {float(restored.min()):g} to {float(restored.max()):g}, where RGB in "
                "[0, 1] is expected; export it with that range."
            )
        return restored


def _choose_providers(device: str, available: list[str]) -> tuple[str, list[str]]:
    """Return the device's name for tables, and the execution providers for it."""
    if device.startswith("cuda") and "CUDAExecutionProvider" not in available:
        raise UnblurError("This onnxruntime cannot use CUDA; install onnxruntime-gpu instead, or use --device cpu.")
    if device != "cpu" and "CUDAExecutionProvider" in available:
        return "cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]
    return "cpu", ["CPUExecutionProvider"]


def _place_windows(length_px: int, tile_px: int) -> tuple[Span, ...]:
    if length_px > tile_px and tile_px < SMALLEST_TILE_PX:
        raise UnblurError(
            f"A model for {tile_px} px cannot be laid over {length_px} px; export it for at least {SMALLEST_TILE_PX} "
            "px, or for any size."
        )
    return compute_spans(length_px, tile_px=tile_px, overlap_px=OVERLAP_PX, feather_px=OVERLAP_PX)


def _hash_model(path: Path) -> str:
    """Return the SHA-256 of the model and of the file in which torch's exporter puts large weights."""
    digest = hashlib.sha256(path.read_bytes())
    weights = path.with_name(f"{path.name}.data")
    if weights.is_file():
        digest.update(weights.read_bytes())
    return digest.hexdigest()


def _shorten(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
