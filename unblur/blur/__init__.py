"""The blur simulator: draws an exposure, then renders it in linear light."""

from unblur.blur.camera import Camera, sample_exposure
from unblur.blur.exposure import Exposure, Layer
from unblur.blur.motion import MotionField, compute_motion_field
from unblur.blur.render import Rendering, render

__all__ = [
    "Camera",
    "Exposure",
    "Layer",
    "MotionField",
    "Rendering",
    "compute_motion_field",
    "render",
    "sample_exposure",
]
