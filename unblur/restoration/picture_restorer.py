"""Restoration of pictures of every type by any restorer of pixels."""

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar, overload

import numpy as np
from numpy.typing import NDArray
from torch import nn

from unblur.photos.photo import Photo
from unblur.restoration.blend import full_scale
from unblur.restoration.blur_report import BlurReport
from unblur.restoration.pictures import Planes, extract_planes, read_if_file, rebuild_picture
from unblur.restoration.shake import Shake
from unblur.restoration.tiled import Progress, Tile, TiledPixels, scale_progress

Picture = TypeVar("Picture")

HARDLY_CHANGED = 0.3 / 255
"""Mean absolute change, as a share of full scale, below which no difference is visible."""


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """A restored photograph and how it came about."""

    photo: Photo
    seconds: float
    tile_px: int
    """Largest side of the tiles, 0 when the photograph was restored in one piece or not at all."""
    change: float
    """Mean absolute difference to the input, as a share of full scale."""
    fallback_share: float
    """Share of the tiles that are the input's, because the network's output was not finite or was implausible."""
    strength: float
    generated_share: float = 0.0
    """Share of the tiles whose detail was generated."""
    shake: Shake | None = None
    """The camera shake that was solved; None where the network restored the photograph alone."""
    uncertainty: NDArray[np.float32] | None = None
    """(H, W): standard deviation of a pixel over restorations with other seeds, as a share of full scale. None where
    there was nothing to compare."""
    blur: BlurReport | None = None
    """The kind of blur of the photograph, with the solved path; None if the photograph was not inspected."""
    first: Photo | None = None
    """The restoration without generated detail; None unless `GenerativeSettings.returns_first` is set."""

    @property
    def hardly_changed(self) -> bool:
        """True if even full strength would change nothing visibly. False at strength 0, where no change is expected."""
        return self.strength > 0 and self.change / self.strength < HARDLY_CHANGED


class PictureRestorer(ABC):
    """Restorer of pictures of every type. It never changes after construction: threads may share it."""

    @overload
    def restore(
        self,
        picture: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
        strength: float = ...,
        tile: Tile = ...,
        progress: Progress | None = ...,
    ) -> Photo: ...

    @overload
    def restore(
        self, picture: Sequence[Any], strength: float = ..., tile: Tile = ..., progress: Progress | None = ...
    ) -> list[Any]: ...

    @overload
    def restore(
        self, picture: Picture, strength: float = ..., tile: Tile = ..., progress: Progress | None = ...
    ) -> Picture: ...

    def restore(
        self,
        picture: Any,
        strength: float = 1.0,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Any:
        """Return `picture` restored, as the same type; for a path or a file's content, the Photo read from it.

        Args:
            picture: A path, the content of a photograph's file as bytes, an open binary file, a Photo, a Pillow image,
                an array (H, W), (H, W, C) or (B, H, W, C), a tensor (C, H, W) or (B, C, H, W), or a list or tuple of
                any of these, for which a list is returned. Pixels have 8 or 16 bits or are floating point in [0, 1].
                Pillow images in modes that hold no photograph, such as P, are returned as L, LA, RGB or RGBA.
            strength: Share of the restoration that is applied, in [0, 1]; 0 returns equal pixels.
            tile: Largest side in pixels of the tiles that the picture is restored in; 0 for one piece.
            progress: Called with the share that is done, from above 0 to 1. An exception that it raises ends the
                restoration and is passed on to the caller.

        Raises:
            UnblurError: For anything else, with a reason.
        """
        if isinstance(picture, (list, tuple)):
            return [
                self.restore(one, strength, tile, scale_progress(progress, index, len(picture)))
                for index, one in enumerate(picture)
            ]
        picture = read_if_file(picture)
        if isinstance(picture, Photo):
            return self.restore_photo(picture, strength, tile, progress).photo
        planes = extract_planes(picture)
        restored = []
        for index, (pixels, alpha) in enumerate(planes):
            part = scale_progress(progress, index, len(planes))
            result, _ = self._restore_pixels(pixels, alpha, strength, tile, part)
            restored.append(Planes(result.pixels, alpha))
        return rebuild_picture(picture, restored)

    def restore_photo(
        self,
        photo: Photo,
        strength: float = 1.0,
        tile: Tile = "auto",
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore `photo`, with its metadata and alpha, and return it with the facts about its restoration.

        Arguments and errors are those of `restore`. Raises UnblurError also when memory runs out.
        """
        began = time.perf_counter()
        result, shake = self._restore_pixels(photo.pixels, photo.alpha, strength, tile, progress)
        return Restoration(
            photo=photo.with_pixels(result.pixels),
            seconds=time.perf_counter() - began,
            tile_px=result.tile_px,
            change=mean_change(photo.pixels, result.pixels),
            fallback_share=result.fallback_share,
            strength=strength,
            generated_share=result.generated_share,
            shake=shake,
            uncertainty=strength * result.extras[..., 0] if result.extras.shape[2] else None,
            first=None if result.first is None else photo.with_pixels(result.first),
        )

    @abstractmethod
    def _restore_pixels(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        strength: float,
        tile: Tile,
        progress: Progress | None,
    ) -> tuple[TiledPixels, Shake | None]:
        """Restore (H, W, C) -> same, and return the shake that was solved too.

        An extra channel of the result, if there is one, is the uncertainty at full strength.
        """


def mean_change(before: NDArray[Any], after: NDArray[Any]) -> float:
    """Return the mean absolute difference of two (H, W, C), as a share of full scale."""
    # Row by row: a float copy of a large photograph would double the memory of the whole program.
    total = sum(float(np.abs(new - old.astype(np.float32)).sum()) for old, new in zip(before, after, strict=True))
    return total / before.size / full_scale(before.dtype)


def describe_restorer(restorer: Any, network: nn.Module) -> str:
    """Return the class of a restorer, its network, its device and the first digits of its checkpoint."""
    checkpoint = (restorer.checkpoint_sha256 or "none")[:12]
    return f"{type(restorer).__name__}({type(network).__name__}, device={restorer.device}, checkpoint={checkpoint})"
