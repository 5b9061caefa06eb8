"""Simulated pairs with their true, estimated and solved motion, in files that are mapped into memory."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.conditioned_nafnet import PATH_POINTS, PATH_STRIDE_PX
from experiments.harness import Report
from experiments.severity import split_in_quintiles
from unblur.blur import MotionField
from unblur.blur.undirected import compute_endpoint_error_px, to_directed, to_undirected
from unblur.checkpoints.folder import BUNDLED_KERNEL_ESTIMATOR, Checkpoint, load_checkpoint
from unblur.datasets import PhotoFolder
from unblur.datasets.simulated import PatchSampling, SimulatedPairs
from unblur.datasets.validation import CAMERA
from unblur.errors import UnblurError
from unblur.evaluation.estimated_motion import load_estimator
from unblur.models import KernelEstimator
from unblur.models.nafnet import NAFNet
from unblur.restoration.loading import load
from unblur.restoration.shake import CPU, ShakeEstimator
from unblur.restoration.shake_guidance import compute_shake_lines
from unblur.restoration.shake_solver import is_worth_solving

Given = Literal["none", "estimated", "solved", "true ends", "true paths"]
"""Paths that a network gets when it restores."""

EXTENT_PX = (2.0, 32.0)
"""Extents of the blur: a patch has no room for longer ones."""


@dataclass(frozen=True, kw_only=True)
class PairStudySettings:
    """Settings of a study on these pairs; stored as study.json in the output folder."""

    steps: int
    batch: int
    patch_px: int
    measured_px: int
    measured_pairs: int
    photos: str
    """Fingerprint of the photographs that are trained on."""
    held_out: str
    """Fingerprint of the photographs that are measured on."""
    checkpoint: str
    """SHA-256 of the network that the study starts from."""


@dataclass(frozen=True, kw_only=True)
class MotionPairs:
    """The pairs; a pair that is not `finished` holds zeros."""

    blurry: NDArray[np.uint8]
    """(N, 3, P, P)."""
    sharp: NDArray[np.uint8]
    """(N, 3, P, P)."""
    true_paths: NDArray[np.float16]
    """(N, 16, P/8, P/8) pixels."""
    true_ends: NDArray[np.float16]
    """The straight lines of the quadratic fits, as paths: (N, 16, P/8, P/8) pixels."""
    estimated: NDArray[np.float16]
    """Lines by the bundled estimator, of the same shape."""
    solved: NDArray[np.float16]
    """Lines of the kernels of a solved shake, or those of the estimator; only of the measured pairs."""
    finished: NDArray[np.bool_]
    """(N,)."""


def sample_path(motion: MotionField) -> Tensor:
    """Return 8 points of each path at equal steps of time, from left to right. (16, h, w) pixels, (x, y) of each."""
    offsets = motion.offsets
    at = torch.linspace(0, len(offsets) - 1, PATH_POINTS)
    low = at.floor().long().clamp(max=max(0, len(offsets) - 2))
    high = (low + 1).clamp(max=len(offsets) - 1)
    share = (at - low).view(-1, 1, 1, 1)
    points = offsets[low] * (1 - share) + offsets[high] * share
    leftwards = points[-1, 0] < points[0, 0]
    return torch.where(leftwards, points.flip(0), points).flatten(0, 1)


def draw_line(start: Tensor, end: Tensor) -> Tensor:
    """Return 8 equally spaced points from `start` to `end`, (2, h, w) pixels each. (16, h, w)."""
    shares = torch.linspace(0, 1, PATH_POINTS).view(-1, 1, 1, 1)
    return (start + (end - start) * shares).flatten(0, 1)


def measure_length_px(path: NDArray[np.float16]) -> float:
    """Return the mean length of paths along their points. (16, h, w) -> pixels."""
    points = torch.from_numpy(path.astype(np.float32)).view(PATH_POINTS, 2, *path.shape[1:])
    return float(points.diff(dim=0).norm(dim=1).sum(dim=0).mean())


def compute_line_errors_px(pairs: MotionPairs, given: Given) -> list[float]:
    """Return the mean distance of the ends of lines from the true ends, for each pair, in pixels."""
    errors = []
    for index in range(len(pairs.finished)):
        lines, true = (
            torch.from_numpy(get_paths(pairs, index, one).astype(np.float32)) for one in (given, "true ends")
        )
        errors.append(float(compute_endpoint_error_px(lines[:2], lines[-2:], true[:2], true[-2:]).mean()))
    return errors


def simulate_motion_pairs(
    folder: Path, photos: Path, count: int, patch_px: int, seed: int, report: Report, *, solves: bool = False
) -> MotionPairs:
    """Simulate pairs with their true and estimated motion, or go on with those in `folder`.

    Only with `solves` the shake is solved; without it, the solved lines are those of the estimator.
    """
    made = _open_files(folder, count, patch_px)
    if made.finished.all():
        return made
    estimator, shake_estimator = load_estimator(None, CPU), load_shake_estimator() if solves else None
    sampling = PatchSampling(patch_px=patch_px, pristine_share=0.0)
    pairs = SimulatedPairs(PhotoFolder(photos), replace(CAMERA, extent_px=EXTENT_PX), sampling, seed)
    for index in np.flatnonzero(~made.finished).tolist():
        pair = pairs[index]
        made.blurry[index], made.sharp[index] = (_to_bytes(image) for image in (pair.blurry, pair.sharp))
        made.true_paths[index] = sample_path(pair.compute_motion_at(PATH_STRIDE_PX)).numpy()
        ends = to_undirected(*pair.fit_ends(PATH_STRIDE_PX).offsets)
        made.true_ends[index] = draw_line(*to_directed(ends)).numpy()
        with torch.inference_mode():
            estimated = estimator(pair.blurry[None])[0]
        made.estimated[index] = draw_line(*to_directed(estimated)).numpy()
        solved = None if shake_estimator is None else solve_lines(shake_estimator, made.blurry[index])
        made.solved[index] = made.estimated[index] if solved is None else draw_line(*to_directed(solved)).numpy()
        made.finished[index] = True
        report(f"simulating {folder.name}", index + 1, count)
    return made


def load_shake_estimator() -> ShakeEstimator:
    """Load the bundled estimator of camera shake."""
    estimator = load_checkpoint(BUNDLED_KERNEL_ESTIMATOR).model
    assert isinstance(estimator, KernelEstimator)
    return ShakeEstimator(load(device="cpu", shake="off").apply_network, estimator)


def solve_lines(estimator: ShakeEstimator, blurry: NDArray[np.uint8]) -> Tensor | None:
    """Return the lines of the shake of an image, (3, H, W) -> (4, H/8, W/8), or None where it would not be solved."""
    shake = estimator.estimate(blurry.transpose(1, 2, 0))
    if not is_worth_solving(shake):
        return None
    return compute_shake_lines(shake.path, 0, 0, blurry.shape[2], blurry.shape[1])[0]


def _open_files(folder: Path, count: int, patch_px: int) -> MotionPairs:
    folder.mkdir(parents=True, exist_ok=True)
    side = patch_px // PATH_STRIDE_PX
    images, paths = (count, 3, patch_px, patch_px), (count, 2 * PATH_POINTS, side, side)

    def open_array(name: str, dtype: type[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
        file = folder / f"{name}.npy"
        return np.lib.format.open_memmap(file, "r+" if file.exists() else "w+", dtype, shape)

    return MotionPairs(
        blurry=cast(NDArray[np.uint8], open_array("blurry", np.uint8, images)),
        sharp=cast(NDArray[np.uint8], open_array("sharp", np.uint8, images)),
        true_paths=cast(NDArray[np.float16], open_array("true_paths", np.float16, paths)),
        true_ends=cast(NDArray[np.float16], open_array("true_ends", np.float16, paths)),
        estimated=cast(NDArray[np.float16], open_array("estimated", np.float16, paths)),
        solved=cast(NDArray[np.float16], open_array("solved", np.float16, paths)),
        finished=cast(NDArray[np.bool_], open_array("finished", np.bool_, (count,))),
    )


def _to_bytes(image: Tensor) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = (image.clamp(0, 1) * 255).round().byte().numpy()
    return array


def get_paths(pairs: MotionPairs, index: int, given: Given) -> NDArray[np.float16]:
    """Return paths of one pair, (16, P/8, P/8) pixels."""
    match given:
        case "none":
            return np.zeros_like(pairs.true_paths[index])
        case "estimated":
            found = pairs.estimated[index]
        case "solved":
            found = pairs.solved[index]
        case "true ends":
            found = pairs.true_ends[index]
        case "true paths":
            found = pairs.true_paths[index]
    return np.asarray(found)


def to_images(images: NDArray[np.uint8]) -> Tensor:
    """Convert bytes to [0, 1]."""
    return torch.from_numpy(images.astype(np.float32)) / 255


def compute_psnr_db(image: Tensor, sharp: NDArray[np.uint8]) -> float:
    """Return the PSNR of (3, H, W) in [0, 1] against the sharp image."""
    return -10 * math.log10(max(1e-10, float((image.clamp(0, 1) - to_images(sharp)).square().mean())))


def list_fifths(lengths: Sequence[float]) -> list[list[int]]:
    """Divide pairs into fifths by the length of their blur, and return their numbers, mildest first."""
    return [[int(one) for one in part] for part in split_in_quintiles({str(i): x for i, x in enumerate(lengths)})]


def measure_blurry(pairs: MotionPairs) -> NDArray[np.float64]:
    """Return the PSNR of each blurry image in dB."""
    images = zip(pairs.blurry, pairs.sharp, strict=True)
    return np.array([compute_psnr_db(to_images(blurry), sharp) for blurry, sharp in images])


def get_nafnet(checkpoint: Checkpoint) -> NAFNet:
    """Return the network of a checkpoint. Raises UnblurError unless it is a NAFNet without a prior."""
    network = checkpoint.model
    if not isinstance(network, NAFNet) or network.config.prior is not None:
        raise UnblurError(f"{checkpoint.folder} holds no NAFNet without a prior; give another checkpoint.")
    return network
