"""Imitations of data sets have the statistics that the paper shows of them, and the full range is broader."""

from typing import get_args

import pytest
import torch

from unblur.blur import compute_motion_field, sample_exposure
from unblur.blur.presets import find_preset
from unblur.metrics.blur_patterns import BlurPatterns, collect_patterns, measure_motion
from unblur.names import PresetName

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def measured() -> dict[str, BlurPatterns]:
    result = {}
    for name in get_args(PresetName):
        camera = find_preset(name)
        fields = (compute_motion_field(sample_exposure(camera, 320, 480, seed), 320, 480, 32) for seed in range(100))
        result[name] = collect_patterns(measure_motion(field.start, field.end) for field in fields)
    return result


def sixths(patterns: BlurPatterns) -> torch.Tensor:
    """Shares of the orientations in six sectors, the first centred on the right."""
    return torch.tensor(patterns.orientation).roll(3).view(6, 6).sum(dim=1)


def test_gopro_moves_sideways_and_realblur_up_and_down(measured: dict[str, BlurPatterns]) -> None:
    sideways = sixths(measured["gopro"])
    assert sideways[0] + sideways[3] > 0.5
    vertical = torch.tensor(measured["realblur"].orientation)
    assert vertical[6:12].sum() + vertical[24:30].sum() > 0.5


def test_rsblur_moves_every_way(measured: dict[str, BlurPatterns]) -> None:
    assert sixths(measured["rsblur"]).min() > 0.08


def test_the_full_range_is_the_broadest(measured: dict[str, BlurPatterns]) -> None:
    for name in ("gopro", "realblur", "rsblur"):
        assert measured["full"].magnitude_entropy > measured[name].magnitude_entropy
        assert measured["full"].orientation_entropy > measured[name].orientation_entropy - 0.01
        assert measured["full"].diversity > measured[name].diversity
