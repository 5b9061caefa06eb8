"""Training patches made on the fly: sharp photographs seen through the blur simulator."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur import Camera, render, sample_exposure
from unblur.blur.render import reach_px
from unblur.datasets.photo_folder import PhotoFolder
from unblur.errors import UnblurError
from unblur.seeds import generator_for, seed_for


@dataclass(frozen=True, kw_only=True)
class PatchSampling:
    """How patches are cut from photographs before they are blurred."""

    patch_px: int = 128
    smallest_scale: float = 0.5
    """Photographs are scaled by a factor drawn from here to 1: finer detail, fewer compression artefacts."""
    pristine_share: float = 0.05
    """Share of patches left as they are, target and input: what is sharp must stay as it is."""
    candidates: int = 3
    """Places looked at for each patch, of which the one with most detail is taken: sky teaches little."""


class SimulatedPatches:
    """An endless list of (blurry, sharp) patches, (3, P, P) sRGB in [0, 1]; item i depends on (seed, i) only."""

    def __init__(self, photos: PhotoFolder, camera: Camera, sampling: PatchSampling, seed: int) -> None:
        smallest = min(min(photo.shape[1:]) for photo in photos.photos)
        if smallest < sampling.patch_px:
            raise UnblurError(
                f"{photos.folder} holds a photograph only {smallest} px wide or high; "
                f"patches of {sampling.patch_px} px need at least as much, so remove it or train on smaller patches."
            )
        self.photos, self.camera, self.sampling, self.seed = photos, camera, sampling, seed

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        generator = generator_for(self.seed, "patch", index)

        def uniform() -> float:
            return float(torch.rand((), generator=generator))

        photo = self.photos.photos[int(torch.multinomial(self.photos.weights, 1, generator=generator))]
        orientation = int(torch.randint(8, (), generator=generator))
        patch_px = self.sampling.patch_px
        scale = max(self.sampling.smallest_scale, patch_px / min(photo.shape[1:]))
        scale += (1 - scale) * uniform()
        pristine = uniform() < self.sampling.pristine_share
        height, width = (round(side * scale) for side in photo.shape[1:])
        exposure = sample_exposure(self.camera, height, width, seed_for(self.seed, "exposure", index))
        room_px = (min(height, width) - patch_px) // 2
        margin_px = 0 if pristine else min(reach_px(exposure, height, width), room_px)
        side_px = patch_px + 2 * margin_px
        places = torch.rand(self.sampling.candidates, 2, generator=generator).tolist()
        corners = [(int(y * (height - side_px + 1)), int(x * (width - side_px + 1))) for y, x in places]
        top, left = max(corners, key=lambda corner: _detail(photo, corner[0], corner[1], side_px, scale))
        source = _scaled_crop(photo, top, left, side_px, scale)
        source = _turned(source, orientation)
        if pristine:
            return source, source
        rendering = render(source, exposure.cropped(left, top), margin_px)
        return rendering.blurry, rendering.sharp


def _turned(patch: Tensor, orientation: int) -> Tensor:
    """One of the eight flips and quarter turns, named 0 to 7. (3, P, P) -> (3, P, P)."""
    if orientation >= 4:
        patch = patch.flip(2)
    return patch.rot90(orientation % 4, (1, 2)).contiguous()


def _detail(photo: Tensor, top: int, left: int, side_px: int, scale: float) -> float:
    """Mean step between neighbouring pixels of the square that `_scaled_crop` would cut, sparsely sampled."""
    row, column, source_px = int(top / scale), int(left / scale), round(side_px / scale)
    green = photo[1, row : row + source_px : 3, column : column + source_px].short()
    return float((green[:, 1:] - green[:, :-1]).abs().float().mean())


def _scaled_crop(photo: Tensor, top: int, left: int, side_px: int, scale: float) -> Tensor:
    """The square at (top, left) of `photo` scaled by `scale` <= 1, without scaling the rest. uint8 -> [0, 1]."""
    if scale == 1:
        return photo[:, top : top + side_px, left : left + side_px].float() / 255
    first_row, first_column = int(top / scale), int(left / scale)
    source_px = round(side_px / scale)
    crop = photo[:, first_row : first_row + source_px, first_column : first_column + source_px].float()[None]
    resized = F.interpolate(crop, (side_px, side_px), mode="bicubic", antialias=True, align_corners=False)
    return resized[0].clamp(0, 255) / 255
