"""Several deconvolutions of one photograph, from which the fusion network makes one result.

A sparse prior keeps edges where the kernel is right; linear filters make fewer mistakes where it is wrong. At every
position the network compares them. They differ in luminance only: their colours are those of the strongest filter,
since fine detail is mostly light and dark, and noise in colours is most visible. Where clipped light reaches, all of
them are the same, see `unblur.deconvolution.clipped_light`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from unblur.deconvolution.camera_path import CameraPath
from unblur.deconvolution.clipped_light import CLIPPED, replace_clipped_light
from unblur.deconvolution.non_blind import Deconvolution, deconvolve_sparse
from unblur.deconvolution.wiener import PRIOR_WEIGHTS, deconvolve_wiener
from unblur.photos.color import luminance

CANDIDATES = 1 + len(PRIOR_WEIGHTS)
"""Number of deconvolutions."""


def deconvolve_candidates(
    blurry: Tensor,
    path: CameraPath,
    noise: float,
    *,
    clipping_level: float = CLIPPED,
    left_px: int = 0,
    top_px: int = 0,
    on_candidate: Callable[[float], None] | None = None,
) -> Tensor:
    """Deconvolve a photograph, or the part of it that begins at (left, top), in several ways.

    Args:
        blurry: (3, H, W) linear light, white being 1.
        path: The path of the camera.
        noise: Standard deviation of the noise in linear light.
        clipping_level: Linear light from which a pixel counts as clipped, see `choose_clipping_level`.
        left_px: Place of the part in the photograph.
        top_px: Place of the part in the photograph.
        on_candidate: Called with the share of the work that is done; exceptions from it end the deconvolution.

    Returns:
        (CANDIDATES, 3, H, W) linear light: with a sparse prior, then by Wiener filters from weak to strong. Values
        below 0 and above 1 occur.
    """
    light = luminance(blurry)[None]
    sparse = deconvolve_sparse(light, path, Deconvolution(noise=noise), left_px=left_px, top_px=top_px)
    if on_candidate is not None:
        on_candidate(0.5)
    filtered = deconvolve_wiener(light, path, PRIOR_WEIGHTS, left_px=left_px, top_px=top_px)
    if on_candidate is not None:
        on_candidate(0.75)
    coloured = deconvolve_wiener(blurry, path, PRIOR_WEIGHTS[-1:], left_px=left_px, top_px=top_px)
    candidates = coloured + torch.cat([sparse[None], filtered]) - filtered[-1:]
    return replace_clipped_light(candidates, blurry, path, level=clipping_level, left_px=left_px, top_px=top_px)
