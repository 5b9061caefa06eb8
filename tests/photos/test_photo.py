import numpy as np
import pytest

from unblur.photos.photo import Photo


@pytest.mark.parametrize(
    ("pixels", "said"),
    [
        (np.zeros((4, 5), np.uint8), "pixels must be"),
        (np.zeros((4, 5, 2), np.uint8), "pixels must be"),
        (np.zeros((0, 5, 3), np.uint8), "pixels must be"),
        (np.zeros((4, 5, 3), np.float32), "uint8 or uint16"),
    ],
)
def test_arrays_that_are_no_photograph_are_refused(pixels: np.ndarray, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Photo(pixels=pixels)


def test_alpha_must_fit() -> None:
    with pytest.raises(ValueError, match="alpha"):
        Photo(pixels=np.zeros((4, 5, 3), np.uint8), alpha=np.zeros((5, 4), np.uint8))
    with pytest.raises(ValueError, match="alpha"):
        Photo(pixels=np.zeros((4, 5, 3), np.uint8), alpha=np.zeros((4, 5), np.uint16))


def test_new_pixels_must_be_of_the_same_kind() -> None:
    photo = Photo(pixels=np.zeros((4, 5, 3), np.uint16), alpha=np.ones((4, 5), np.uint16))
    changed = photo.with_pixels(np.ones((4, 5, 3), np.uint16))
    assert (changed.height, changed.width, changed.bit_depth) == (4, 5, 16)
    assert changed.alpha is photo.alpha
    with pytest.raises(ValueError, match="new pixels"):
        photo.with_pixels(np.ones((4, 5, 3), np.uint8))
