"""Cameras by name: our own full range, and imitations of data sets for studies of how much diversity matters.

The imitations follow what the GLOWDeblur paper (arXiv 2601.06525) shows of the data sets' blur in its figure, read by
eye: shares of global and local blur, peaks of the orientation, and where the magnitude (in units of the data set's
largest) lies. They imitate these statistics, not the photographs.
"""

from dataclasses import replace
from typing import assert_never

from unblur.blur.camera import Camera
from unblur.names import PresetName


def find_preset(name: PresetName) -> Camera:
    """The camera of that name."""
    match name:
        case "full":
            return Camera()
        case "gopro":
            return _gopro()
        case "realblur":
            return _realblur()
        case "rsblur":
            return _rsblur()
    assert_never(name)


def _gopro() -> Camera:
    """A wide-angle action camera carried along: mostly horizontal, 75 % global, magnitudes falling from 0.05 on.

    Frames of a 240 Hz video averaged: no noise to speak of, no mosaic, mild compression.
    """
    return Camera(
        extent_px=(2.0, 40.0),
        still_share=0.0,
        direction_deg=(65.0, 115.0),
        kinds=("pan", "walk"),
        focal_frames=(0.6, 0.8),
        roll=0.2,
        object_share=0.9,
        object_extent_px=(4.0, 40.0),
        followed_share=0.4,
        defocus_share=0.0,
        rolling_share=0.0,
        highlight_share=0.0,
        noise_share=0.0,
        mosaic_share=0.0,
        jpeg_share=0.0,
    )


def _realblur() -> Camera:
    """A hand-held camera in the dark: mostly vertical (70 and 260 degrees), 90 % global, magnitude about 0.2."""
    return Camera(
        extent_px=(6.0, 30.0),
        still_share=0.0,
        direction_deg=(-25.0, 25.0),
        kinds=("bezier", "walk", "tremor"),
        focal_frames=(0.7, 1.0),
        object_share=0.1,
        object_extent_px=(6.0, 30.0),
        rolling_share=0.0,
        highlight_share=1.0,
        noise_share=1.0,
        # The RSBlur paper's estimate for RealBlur, drawn from 0.5 to 1.5 times as much.
        shot_noise=(4.4e-5, 1.3e-4),
        read_noise=(1.5e-5, 4.4e-5),
        mosaic_share=1.0,
        contrasty_share=1.0,
        jpeg_share=0.0,
    )


def _rsblur() -> Camera:
    """Walks and drives with a dual camera: every direction, 65 % global, magnitude about 0.1 with a long tail."""
    return replace(
        _realblur(),
        extent_px=(2.0, 60.0),
        direction_deg=(0.0, 360.0),
        kinds=("bezier", "walk", "pan", "tremor"),
        object_share=1.0,
        object_extent_px=(3.0, 60.0),
        object_radius=(0.1, 0.5),
        followed_share=0.4,
        highlight_share=0.5,
        shot_noise=(5e-5, 1.5e-4),
        read_noise=(4.6e-4, 1.4e-3),
        contrasty_share=0.0,
    )
