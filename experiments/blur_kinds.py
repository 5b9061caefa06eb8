"""Simulated photographs whose kind of blur is known, to fit and to measure the blur report of `unblur inspect`.

Four kinds, each of every photograph: sharp, shaken along 4 to 40 px, a subject that moved along 8 to 60 px before a
still scene and covers 8 to 50 % of it, and out of focus by a disk of 1.5 to 8 px radius. Of four photographs in a row
one is clean, one noisy, one a JPEG of quality 60 to 90, and one both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur import Camera, Exposure, compute_motion_field, render, sample_exposure
from unblur.blur.matte import compute_coverage
from unblur.blur.noise import add_sensor_noise
from unblur.blur.render import compress
from unblur.blur.sensor import photograph
from unblur.datasets.pair_files import read_rgb
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.restoration.blur_report import Kind
from unblur.seeds import make_generator, seed_for

SMALLEST_SCALE = 0.5
"""Photographs are scaled by a factor drawn from here to 1, so that those that are called sharp are sharp."""

SHORTEST_SIDE_PX, LONGEST_SIDE_PX = 192, 512
"""Sides of the scaled photographs."""

TRUTH_PX = 8
"""Side of the squares that have a truth of their own."""

SHARP_PX, MOVED_PX = 1.5, 3.0
"""Length of the path below which a place is sharp, and from which on it is shaken or moved."""

SHARP_RADIUS_PX, DEFOCUSED_RADIUS_PX = 0.5, 1.0
"""The same for the radius of the disk out of focus."""

OBJECT_SHARE = (0.08, 0.5)
"""Share of the frame that moved subjects cover."""

LEAST_TEXTURE = 4 / 255
"""Mean absolute difference of the pixels of a moved subject from the means around them. Sky shows no motion."""

MOST_DRAWS = 40
"""Draws of a moved subject that is visible, before a photograph is left out."""

_STILL = Camera(
    extent_px=(4.0, 40.0),
    max_poses=41,
    pose_spacing_px=1.0,
    still_share=1.0,
    object_share=0.0,
    object_extent_px=(8.0, 60.0),
    object_radius=(0.2, 0.45),
    followed_share=0.0,
    relief_share=0.0,
    planes_share=0.0,
    defocus_share=0.0,
    rolling_share=0.0,
    noise_share=0.0,
    jpeg_share=0.0,
)

CAMERAS: dict[Kind, Camera] = {
    "sharp": _STILL,
    "shaken": replace(_STILL, still_share=0.0, relief_share=0.3, planes_share=0.1, rolling_share=0.1),
    "moved subject": replace(_STILL, object_share=1.0),
    "out of focus": replace(_STILL, defocus_share=1.0, defocus_px=(1.5, 8.0)),
}


@dataclass(frozen=True, kw_only=True)
class KnownBlur:
    """A simulated photograph and the truth about it."""

    name: str
    kind: Kind
    noisy: bool
    compressed: bool
    image: Tensor
    """(3, H, W) sRGB in [0, 1]."""
    cells: Tensor
    """(H / 8, W / 8): 0 sharp, 1 moved, 2 out of focus, -1 between these."""
    length_px: Tensor
    """(H / 8, W / 8): diagonal of the box around the path of each place, in pixels."""
    ends: Tensor
    """(2, H / 8, W / 8): vector (x, y) from the start of the path to its end, in pixels."""
    radius_px: float
    """Radius of the disk of photographs out of focus."""


def simulate(paths: Sequence[Path], seed: int, start: int = 0, every: int = 1) -> Iterator[KnownBlur]:
    """Yield every `every`th photograph from number `start` on, in each kind. The same seed gives the same results."""
    for index in range(start, len(paths), every):
        photo = read_rgb(paths[index]).float() / 255
        for number, kind in enumerate(CAMERAS):
            degraded = (index + number) % 4
            own = seed_for(seed, "kind", number, "of", index)
            known = _simulate(paths[index].name, photo, kind, own, noisy=degraded in (1, 3), compressed=degraded >= 2)
            if known is not None:
                yield known


def _simulate(name: str, photo: Tensor, kind: Kind, seed: int, *, noisy: bool, compressed: bool) -> KnownBlur | None:
    """Return the photograph with blur of this kind; None where no draw of a moved subject is visible."""
    sharp = _scale(photo, seed)
    height, width = sharp.shape[1:]
    for draw in range(MOST_DRAWS if kind == "moved subject" else 1):
        exposure = sample_exposure(CAMERAS[kind], height, width, seed_for(seed, "exposure", draw))
        motion = compute_motion_field(exposure, height, width, TRUTH_PX).offsets
        length_px = (motion.amax(dim=0) - motion.amin(dim=0)).norm(dim=0)
        if kind == "moved subject" and not _is_visible(sharp, length_px > MOVED_PX):
            continue
        blurry = render(sharp, exposure, tolerance_px=0.2).blurry
        radius = _compute_radius(exposure, height, width)
        cells = torch.full(length_px.shape, -1)
        cells[(length_px < SHARP_PX) & (radius < SHARP_RADIUS_PX)] = 0
        cells[(length_px > MOVED_PX) & (radius < length_px / 4)] = 1
        cells[(radius > DEFOCUSED_RADIUS_PX) & (length_px < radius)] = 2
        return KnownBlur(
            name=name,
            kind=kind,
            noisy=noisy,
            compressed=compressed,
            image=_degrade(blurry, exposure, seed, noisy=noisy, compressed=compressed),
            cells=cells,
            length_px=length_px,
            ends=motion[-1] - motion[0],
            radius_px=float(radius.max()),
        )
    return None


def _scale(photo: Tensor, seed: int) -> Tensor:
    height, width = photo.shape[1:]
    scale = SMALLEST_SCALE + (1 - SMALLEST_SCALE) * float(torch.rand((), generator=make_generator(seed, "scale")))
    scale = min(max(scale, SHORTEST_SIDE_PX / min(height, width)), LONGEST_SIDE_PX / max(height, width), 1.0)
    size = round(height * scale), round(width * scale)
    smaller = F.interpolate(photo[None], size, mode="bicubic", align_corners=False, antialias=True)[0]
    return smaller.clamp(0, 1)


def _is_visible(sharp: Tensor, moved: Tensor) -> bool:
    """Return whether the subject, the cells (h, w) in which `moved` is true, is large enough and has texture."""
    if not OBJECT_SHARE[0] < float(moved.float().mean()) < OBJECT_SHARE[1]:
        return False
    grey = sharp.mean(dim=0)[None, None]
    detail = (grey - F.avg_pool2d(grey, 9, stride=1, padding=4, count_include_pad=False)).abs()
    rows, columns = moved.shape
    return float(F.avg_pool2d(detail, TRUTH_PX)[0, 0, :rows, :columns][moved].mean()) >= LEAST_TEXTURE


def _compute_radius(exposure: Exposure, height: int, width: int) -> Tensor:
    """Compute the radius of the disk out of focus at each cell, that of the nearest layer there."""
    rows, columns = height // TRUTH_PX, width // TRUTH_PX
    radius = torch.zeros(rows, columns)
    for layer in exposure.scene:
        matte = compute_coverage(layer.matte, exposure.frame, height, width, torch.device("cpu"))[0]
        middle = matte[TRUTH_PX // 2 :: TRUTH_PX, TRUTH_PX // 2 :: TRUTH_PX][:rows, :columns]
        visible = middle >= 0.5 if layer.matte else torch.ones(rows, columns, dtype=torch.bool)
        radius = torch.where(visible, layer.defocus_px, radius)
    return radius


def _degrade(image: Tensor, exposure: Exposure, seed: int, *, noisy: bool, compressed: bool) -> Tensor:
    """Return the photograph with noise and compression. (3, H, W) sRGB in [0, 1] -> same, rounded to eight bits."""
    shot, read, quality, chroma = torch.rand(4, generator=make_generator(seed, "degradation")).tolist()
    if noisy:
        light = srgb_to_linear(image)
        shot_noise, read_noise = 5e-4 * 8**shot, 1e-3 * 5**read
        if exposure.sensor is None:
            light = add_sensor_noise(light, shot_noise, read_noise, seed)
        else:
            light = photograph(light, exposure.sensor, shot_noise, read_noise, seed)
        image = linear_to_srgb(light.clamp(0, 1))
    if not compressed:
        return (image * 255).round() / 255
    jpeg = replace(exposure, jpeg_quality=round(60 + 30 * quality), jpeg_subsample_chroma=chroma < 0.5)
    return compress(image, jpeg)
