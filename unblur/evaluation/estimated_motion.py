"""The motion of blurry photographs as the estimator sees it, and how far that is from the truth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.blur.undirected import compute_endpoint_error_px, to_directed
from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import MotionEstimatorConfig
from unblur.models.motion_estimator import OUTPUT_STRIDE_PX
from unblur.models.pooling import choose_window_px, use_local_pooling

TILE_PX = 768
"""Side of the squares in which motion is estimated, to limit the memory."""

CONTEXT_PX = 128
"""Context in pixels around each square of the estimator: about half of what a path depends on."""


@dataclass(frozen=True, kw_only=True)
class MotionError:
    """The error of the ends of estimated paths: means over the positions of an image, or over images."""

    endpoint_px: float
    """Swap-invariant distance of the ends."""
    fitted_endpoint_px: float
    """The same against the ends of the quadratic fits, which is what the estimator learns."""
    length_px: float
    """Length of the true paths, end to end."""


def load_estimator(source: str | Path | None, device: torch.device) -> nn.Module:
    """Load the motion estimator in a checkpoint, the bundled one for None. Raises UnblurError for other networks."""
    checkpoint = load_checkpoint(BUNDLED_MOTION_ESTIMATOR if source is None else source)
    if not isinstance(checkpoint.config, MotionEstimatorConfig):
        raise UnblurError(f"{checkpoint.folder} holds no motion estimator; give a checkpoint of `unblur train motion`.")
    # As far as the patches that it has learnt from let it average; TLC's ratio.
    use_local_pooling(checkpoint.model, choose_window_px(checkpoint.train_patch_px))
    return checkpoint.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


@torch.inference_mode()
def estimate_motion(estimator: nn.Module, blurry: Tensor) -> Tensor:
    """Estimate undirected paths (4, h, w) in pixels, at every 8th pixel of `blurry`, (3, H, W) sRGB in [0, 1]."""
    device = next(estimator.parameters()).device
    _, height, width = blurry.shape
    bands = []
    for top in range(0, height, TILE_PX):
        squares = []
        for left in range(0, width, TILE_PX):
            first_row, first_column = max(0, top - CONTEXT_PX), max(0, left - CONTEXT_PX)
            window = blurry[:, first_row : top + TILE_PX + CONTEXT_PX, first_column : left + TILE_PX + CONTEXT_PX]
            path = estimator(window[None].to(device, memory_format=torch.channels_last))[0].float().cpu()
            row, column = (top - first_row) // OUTPUT_STRIDE_PX, (left - first_column) // OUTPUT_STRIDE_PX
            side = TILE_PX // OUTPUT_STRIDE_PX
            squares.append(path[:, row : row + side, column : column + side])
        bands.append(torch.cat(squares, dim=2))
    return torch.cat(bands, dim=1)


def compute_motion_error(path: Tensor, start: Tensor, end: Tensor, curve: Tensor) -> MotionError:
    """Return the error of an estimated undirected path (4, 2h, 2w) against the truth at every 16th pixel.

    `start` and `end` are (2, h, w), `curve` the coefficients (3, 2, h, w) of the quadratic fit.
    """
    ends = to_directed(F.avg_pool2d(path[None], 2)[0])
    constant, linear, square = curve
    return MotionError(
        endpoint_px=float(compute_endpoint_error_px(*ends, start, end).mean()),
        fitted_endpoint_px=float(
            compute_endpoint_error_px(*ends, constant - linear + square, constant + linear + square).mean()
        ),
        length_px=float((end - start).norm(dim=0).mean()),
    )


def average_errors(errors: Sequence[MotionError]) -> MotionError:
    """Average errors over images of one size; there must be one at least."""
    return MotionError(
        endpoint_px=fmean(error.endpoint_px for error in errors),
        fitted_endpoint_px=fmean(error.fitted_endpoint_px for error in errors),
        length_px=fmean(error.length_px for error in errors),
    )
