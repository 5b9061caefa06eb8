"""Deconvolution without learned weights: blur kernels, camera paths, and the sharp image that explains a blurry one."""

from unblur.deconvolution.camera_path import CameraPath, single_kernel_path
from unblur.deconvolution.edges import estimate_kernel_by_edges, refine_kernel_by_edges
from unblur.deconvolution.non_blind import Deconvolution, deconvolve

__all__ = [
    "CameraPath",
    "Deconvolution",
    "deconvolve",
    "estimate_kernel_by_edges",
    "refine_kernel_by_edges",
    "single_kernel_path",
]
