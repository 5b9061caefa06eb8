"""The fixed validation set: every photograph of a folder, exposed with four severities of blur."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from unblur.blur import Camera, compute_motion_field, render, sample_exposure
from unblur.blur.render import reach_px
from unblur.datasets.pair import Pair
from unblur.datasets.photo_folder import PhotoFolder
from unblur.seeds import seed_for

CAMERA = Camera(
    still_share=0.0,
    direction_deg=(0.0, 360.0),
    kinds=("bezier", "walk", "pan"),
    focal_frames=(0.7, 6.0),
    roll=0.4,
    zoom=0.1,
    pose_spacing_px=0.8,
    max_poses=121,
    relief_share=0.0,
    planes_share=0.0,
    object_share=0.0,
    defocus_share=0.0,
    rolling_share=0.0,
    mosaic_share=0.0,
    highlight_share=0.5,
    highlight_gain=(0.25, 8.0),
    noise_share=0.8,
    shot_noise=(1e-5, 2e-3),
    read_noise=(3e-5, 2e-3),
    jpeg_share=0.6,
    jpeg_quality=(70, 98),
)
"""Written out: the set must not change with the simulator's defaults. Extents come from the severities."""


@dataclass(frozen=True, kw_only=True)
class ValidationSet:
    """Blur extents, size and seed of the set. Changing any of them makes another set: count the version up."""

    version: int = 2
    """Version 1 aligned the sharp photographs to half time, not to the mean of the exposure."""
    severities: tuple[tuple[str, float], ...] = (
        ("light", 2.0),
        ("moderate", 4.0),
        ("strong", 8.0),
        ("severe", 16.0),
    )
    """Names and blur extents in pixels."""
    size_px: int = 384
    """Side of the square cut from the middle of each photograph."""
    camera: Camera = CAMERA
    seed: int = 20260121


LONG = ValidationSet(severities=(("long", 32.0), ("longest", 64.0)), size_px=768)
"""Blur as a large photograph has it: twice and four times as long as the severest, in squares that have room for it."""

STILL = ValidationSet(severities=(("still", 0.0),), camera=replace(CAMERA, still_share=1.0))
"""Nothing moves: what is left of the difference between blurry and sharp are the sensor's noise and the JPEG."""


def simulate_validation_pairs(photos: PhotoFolder, settings: ValidationSet) -> Iterator[Pair]:
    """Return pairs named `<severity>_<photo>.png`; the same on every machine for the same photographs and settings."""
    for name, photo in zip(photos.names, photos.photos, strict=True):
        for severity, extent_px in settings.severities:
            camera = replace(settings.camera, extent_px=(extent_px, extent_px))
            height, width = photo.shape[1:]
            rows, columns = min(settings.size_px, height), min(settings.size_px, width)
            top, left = (height - rows) // 2, (width - columns) // 2
            exposure = sample_exposure(camera, height, width, seed_for(settings.seed, severity, name))
            # Whatever can enter the crop from outside during the exposure is real where the photograph has it.
            margin = min(reach_px(exposure, height, width), top, left)
            source = photo[:, top - margin : top + rows + margin, left - margin : left + columns + margin]
            rendering = render(source.float() / 255, exposure.crop(left - margin, top - margin), margin_px=margin)
            yield Pair(
                blurry=rendering.blurry,
                sharp=rendering.sharp,
                name=f"{severity}_{name.rsplit('.', 1)[0]}.png",
                motion=compute_motion_field(exposure.crop(left, top), rows, columns),
            )
