import math

from unblur.training.schedule import cosine_with_warmup


def test_rises_peaks_and_ends_where_it_should() -> None:
    rates = [cosine_with_warmup(step, 100, 10, peak=1.0, final=0.1) for step in range(100)]
    assert rates[0] == 0.1
    assert rates[9] == rates[10] == 1.0
    assert math.isclose(rates[-1], 0.1)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_halfway_down_is_half() -> None:
    assert math.isclose(cosine_with_warmup(50, 101, 0, peak=1.0, final=0.0), 0.5)
