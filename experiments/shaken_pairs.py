"""Photographs blurred by camera shake that our simulator does not draw: one kernel over the whole picture.

Sets with measured kernels (Levin et al. 2009; Koehler et al. 2012) cannot be passed on; these pairs are like them in
that the blur comes from nobody who made the training data. Paths are drawn as Boracchi and Foi do ("Modeling the
performance of image restoration from motion blur", IEEE Transactions on Image Processing 21(8), 2012): a point with
inertia, pulled back to where it began, disturbed at every instant and turned back at a few. The strength of each of
these is drawn by rules of our own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur.kernel import compute_path_kernel
from unblur.datasets.pair import Pair
from unblur.datasets.photo_folder import PhotoFolder
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.seeds import make_generator

INSTANTS = 2000


@dataclass(frozen=True, kw_only=True)
class ShakenSet:
    """Kernels, size and noise of the set. Changing any of them makes another set: count the version up."""

    version: int = 1
    lengths_px: tuple[float, ...] = (12.0, 18.0, 24.0, 30.0, 36.0, 44.0, 52.0, 60.0)
    """Lengths of the paths, one kernel each; kernels are narrower, because paths turn back."""
    size_px: int = 384
    """Side of the square cut from the middle of each photograph."""
    noise: float = 0.004
    """Deviation of the noise in linear light, white being 1."""
    seed: int = 20261121


def simulate_shaken_pairs(photos: PhotoFolder, settings: ShakenSet) -> Iterator[Pair]:
    """Yield one pair for each photograph, named `<length of the path>px_<photo>.png`; kernels take turns."""
    kernels = [draw_shake_kernel(length, settings.seed) for length in settings.lengths_px]
    for number, (name, photo) in enumerate(zip(photos.names, photos.photos, strict=True)):
        which = number % len(kernels)
        sharp, blurry = _expose(photo.float() / 255, kernels[which], settings.size_px)
        grain = torch.randn(blurry.shape, generator=make_generator(settings.seed, "noise", name))
        noisy = linear_to_srgb((blurry + settings.noise * grain).clamp(0, 1))
        stem = name.rsplit(".", 1)[0]
        yield Pair(blurry=noisy, sharp=sharp, name=f"{settings.lengths_px[which]:g}px_{stem}.png")


def draw_shake_kernel(length_px: float, seed: int) -> Tensor:
    """Return the kernel of a path of that length around its centre of mass; see `compute_path_kernel`."""
    path = draw_shake_path(length_px, make_generator(seed, "shake", f"{length_px:g}"))
    return compute_path_kernel(path - path.mean(dim=0))


def draw_shake_path(length_px: float, generator: torch.Generator) -> Tensor:
    """Draw positions at `INSTANTS` instants, (N, 2) px: equal steps in changing directions."""
    uniform = torch.rand(5, generator=generator, dtype=torch.float64).tolist()
    restless, pull, unsteady, turns = 0.01 * uniform[0], 0.7 * uniform[1], 10 * uniform[2], 0.2 * uniform[3]
    normal = torch.randn(INSTANTS, 2, generator=generator, dtype=torch.float64)
    chance = torch.rand(INSTANTS, generator=generator, dtype=torch.float64)
    angle = torch.tensor(2 * torch.pi * uniform[4], dtype=torch.float64)
    direction = torch.stack([angle.cos(), angle.sin()])
    step_px = length_px / (INSTANTS - 1)
    place = torch.zeros(2, dtype=torch.float64)
    places = [place]
    for instant in range(1, INSTANTS):
        turned = -2 * direction if chance[instant] < turns * restless else torch.zeros(2, dtype=torch.float64)
        disturbed = restless * (unsteady * normal[instant] - pull * place)
        direction = direction + turned + disturbed
        direction = direction / direction.norm()
        place = place + step_px * direction
        places.append(place)
    return torch.stack(places)


def _expose(photo: Tensor, kernel: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Return the middle of (3, H, W) sRGB: sharp in sRGB, blurry in linear light, in which blur is a sum."""
    height, width = photo.shape[1:]
    reach = kernel.shape[0] // 2
    rows, columns = (min(size_px, side - 2 * reach) for side in (height, width))
    top, left = (height - rows) // 2, (width - columns) // 2
    around = photo[:, top - reach : top + rows + reach, left - reach : left + columns + reach]
    # Light from the right comes to the left of the kernel's middle.
    mirrored = kernel.flip(0, 1).float()[None, None]
    blurry = F.conv2d(srgb_to_linear(around)[:, None], mirrored)[:, 0]
    return photo[:, top : top + rows, left : left + columns], blurry
