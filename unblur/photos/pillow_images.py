"""Conversion of Pillow images to arrays, and of arrays and photographs to Pillow images.

Pillow is imported only where a caller uses it.
"""

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.photos.photo import Photo, round_to_8_bits

if TYPE_CHECKING:
    from PIL.Image import Image

_ARRAY_MODES = ("L", "LA", "RGB", "RGBA", "I;16", "I;16B")
"""Modes that equal an array of 8 or 16 bits."""

_CONVERTED_TO = {
    "1": "L",
    "CMYK": "RGB",
    "HSV": "RGB",
    "La": "LA",
    "PA": "RGBA",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
}
"""Modes that a restored photograph cannot have, or that have no array of their own, and the modes that replace them."""

_OWN_PROFILE_MODES = ("CMYK", "LAB")
"""Modes whose colour profile does not describe the RGB image that replaces them."""


def is_pillow_image(picture: object) -> TypeGuard["Image"]:
    """Return whether `picture` is a PIL.Image.Image, without importing Pillow."""
    return any((c.__module__, c.__name__) == ("PIL.Image", "Image") for c in type(picture).__mro__)


def pillow_to_array(image: "Image") -> NDArray[Any]:
    """Return the pixels of an image of any mode.

    The result is (H, W) or (H, W, C) with C from 2 (grey, alpha) to 4 (RGB, alpha): uint8, uint16 for the modes I;16
    and I, float32 for F. Raises UnblurError for values that no photograph holds, and for modes that Pillow itself
    cannot convert.
    """
    match image.mode:
        case mode if mode in _ARRAY_MODES:
            return np.asarray(image)
        case "F":
            return np.asarray(image)
        case "I":
            values = np.asarray(image)
            if values.size and not 0 <= int(values.min()) <= int(values.max()) <= np.iinfo(np.uint16).max:
                raise UnblurError(
                    f'The values from {values.min()} to {values.max()} of a Pillow image of mode "I" are outside the '
                    "range of 16 bits; scale them to 0..65535."
                )
            return values.astype(np.uint16)
        case "P":
            return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
        case "LAB":
            return np.asarray(_lab_to_rgb(image))
        case mode if mode in _CONVERTED_TO:
            return np.asarray(image.convert(_CONVERTED_TO[mode]))
    raise UnblurError(f'A Pillow image of mode "{image.mode}" is not supported; use image.convert("RGB") first.')


def array_to_pillow(array: NDArray[Any], like: "Image") -> "Image":
    """Return `array`, of the shape and dtype that `pillow_to_array` gives for `like`, as an image.

    The image has the mode of `like` where that is one of L, LA, RGB, RGBA, I;16, I;16B, I and F; other modes are
    replaced by L, LA, RGB or RGBA. The entries of `like.info` that still apply are copied.
    """
    pixels = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    image: Image = _pillow().fromarray(pixels.astype(np.int32) if like.mode == "I" else pixels)
    image.info = dict(like.info)
    if like.mode not in (*_ARRAY_MODES, "I", "F"):
        image.info.pop("transparency", None)
    if like.mode in _OWN_PROFILE_MODES:
        image.info.pop("icc_profile", None)
    return image


def photo_to_pillow(photo: Photo) -> "Image":
    """Return a photograph as an image of mode L, LA, RGB, RGBA or I;16, with its colour profile and EXIF in `info`.

    Pillow has no colours of 16 bits, so these are rounded to 8. Raises UnblurError where Pillow is not installed.
    """
    pixels = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    if pixels.shape[2] > 1:
        pixels = round_to_8_bits(pixels)
    image: Image = _pillow().fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    if photo.metadata.icc is not None:
        image.info["icc_profile"] = photo.metadata.icc
    if photo.metadata.exif is not None:
        image.info["exif"] = photo.metadata.exif
    return image


def _lab_to_rgb(image: "Image") -> "Image":
    from PIL import ImageCms

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, srgb, "LAB", "RGB"))
    assert converted is not None, "only a transform in place returns nothing"
    return converted


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise UnblurError("A Pillow image needs the package pillow; run: pip install pillow.") from error
    return Image
