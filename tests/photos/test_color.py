import torch
from hypothesis import given
from hypothesis import strategies as st

from unblur.photos.color import linear_to_srgb, srgb_to_linear


@given(st.floats(0, 1))
def test_conversions_are_inverse(value: float) -> None:
    srgb = torch.tensor(value, dtype=torch.float64)
    torch.testing.assert_close(linear_to_srgb(srgb_to_linear(srgb)), srgb, atol=1e-7, rtol=0)


def test_known_values_of_the_standard() -> None:
    srgb = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64)
    linear = torch.tensor([0.0, 0.0031308, 0.21404114, 1.0], dtype=torch.float64)
    torch.testing.assert_close(srgb_to_linear(srgb), linear, atol=1e-7, rtol=0)
