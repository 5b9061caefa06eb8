"""Simulates pairs on the fly: sharp photographs blurred by the simulator.

First everything about a pair is drawn and recorded (`draw`), then it is rendered (`expose`): a record
rendered again gives the same pair bit for bit.
"""

from dataclasses import dataclass, field
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur import Camera, Exposure, MotionField, compute_motion_field, render, sample_exposure
from unblur.blur.motion import STRIDE_PX
from unblur.blur.render import reach_px
from unblur.datasets.orientation import apply_dihedral, undo_dihedral
from unblur.datasets.photo_folder import Photographs
from unblur.errors import UnblurError
from unblur.seeds import make_generator, seed_for


@dataclass(frozen=True, kw_only=True)
class PatchSampling:
    """Settings of the patches that are cut from photographs before they are blurred."""

    patch_px: int = 128
    smallest_scale: float = 0.5
    """Photographs are scaled by a factor drawn from here to 1: finer detail, fewer compression artefacts."""
    pristine_share: float = 0.05
    """Share of sharp patches that are both input and target: the network learns to leave them unchanged."""
    candidates: int = 3
    """Number of places that are drawn for each patch, of which the one with most detail is used, rather than sky."""
    uniform_px: float = 0.1
    """Blur that differs by less than this over a patch is rendered as if it did not, which is faster."""


@dataclass(frozen=True, kw_only=True)
class PairRecord:
    """Everything about a simulated pair but the photographs themselves. JSON-serialisable."""

    photo: str
    """File name."""
    scale: float
    """Factor by which the photograph is scaled first."""
    corner_px: tuple[int, int]
    """(left, top) of what is exposed, margin included, in the scaled photograph."""
    side_px: int
    """Side of the square that is exposed, margin included."""
    margin_px: int
    """Additional pixels on each side, because light comes from outside of the frame."""
    orientation: int
    """One of eight flips and quarter turns, 0 to 7."""
    exposure: Exposure
    """The exposure of the square, margin included."""


@dataclass(frozen=True, kw_only=True)
class SimulatedPair:
    """A blurry photograph, the sharp one, and the truth about what lies between, P x P pixels."""

    blurry: Tensor
    """(3, P, P) sRGB in [0, 1]."""
    sharp: Tensor
    """(3, P, P) sRGB in [0, 1]."""
    saturated: Tensor
    """Mask of clipped pixels of the blurry photograph, (1, P, P) bool."""
    record: PairRecord
    _ends: dict[int, MotionField] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def upright(self) -> Tensor:
        """The sharp patch without its flip or quarter turn, (3, P, P) sRGB in [0, 1]."""
        return undo_dihedral(self.sharp, self.record.orientation)

    @cached_property
    def motion(self) -> MotionField:
        """The true motion at every 16th pixel."""
        return self.compute_motion_at(STRIDE_PX)

    def compute_motion_at(self, stride_px: int) -> MotionField:
        """Return the true motion at every `stride_px`th pixel."""
        margin_px = self.record.margin_px
        _, height, width = self.blurry.shape
        return compute_motion_field(self.record.exposure.crop(margin_px, margin_px), height, width, stride_px)

    def fit_ends(self, stride_px: int) -> MotionField:
        """Return start and end of the true motion's quadratic fit at every `stride_px`th pixel.

        They are cached, because a pair is used several times and the whole path is long.
        """
        if stride_px not in self._ends:
            ends = self.compute_motion_at(stride_px).fit_ends()
            self._ends[stride_px] = MotionField(offsets=torch.stack(ends), stride_px=stride_px)
        return self._ends[stride_px]


