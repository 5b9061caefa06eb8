"""Laws of strength: 0 gives the input, 1 the restoration, and values between them interpolate linearly."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.errors import UnblurError
from unblur.restoration.blend import apply_strength, check_strength, full_scale

EVERY_TYPE = [np.uint8, np.uint16, np.float16, np.float32, np.float64]


def _picture(dtype, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).random((9, 7, 3))
    return (values * full_scale(np.dtype(dtype))).astype(dtype)


@pytest.mark.parametrize("dtype", EVERY_TYPE)
def test_strength_0_preserves_every_bit(dtype) -> None:
    pixels = _picture(dtype)
    restored = np.random.default_rng(1).random(pixels.shape, np.float32)
    assert apply_strength(pixels, restored, 0).tobytes() == pixels.tobytes()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("strength", [0.1, 0.5, 1])
def test_an_unchanged_restoration_preserves_every_bit(dtype, strength: float) -> None:
    white = np.iinfo(dtype).max
    pixels = np.arange(white + 1, dtype=dtype).reshape(-1, 16, 1)
    unchanged = pixels.astype(np.float32) / white
    assert np.array_equal(apply_strength(pixels, unchanged, strength), pixels)


@given(st.floats(0, 1), st.integers(0, 255), st.floats(0, 1, width=32))
def test_formula_for_integers(strength: float, value: int, restored: float) -> None:
    result = apply_strength(np.full((1, 1, 1), value, np.uint8), np.full((1, 1, 1), restored, np.float32), strength)
    exact = value + strength * (255 * restored - value)
    assert abs(int(result[0, 0, 0]) - exact) <= 0.5 + 1e-4


def test_the_result_is_linear_in_strength() -> None:
    pixels, restored = _picture(np.float32), _picture(np.float32, seed=1)
    whole = apply_strength(pixels, restored, 1) - pixels
    for strength in (0.25, 0.5, 0.75):
        part = apply_strength(pixels, restored, strength) - pixels
        np.testing.assert_allclose(part, strength * whole, atol=1e-6)


def test_change_grows_with_strength() -> None:
    pixels, restored = _picture(np.uint8), _picture(np.float32, seed=1)
    changes = [np.abs(apply_strength(pixels, restored, s).astype(int) - pixels.astype(int)) for s in (0, 0.3, 0.6, 1)]
    for less, more in itertools.pairwise(changes):
        assert (more >= less).all()
    assert changes[-1].sum() > changes[1].sum() > 0


def test_16_bits_are_exact() -> None:
    pixels = np.arange(0, 65536, 7, dtype=np.uint16).reshape(1, -1, 1)
    target = np.roll(pixels, 100, axis=1)
    result = apply_strength(pixels, (target / 65535).astype(np.float32), 1)
    assert np.array_equal(result, target)


def test_out_of_range_is_clipped_before_it_is_blended() -> None:
    pixels = np.full((1, 2, 1), 100, np.uint8)
    restored = np.array([[[2.0], [-1.0]]], np.float32)
    assert apply_strength(pixels, restored, 1).ravel().tolist() == [255, 0]
    assert apply_strength(pixels, restored, 0.5).ravel().tolist() == [178, 50]


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan"), float("inf"), -float("inf")])
def test_strengths_out_of_range_are_refused(strength: float) -> None:
    with pytest.raises(UnblurError, match="strength"):
        check_strength(strength)
