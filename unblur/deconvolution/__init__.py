"""Deconvolution without learned weights: blur kernels, camera paths, and the sharp image that explains a blurry one."""

from unblur.deconvolution.camera_path import CameraPath, make_single_kernel_path
from unblur.deconvolution.candidates import CANDIDATES, deconvolve_candidates
from unblur.deconvolution.edges import estimate_kernel_by_edges, refine_kernel_by_edges
from unblur.deconvolution.non_blind import Deconvolution, deconvolve
from unblur.deconvolution.wiener import PRIOR_WEIGHTS, deconvolve_wiener

__all__ = [
    "CANDIDATES",
    "PRIOR_WEIGHTS",
    "CameraPath",
    "Deconvolution",
    "deconvolve",
    "deconvolve_candidates",
    "deconvolve_wiener",
    "estimate_kernel_by_edges",
    "make_single_kernel_path",
    "refine_kernel_by_edges",
]
