"""Conversion of arrays, tensors and Pillow images to planes (H, W, C) and back."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.pillow_images import array_to_pillow, is_pillow_image, pillow_to_array
from unblur.photos.reading import read_photo


class Planes(NamedTuple):
    """The pixels of one picture, whatever type it came in."""

    pixels: NDArray[Any]
    """(H, W, 1) grey or (H, W, 3) RGB; uint8, uint16, or floating point in [0, 1]."""
    alpha: NDArray[Any] | None
    """(H, W) or (H, W, 1), 0 where the picture is fully transparent."""


def read_if_file(picture: Any) -> Any:
    """Return the Photo in `picture` if that is a path, the content of a file or an open file, else `picture` itself."""
    is_content = isinstance(picture, (str, os.PathLike, bytes, bytearray, memoryview))
    return read_photo(picture) if is_content or callable(getattr(picture, "read", None)) else picture


def get_single_pixels(picture: Any, impossible: str) -> NDArray[Any]:
    """Return the pixels of one picture of any type that a restorer accepts, (H, W, C), without its alpha channel.

    Raises UnblurError for other types, and for a batch of several pictures: `impossible` says what cannot be done with
    them, such as "The blur of {} pictures cannot be inspected at once", where {} stands for their number.
    """
    picture = read_if_file(picture)
    if isinstance(picture, Photo):
        return picture.pixels
    planes = extract_planes(picture)
    if len(planes) != 1:
        raise UnblurError(f"{impossible.format(len(planes))}; give one at a time.")
    return planes[0].pixels


def extract_planes(picture: object) -> list[Planes]:
    """Return the pictures in an array, a tensor or a Pillow image; several only for a batch.

    Shape: arrays (H, W), (H, W, C) or (B, H, W, C) with C from 1 (grey) to 4 (RGB, alpha); tensors (C, H, W) or
    (B, C, H, W) with C 1 or 3. Raises UnblurError for any other kind, shape, dtype or range of values.
    """
    if isinstance(picture, Tensor):
        return [Planes(pixels, None) for pixels in _split_tensor(picture)]
    if isinstance(picture, np.ndarray):
        return [_split_array(one) for one in (picture if picture.ndim == 4 and len(picture) else [picture])]
    if is_pillow_image(picture):
        return [_split_array(pillow_to_array(picture))]
    raise UnblurError(
        f"A {type(picture).__name__} is not a picture; give a path, bytes, an open file, a Photo, a Pillow "
        "image, a NumPy array, a PyTorch tensor, or a list of these."
    )


def rebuild_picture(picture: Any, planes: Sequence[Planes]) -> Any:
    """Return `planes` as the type and shape of `picture`, from which they were extracted."""
    if isinstance(picture, Tensor):
        stacked = torch.stack([torch.from_numpy(pixels).permute(2, 0, 1) for pixels, _ in planes])
        return stacked.to(device=picture.device, dtype=picture.dtype).reshape(picture.shape)
    arrays = [pixels if alpha is None else np.concatenate([pixels, alpha], axis=2) for pixels, alpha in planes]
    if isinstance(picture, np.ndarray):
        return np.stack(arrays).reshape(picture.shape).astype(picture.dtype, copy=False)
    return array_to_pillow(arrays[0], picture)


def _split_array(array: NDArray[Any]) -> Planes:
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] > 4):
        raise UnblurError(
            f"An array of shape {array.shape} is not a picture; its shape must be (height, width), "
            "(height, width, channels) or (batch, height, width, channels) with 1 to 4 channels."
        )
    planes = np.atleast_3d(array)
    _check_values(planes)
    colours = 3 if planes.shape[2] >= 3 else 1
    return Planes(planes[..., :colours], planes[..., colours:] if planes.shape[2] > colours else None)


def _split_tensor(tensor: Tensor) -> list[NDArray[Any]]:
    if tensor.ndim not in (3, 4) or tensor.shape[-3] not in (1, 3) or tensor.numel() == 0:
        raise UnblurError(
            f"A tensor of shape {tuple(tensor.shape)} is not a picture; its shape must be (channels, height, "
            "width) or (batch, channels, height, width) with 1 or 3 channels."
        )
    tensor = tensor.detach()
    # NumPy has no bfloat16.
    tensor = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).cpu()
    batch = tensor.reshape(-1, *tensor.shape[-3:]).permute(0, 2, 3, 1).numpy()  # (B, H, W, C)
    _check_values(batch)
    return list(batch)


def _check_values(pixels: NDArray[Any]) -> None:
    if pixels.dtype.kind == "f":
        low, high = float(pixels.min()), float(pixels.max())
        if not (low >= 0 and high <= 1):
            raise UnblurError(
                f"Values from {low:g} to {high:g} are outside the range of floating-point pictures; scale them to 0..1."
            )
    elif pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise UnblurError(f"Pixels of type {pixels.dtype} are not supported; use uint8, uint16, or floats in 0..1.")