class SimulatedPairs:
    """An endless list of pairs; item i depends on the photographs, the settings, the seed and i only."""

    def __init__(
        self, photos: Photographs, camera: Camera, sampling: PatchSampling, seed: int, device: str = "cpu"
    ) -> None:
        """Render pairs on `device`, where they stay. Accelerators round differently."""
        smallest = photos.shortest_side_px
        if smallest < sampling.patch_px:
            raise UnblurError(
                f"{photos.source} holds a photograph only {smallest} px wide or high; "
                f"patches of {sampling.patch_px} px need at least as much, so remove it or train on smaller patches."
            )
        self.photos, self.camera, self.sampling, self.seed = photos, camera, sampling, seed
        self.device = device
        self.places = {name: place for place, name in enumerate(photos.names)}

    def __getitem__(self, index: int) -> SimulatedPair:
        return self.expose(self.draw(index))

    def draw(self, index: int) -> PairRecord:
        """Draw everything about pair `index`."""
        generator = make_generator(self.seed, "patch", index)

        def uniform() -> float:
            return float(torch.rand((), generator=generator))

        which = int(torch.multinomial(self.photos.weights, 1, generator=generator))
        photo = self.photos.photos[which]
        orientation = int(torch.randint(8, (), generator=generator))
        patch_px = self.sampling.patch_px
        scale = max(self.sampling.smallest_scale, patch_px / min(photo.shape[1:]))
        scale += (1 - scale) * uniform()
        pristine = uniform() < self.sampling.pristine_share
        height, width = (round(side * scale) for side in photo.shape[1:])
        exposure = sample_exposure(
            self.camera, height, width, seed_for(self.seed, "exposure", index), tuple(self.photos.names)
        )
        if pristine:
            exposure = _make_identity_exposure(exposure)
        room_px = (min(height, width) - patch_px) // 2
        margin_px = 0 if pristine else min(reach_px(exposure, height, width), room_px)
        side_px = patch_px + 2 * margin_px
        places = torch.rand(self.sampling.candidates, 2, generator=generator).tolist()
        corners = [(int(x * (width - side_px + 1)), int(y * (height - side_px + 1))) for y, x in places]
        corner = max(corners, key=lambda corner: measure_detail(photo, corner, side_px, scale))
        return PairRecord(
            photo=self.photos.names[which],
            scale=scale,
            corner_px=corner,
            side_px=side_px,
            margin_px=margin_px,
            orientation=orientation,
            exposure=exposure.crop(*corner),
        )

    def expose(self, record: PairRecord) -> SimulatedPair:
        """Render the pair of `record`. Raises UnblurError when a photograph that it names is missing."""
        source = _scale_and_crop(self._find_photo(record.photo), record.corner_px, record.side_px, record.scale)
        rendering = render(
            apply_dihedral(source.to(self.device), record.orientation),
            record.exposure,
            record.margin_px,
            [
                _crop_picture(self._find_photo(layer.picture), layer.picture_place, record.side_px).to(self.device)
                if layer.picture
                else None
                for layer in record.exposure.layers
            ],
            self.sampling.uniform_px,
        )
        return SimulatedPair(
            blurry=rendering.blurry, sharp=rendering.sharp, saturated=rendering.saturated, record=record
        )

    def _find_photo(self, name: str) -> Tensor:
        if name not in self.places:
            raise UnblurError(
                f"{self.photos.source} has no {name}, which a record asks for; give the same photographs."
            )
        return self.photos.photos[self.places[name]]


def _make_identity_exposure(exposure: Exposure) -> Exposure:
    """Return an exposure that changes nothing."""
    return Exposure(
        poses=((0.0,) * 6,),
        focal_px=exposure.focal_px,
        principal_px=exposure.principal_px,
        frame=exposure.frame,
    )


def measure_detail(photo: Tensor, corner_px: tuple[int, int], side_px: int, scale: float = 1.0) -> float:
    """Measure the mean step between sparse neighbouring pixels in the square at (left, top) of (3, H, W) uint8.

    The square is that of the photograph scaled by `scale`, as `_scale_and_crop` would cut it.
    """
    column, row, source_px = int(corner_px[0] / scale), int(corner_px[1] / scale), round(side_px / scale)
    green = photo[1, row : row + source_px : 3, column : column + source_px].short()
    return float((green[:, 1:] - green[:, :-1]).abs().float().mean())


def _scale_and_crop(photo: Tensor, corner_px: tuple[int, int], side_px: int, scale: float) -> Tensor:
    """Return the square at (left, top) of `photo` scaled by `scale` <= 1, without scaling the rest. uint8 -> [0, 1]."""
    left, top = corner_px
    if scale == 1:
        return photo[:, top : top + side_px, left : left + side_px].float() / 255
    first_row, first_column = int(top / scale), int(left / scale)
    source_px = round(side_px / scale)
    crop = photo[:, first_row : first_row + source_px, first_column : first_column + source_px].float()[None]
    resized = F.interpolate(crop, (side_px, side_px), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].clamp(0, 255) / 255


def _crop_picture(photo: Tensor, place: tuple[float, float], side_px: int) -> Tensor:
    """Return a square of another photograph, enlarged if it is too small. uint8 -> (3, side, side) in [0, 1]."""
    height, width = photo.shape[1:]
    left, top = int(place[0] * max(0, width - side_px)), int(place[1] * max(0, height - side_px))
    crop = photo[:, top : top + side_px, left : left + side_px].float() / 255
    if crop.shape[1:] == (side_px, side_px):
        return crop
    return F.interpolate(crop[None], (side_px, side_px), mode="bilinear", align_corners=False)[0]
