"""Examples for the kernel estimator and the fusion network: simulated pairs with kernels as they are really estimated.

`python -m experiments.shake_examples FOLDER --photos PHOTOS --count N --seed S --camera shake` simulates blurry and
sharp patches, restores each with the bundled network, writes the true kernel in the middle of the patch, and estimates
a kernel from edges, which takes most of the time. With `--pairs` it cuts patches out of real pairs instead, whose true
kernels are unknown. An interrupted run continues. The photographs may not be redistributable; then the examples are
not either.
"""

import sys
from collections.abc import Callable
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
from unblur.blur.kernel import compute_path_kernel
from unblur.datasets import PhotoFolder
from unblur.datasets.pair_folder import PairFolder
from unblur.datasets.pair_patches import PairPatches
from unblur.datasets.simulated import PatchSampling, SimulatedPair, SimulatedPairs
from unblur.datasets.validation import CAMERA
from unblur.deconvolution import estimate_kernel_by_edges
from unblur.deconvolution.kernel import centre_kernel, make_point_kernel, measure_extent_px
from unblur.deconvolution.kernel_features import WINDOW_PX
from unblur.errors import UnblurError
from unblur.photos.color import linear_to_srgb, luminance, srgb_to_linear
from unblur.photos.pixel_files import decode_jpeg, encode_jpeg
from unblur.seeds import make_generator

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
"""All blur of the simulator: moving objects, defocus, depth, rolling shutters, mosaics."""


VIDEO = replace(
    EVERYTHING,
    extent_px=(3.0, 40.0),
    still_share=0.03,
    relief_share=0.45,
    planes_share=0.4,
    disparity=(0.5, 1.5),
    rolling_share=0.3,
    noise_share=0.2,
    mosaic_share=0.0,
    jpeg_quality=(75, 98),
)
"""Averaged frames of a carried video camera: depth, moving objects, hardly any noise."""

TONE_GAMMA = (0.75, 1.3)
"""Exponents of the sRGB values of VIDEO and AT_NIGHT: the camera's tone curve is unknown.

Blur is then not exactly a sum in the assumed linear light.
"""

UNKNOWN_LENGTH_PX = 24.0
"""Length that kernels are estimated for where the true one is unknown."""

AT_NIGHT = replace(SHAKE, extent_px=(8.0, 40.0), still_share=0.0, roll=0.0, zoom=0.0, object_share=0.0)
"""A camera that shakes at night, before lamps."""

CameraName = Literal["shake", "everything", "video", "night"]

CAMERAS: dict[CameraName, Camera] = {"shake": SHAKE, "everything": EVERYTHING, "video": VIDEO, "night": AT_NIGHT}


@dataclass(frozen=True, kw_only=True)
class ShakeExamples:
    """Arrays on disk, one row an example."""

    blurry: NDArray[np.uint8]
    """(N, 3, P, P) sRGB."""
    sharp: NDArray[np.uint8]
    restored: NDArray[np.uint8]
    """The bundled network's restoration of `blurry`."""
    kernel: NDArray[np.float32]
    """(N, 65, 65): the true kernel in the middle of the patch; a point where nothing moved; zeros if it is unknown."""
    edges: NDArray[np.float32]
    """(N, 65, 65): the kernel estimated from edges; zeros where it was not estimated yet."""

    @property
    def finished(self) -> int:
        """Return the number of complete rows from the first on."""
        return count_finished_rows(self.edges)


def count_finished_rows(kernels: NDArray[np.float32]) -> int:
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


def to_image(pixels: NDArray[np.uint8]) -> Tensor:
    """Convert (3, P, P) uint8 to [0, 1]."""
    return torch.from_numpy(pixels.astype(np.float32)) / 255


