"""The bundled motion estimator on a photograph blurred by scipy, not by our simulator."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from unblur.blur.undirected import to_directed
from unblur.datasets.pair_files import read_rgb
from unblur.evaluation.estimated_motion import estimate_motion, load_estimator
from unblur.photos.color import linear_to_srgb, srgb_to_linear

SHARP = Path(__file__).parent.parent.parent / "examples" / "reds_sharp.png"


def _shaken(length_px: float, angle_deg: float) -> torch.Tensor:
    """(3, H, W) sRGB in [0, 1], moved along a straight line at constant speed."""
    light = srgb_to_linear(read_rgb(SHARP).float() / 255).numpy()
    x, y = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    places = np.linspace(-length_px / 2, length_px / 2, 2 * int(length_px) + 1)
    views = [shift(light, (0, place * y, place * x), order=1, mode="nearest") for place in places]
    return linear_to_srgb(torch.from_numpy(np.mean(views, axis=0)).float().clamp(0, 1))


def _line(photo: torch.Tensor) -> tuple[float, float]:
    """Length in pixels and direction in degrees, 0 to 180, of the mean path."""
    path = estimate_motion(load_estimator(None, torch.device("cpu")), photo).mean(dim=(1, 2), keepdim=True)
    start, end = to_directed(path)
    x, y = (end - start).flatten().tolist()
    return math.hypot(x, y), math.degrees(math.atan2(y, x)) % 180


@pytest.mark.parametrize("angle_deg", [0, 45, 90, 150])
def test_direction_and_length_of_the_motion_are_estimated(angle_deg: float) -> None:
    length_px, estimated_deg = _line(_shaken(12, angle_deg))
    assert abs((estimated_deg - angle_deg + 90) % 180 - 90) < 10
    assert length_px == pytest.approx(12, rel=0.5)


def test_longer_motion_has_longer_estimates() -> None:
    lengths = [_line(_shaken(length_px, 30))[0] for length_px in (1, 5, 20)]
    assert lengths[0] < lengths[1] < lengths[2]
