"""The bound of arithmetic, and the share of it that a network reaches."""

import pytest
import torch

from unblur.models import NAFNetConfig
from unblur.training import speed as module
from unblur.training.speed import Bound, measure_bound, measure_network_speed

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def test_the_bound_is_the_faster_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PRODUCT_SIDES", (64,))
    monkeypatch.setattr(module, "CONVOLUTION_SHAPES", ((16, 16),))
    measured = measure_bound(torch.float32, seconds=0.01)
    assert measured.gmac_s == max(measured.convolution_gmac_s, measured.product_gmac_s) > 0


def test_shares_follow_from_times_and_counts() -> None:
    within = Bound(dtype=torch.bfloat16, convolution_gmac_s=1e3, product_gmac_s=5e2)
    speed = measure_network_speed(TINY, batch=1, patch_px=32, within=within, side_px=64, seconds=0.01)
    assert speed.restoring_share == pytest.approx(speed.gmac_per_mp / speed.restoring_s_per_mp / 1e3)
    assert speed.training_share == pytest.approx(3 * speed.gmac_per_mp / speed.training_s_per_mp / 1e3)
    # The stem's convolution alone: 12 channels to 4 at a quarter of the pixels.
    assert speed.gmac_per_mp > 9 * 12 * 4 / 4 / 1e3