def compute_true_kernel(pair: SimulatedPair) -> Tensor | None:
    """Return the kernel in the middle of the patch, (65, 65), or None where it does not fit."""
    offsets = pair.motion.offsets
    rows, columns = offsets.shape[2:]
    path = offsets[:, :, rows // 2 - 1 : rows // 2 + 1, columns // 2 - 1 : columns // 2 + 1].mean(dim=(2, 3))
    # Offsets point to where light comes from; a convolution kernel says where it goes.
    kernel = compute_path_kernel(-path).float()
    margin = (WINDOW_PX - kernel.shape[0]) // 2
    kernel = torch.nn.functional.pad(kernel, (margin,) * 4)
    return kernel / kernel.sum() if float(kernel.sum()) > 0.98 else None


def make(
    folder: tyro.conf.Positional[Path],
    *,
    photos: Path | None = None,
    pairs: Path | None = None,
    images: tuple[str, ...] = (),
    count: int = 1500,
    seed: int = 1,
    camera: Annotated[CameraName, tyro.conf.arg(metavar="shake|everything|video|night")] = "shake",
    threads: int = 1,
) -> int:
    """Make examples for the kernel estimator and the fusion network.

    Args:
        folder: Where the arrays are written.
        photos: Folder of sharp photographs that are blurred.
        pairs: Folder of real pairs, to cut patches out of them instead.
        images: Names of the images of `pairs`; all by default.
        count: How many examples.
        seed: Random seed of the patches.
        camera: A shaking camera before a still scene, everything that the simulator knows, averaged video frames, or a
            shaking camera before lamps at night.
        threads: Processor threads.
    """
    if photos is not None and pairs is None:
        source = _make_simulated_source(photos, camera, seed)
    elif pairs is not None and photos is None:
        source = _make_real_source(pairs, images, seed)
    else:
        raise UnblurError("Give either --photos or --pairs.")
    torch.set_num_threads(threads)
    examples = open_examples(folder, count)
    restorer = unblur.load(shake="off")
    for index in range(examples.finished, len(examples.kernel)):
        if not examples.blurry[index].any():
            blurry, sharp, kernel = source(index)
            examples.kernel[index] = kernel.numpy()
            examples.sharp[index] = _to_pixels(sharp)
            examples.restored[index] = _to_pixels(restorer.restore(blurry).clamp(0, 1))
            examples.blurry[index] = _to_pixels(blurry)
        examples.edges[index] = _estimate_by_edges(examples, index, seed).numpy()
        if index % 100 == 99:
            sys.stderr.write(f"{index + 1} of {len(examples.kernel)}\n")
    return 0


Source = Callable[[int], tuple[Tensor, Tensor, Tensor]]
"""The number of an example -> blurry and sharp, (3, P, P) sRGB in [0, 1], 8 bits, and the true kernel or zeros."""


def _make_simulated_source(photos: Path, camera: CameraName, seed: int) -> Source:
    sampling = PatchSampling(patch_px=PATCH_PX, pristine_share=0.0 if camera == "shake" else 0.05)
    simulated = SimulatedPairs(PhotoFolder(photos), CAMERAS[camera], sampling, seed)

    def example(index: int) -> tuple[Tensor, Tensor, Tensor]:
        pair = simulated[index]
        found = compute_true_kernel(pair)
        kernel = make_point_kernel(WINDOW_PX) if found is None else centre_kernel(found)
        if camera == "night":
            blurry, sharp = add_lamps(pair.sharp, kernel, make_generator(seed, "lamps", index))
            return _to_eight_bits(blurry), _to_eight_bits(sharp), kernel
        low, high = TONE_GAMMA if camera == "video" else (1.0, 1.0)
        gamma = low + (high - low) * float(torch.rand((), generator=make_generator(seed, "gamma", index)))
        return _to_eight_bits(pair.blurry**gamma), _to_eight_bits(pair.sharp**gamma), kernel

    return example


def add_lamps(sharp: Tensor, kernel: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Turn a photograph into one at night with lamps of unknown brightness, which the sensor clips.

    `sharp` is (3, H, W) sRGB in [0, 1], `kernel` (S, S). Returns the blurry and the sharp photograph, (3, H, W) sRGB.
    """
    height, width = sharp.shape[1:]
    margin = kernel.shape[-1] // 2

    def draw(low: float, high: float, count: int = 1) -> Tensor:
        return low * (high / low) ** torch.rand(count, generator=generator)

    light = torch.nn.functional.pad(srgb_to_linear(sharp)[None], (margin,) * 4, mode="reflect")[0] * draw(0.01, 0.1)
    count = int(draw(10, 80))
    rows, columns = (
        (torch.rand(count, generator=generator) * (length + 2 * margin)).round() for length in (height, width)
    )
    colours = 1 - torch.rand(3, generator=generator) * torch.tensor([0.0, 0.5, 0.9])
    brightness, radius_px = draw(1, 40) * draw(0.7, 1.4, count), draw(0.5, 1.5)
    down = torch.arange(light.shape[1])[:, None] - rows
    right = torch.arange(light.shape[2])[:, None] - columns
    spots = (-down.square() / (2 * radius_px**2)).exp() * brightness, (-right.square() / (2 * radius_px**2)).exp()
    light = light + colours[:, None, None] * (spots[0] @ spots[1].T)
    blurred = torch.nn.functional.conv2d(light[:, None], kernel.flip(0, 1)[None, None])[:, 0]
    noise = draw(1e-3, 1e-2) * torch.randn(blurred.shape, generator=generator)
    inner = light[:, margin : margin + height, margin : margin + width]
    gamma = draw(*TONE_GAMMA)
    noisy = linear_to_srgb((blurred + noise).clamp(0, 1)) ** gamma
    quality = int(torch.randint(75, 99, (), generator=generator))
    pixels = decode_jpeg(encode_jpeg(np.ascontiguousarray(_to_pixels(noisy).transpose(1, 2, 0)), quality))
    return to_image(pixels.transpose(2, 0, 1)), linear_to_srgb(inner.clamp(0, 1)) ** gamma


def _make_real_source(folder: Path, images: tuple[str, ...], seed: int) -> Source:
    files = [own for own in PairFolder(folder, for_training=True).files if not images or own.name in images]
    if not files:
        raise UnblurError(f"{folder} holds none of the images {', '.join(images)}.")
    patches = PairPatches(files, PatchSampling(patch_px=PATCH_PX), seed)

    def example(index: int) -> tuple[Tensor, Tensor, Tensor]:
        pair = patches[index]
        return pair.blurry, pair.sharp, torch.zeros(WINDOW_PX, WINDOW_PX)

    return example


def _estimate_by_edges(examples: ShakeExamples, index: int, seed: int) -> Tensor:
    """Return the kernel from edges, with a side as an estimate of the length would give it."""
    factor = 1 + 0.5 * float(torch.rand((), generator=make_generator(seed, "side", index)))
    kernel = torch.from_numpy(np.asarray(examples.kernel[index]))
    length = measure_extent_px(kernel) if kernel.any() else UNKNOWN_LENGTH_PX
    side = min(WINDOW_PX, round(max(9, length * factor + 4)) | 1)
    light = luminance(srgb_to_linear(to_image(examples.blurry[index])))
    found = estimate_kernel_by_edges(light, side, fits=4)
    return torch.nn.functional.pad(found, ((WINDOW_PX - side) // 2,) * 4)


def _to_eight_bits(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round() / 255


def _to_pixels(image: Tensor) -> NDArray[np.uint8]:
    return (image * 255).round().byte().numpy()


if __name__ == "__main__":
    sys.exit(run(make))
