"""Examples for the kernel estimator and the fusion network: simulated pairs with kernels as they are really estimated.

`python -m experiments.shake_examples FOLDER --photos PHOTOS --count N --seed S --camera shake` simulates blurry and
sharp patches, restores each with the bundled network, writes the true kernel in the middle of the patch, and estimates
a kernel from edges, which takes most of the time. An interrupted run continues. The photographs may not be
redistributable; then the examples are not either.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor

import unblur
from experiments.harness import run
from unblur.blur import Camera
from unblur.blur.kernel import path_kernel
from unblur.datasets import PhotoFolder
from unblur.datasets.simulated import PatchSampling, SimulatedPair, SimulatedPairs
from unblur.datasets.validation import CAMERA
from unblur.deconvolution import estimate_kernel_by_edges
from unblur.deconvolution.kernel import centre_kernel, extent_px, point_kernel
from unblur.deconvolution.kernel_features import WINDOW_PX
from unblur.errors import UnblurError
from unblur.photos.color import luminance, srgb_to_linear
from unblur.seeds import generator_for

PATCH_PX = 256

SHAKE = replace(
    CAMERA,
    extent_px=(2.0, 44.0),
    still_share=0.02,
    kinds=("bezier", "walk", "walk", "tremor", "pan"),
    roll=0.2,
    zoom=0.05,
)
"""A camera that shakes before a still scene."""

EVERYTHING = Camera(extent_px=(1.5, 48.0))
"""Everything the simulator knows: moving objects, defocus, depth, rolling shutters, mosaics."""


@dataclass(frozen=True, kw_only=True)
class ShakeExamples:
    """Arrays on disk, one row an example."""

    blurry: NDArray[np.uint8]
    """(N, 3, P, P) sRGB."""
    sharp: NDArray[np.uint8]
    restored: NDArray[np.uint8]
    """The bundled network's restoration of `blurry`."""
    kernel: NDArray[np.float32]
    """(N, 65, 65): the true kernel in the middle of the patch; a point where nothing moved."""
    edges: NDArray[np.float32]
    """(N, 65, 65): the kernel estimated from edges; zeros where it was not estimated yet."""

    @property
    def finished(self) -> int:
        """Return the number of complete rows from the first on."""
        return finished_rows(self.edges)


def finished_rows(kernels: NDArray[np.float32]) -> int:
    """Return the number of kernels, (N, S, S), that are written, from the first on; the others are zeros."""
    sums = kernels.sum(axis=(1, 2))
    return int(np.argmin(sums > 0)) if (sums == 0).any() else len(sums)


def open_examples(folder: Path, count: int | None = None) -> ShakeExamples:
    """Open the arrays in `folder`; with `count`, make them there. Raises UnblurError when there are none."""
    shapes: dict[str, tuple[tuple[int, ...], type]] = {
        "blurry": ((3, PATCH_PX, PATCH_PX), np.uint8),
        "sharp": ((3, PATCH_PX, PATCH_PX), np.uint8),
        "restored": ((3, PATCH_PX, PATCH_PX), np.uint8),
        "kernel": ((WINDOW_PX, WINDOW_PX), np.float32),
        "edges": ((WINDOW_PX, WINDOW_PX), np.float32),
    }
    arrays: dict[str, Any] = {}
    for name, (shape, dtype) in shapes.items():
        path = folder / f"{name}.npy"
        if path.exists():
            arrays[name] = np.load(path, mmap_mode="r+")
        elif count is not None:
            folder.mkdir(parents=True, exist_ok=True)
            arrays[name] = np.lib.format.open_memmap(path, "w+", dtype, (count, *shape))
        else:
            raise UnblurError(f"{folder} holds no examples; make them with python -m experiments.shake_examples.")
    return ShakeExamples(**arrays)


def as_image(pixels: NDArray[np.uint8]) -> Tensor:
    """(3, P, P) uint8 -> the same in [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32)) / 255


def true_kernel(pair: SimulatedPair) -> Tensor | None:
    """The kernel in the middle of the patch, (65, 65), or None where it does not fit."""
    offsets = pair.motion.offsets
    rows, columns = offsets.shape[2:]
    path = offsets[:, :, rows // 2 - 1 : rows // 2 + 1, columns // 2 - 1 : columns // 2 + 1].mean(dim=(2, 3))
    # Offsets point to where light comes from; a convolution kernel says where it goes.
    kernel = path_kernel(-path).float()
    margin = (WINDOW_PX - kernel.shape[0]) // 2
    kernel = torch.nn.functional.pad(kernel, (margin,) * 4)
    return kernel / kernel.sum() if float(kernel.sum()) > 0.98 else None


def make(
    folder: tyro.conf.Positional[Path],
    *,
    photos: Path,
    count: int = 1500,
    seed: int = 1,
    camera: Annotated[Literal["shake", "everything"], tyro.conf.arg(metavar="shake|everything")] = "shake",
    threads: int = 1,
) -> int:
    """Make examples for the kernel estimator and the fusion network.

    Args:
        folder: Where the arrays are written.
        photos: Folder of sharp photographs.
        count: How many examples.
        seed: Names the patches that are drawn.
        camera: A shaking camera before a still scene, or everything that the simulator knows.
        threads: Processor threads.
    """
    torch.set_num_threads(threads)
    examples = open_examples(folder, count)
    sampling = PatchSampling(patch_px=PATCH_PX, pristine_share=0.0 if camera == "shake" else 0.05)
    pairs = SimulatedPairs(PhotoFolder(photos), SHAKE if camera == "shake" else EVERYTHING, sampling, seed)
    restorer = unblur.load(shake="off")
    for index in range(examples.finished, len(examples.kernel)):
        if not examples.kernel[index].any():
            pair = pairs[index]
            examples.blurry[index] = _pixels(pair.blurry)
            examples.sharp[index] = _pixels(pair.sharp)
            examples.restored[index] = _pixels(restorer.restore(as_image(examples.blurry[index])).clamp(0, 1))
            found = true_kernel(pair)
            examples.kernel[index] = (point_kernel(WINDOW_PX) if found is None else centre_kernel(found)).numpy()
        examples.edges[index] = _edges(examples, index, seed).numpy()
        if index % 100 == 99:
            sys.stderr.write(f"{index + 1} of {len(examples.kernel)}\n")
    return 0


def _edges(examples: ShakeExamples, index: int, seed: int) -> Tensor:
    """The kernel from edges, with a side as an estimate of the length would give it."""
    length = extent_px(torch.from_numpy(np.asarray(examples.kernel[index])))
    factor = 1 + 0.5 * float(torch.rand((), generator=generator_for(seed, "side", index)))
    side = min(WINDOW_PX, round(max(9, length * factor + 4)) | 1)
    light = luminance(srgb_to_linear(as_image(examples.blurry[index])))
    kernel = estimate_kernel_by_edges(light, side, fits=4)
    return torch.nn.functional.pad(kernel, ((WINDOW_PX - side) // 2,) * 4)


def _pixels(image: Tensor) -> NDArray[np.uint8]:
    return (image * 255).round().byte().numpy()


if __name__ == "__main__":
    sys.exit(run(make))
