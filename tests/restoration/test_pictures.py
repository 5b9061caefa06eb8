"""Every type of picture is converted to planes and back without loss, or refused in one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from unblur.errors import UnblurError
from unblur.photos.pillow_images import is_pillow_image
from unblur.restoration.pictures import extract_planes, rebuild_picture


def _array(*shape: int, dtype=np.uint8) -> np.ndarray:
    values = np.random.default_rng(0).random(shape)
    dtype = np.dtype(dtype)
    return (values * (np.iinfo(dtype).max if dtype.kind == "u" else 1)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, ">u2", np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 2), (5, 4, 3), (5, 4, 4), (1, 1), (1, 7, 3)])
def test_arrays_are_rebuilt_without_loss(shape, dtype) -> None:
    array = _array(*shape, dtype=dtype)
    planes = extract_planes(array)
    assert planes[0].pixels.shape == (*shape[:2], 3 if shape[2:] in ((3,), (4,)) else 1)
    assert (planes[0].alpha is not None) == (shape[2:] in ((2,), (4,)))
    back = rebuild_picture(array, planes)
    assert back.dtype == array.dtype
    assert np.array_equal(back, array)
    assert back.shape == array.shape


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.uint16, torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
@pytest.mark.parametrize("shape", [(3, 5, 4), (1, 5, 4), (2, 3, 5, 4), (4, 1, 5, 4)])
def test_tensors_are_rebuilt_without_loss(shape, dtype) -> None:
    tensor = torch.from_numpy(_array(*shape)).to(torch.float32) / 255
    tensor = tensor.to(dtype) if dtype.is_floating_point else (tensor * 255).to(dtype)
    planes = extract_planes(tensor)
    assert len(planes) == (shape[0] if len(shape) == 4 else 1)
    assert planes[0].pixels.shape == (5, 4, shape[-3])
    back = rebuild_picture(tensor, planes)
    assert back.dtype == dtype
    assert torch.equal(back.double(), tensor.double())
    assert back.shape == tensor.shape


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pillow_images_are_rebuilt_without_loss(mode: str) -> None:
    shape = (5, 4) if mode in ("L", "I;16") else (5, 4, len(mode))
    array = _array(*shape, dtype=np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(array)
    assert image.mode == mode
    image.info["icc_profile"] = b"colours"
    back = rebuild_picture(image, extract_planes(image))
    assert back.mode == mode
    assert back.size == image.size
    assert back.tobytes() == image.tobytes()
    assert back.info == image.info


@pytest.mark.parametrize(("shape", "alpha"), [((3, 5, 4, 3), False), ((2, 5, 4, 1), False), ((2, 5, 4, 4), True)])
def test_batches_of_arrays_are_rebuilt_without_loss(shape: tuple[int, ...], alpha: bool) -> None:
    batch = _array(*shape)
    planes = extract_planes(batch)
    assert len(planes) == shape[0]
    assert all((one.alpha is not None) == alpha for one in planes)
    assert np.array_equal(rebuild_picture(batch, planes), batch)


def _as_mode(image: Image.Image, mode: str) -> Image.Image:
    match mode:
        case "LAB":
            profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
            return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
        case "La" | "RGBa":
            return image.convert(mode.upper()).convert(mode)
        case "PA":
            return image.convert("P").convert("PA")
        case "F":
            return Image.fromarray(np.asarray(image.convert("L")) / np.float32(255))
        case "I":
            return Image.fromarray(np.asarray(image.convert("L")).astype(np.int32) * 257)
    return image.convert(mode)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("1", "L"),
        ("P", "RGB"),
        ("PA", "RGBA"),
        ("RGBX", "RGB"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("HSV", "RGB"),
        ("LAB", "RGB"),
        ("La", "LA"),
        ("RGBa", "RGBA"),
        ("I", "I"),
        ("F", "F"),
    ],
)
def test_other_pillow_modes_become_the_mode_that_holds_a_photograph(mode: str, expected: str) -> None:
    """Pixels equal Pillow's own conversion."""
    image = _as_mode(Image.fromarray(_array(5, 4, 3)), mode)
    image.info = {"icc_profile": b"colours", "dpi": (300, 300)}
    back = rebuild_picture(image, extract_planes(image))
    assert back.mode == expected
    assert back.size == image.size
    if mode == "LAB":
        assert np.abs(np.asarray(back).astype(int) - _array(5, 4, 3)).mean() <= 3
        assert "icc_profile" not in back.info
    elif expected == mode:
        assert np.array_equal(np.asarray(back), np.asarray(image))
    else:
        assert back.tobytes() == image.convert(expected).tobytes()
        assert ("icc_profile" in back.info) == (mode != "CMYK")
    assert back.info["dpi"] == (300, 300)


def test_a_transparent_palette_becomes_transparent_pixels() -> None:
    image = Image.fromarray(_array(5, 4, 3)).convert("P")
    image.info["transparency"] = int(np.asarray(image)[0, 0])
    back = rebuild_picture(image, extract_planes(image))
    assert back.mode == "RGBA"
    assert back.getpixel((0, 0))[3] == 0


def test_pillow_images_are_recognised_by_their_class_and_its_subclasses() -> None:
    class Child(Image.Image):
        pass

    assert is_pillow_image(Child())
    assert not is_pillow_image(np.zeros((2, 2)))


@pytest.mark.parametrize(
    ("picture", "reason"),
    [
        (np.zeros((5,), np.uint8), "shape"),
        (np.zeros((5, 4, 5), np.uint8), "shape"),
        (np.zeros((0, 5, 4, 3), np.uint8), "shape"),
        (np.zeros((2, 5, 4, 5), np.uint8), "shape"),
        (np.zeros((1, 2, 5, 4, 3), np.uint8), "shape"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((5, 4, 0), np.uint8), "shape"),
        (np.zeros((5, 4), np.int64), "int64"),
        (np.zeros((5, 4), np.uint32), "uint32"),
        (np.zeros((5, 4), bool), "bool"),
        (np.full((5, 4), 200.0), "0..1"),
        (np.full((5, 4), -0.1), "0..1"),
        (np.full((5, 4), np.nan), "0..1"),
        (np.full((5, 4), np.inf), "0..1"),
        (torch.zeros(5, 4), "shape"),
        (torch.zeros(2, 5, 4), "shape"),
        (torch.zeros(0, 3, 5, 4), "shape"),
        (torch.zeros(3, 5, 4, dtype=torch.int32), "int32"),
        (torch.full((3, 5, 4), 255.0), "0..1"),
        (Image.new("I", (4, 5), 70_000), "70000"),
        (Image.new("I", (4, 5), -1), "-1"),
        (Image.new("F", (4, 5), 2.0), "0..1"),
        (None, "NoneType"),
        ([[1, 2]], "list"),
    ],
)
def test_invalid_pictures_are_refused(picture: object, reason: str) -> None:
    with pytest.raises(UnblurError, match=reason) as caught:
        extract_planes(picture)
    assert "\n" not in str(caught.value)
