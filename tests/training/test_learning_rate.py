import math
from functools import partial

import pytest

from unblur.training.learning_rate import ConstantThenCosine, Cosine, Decay, Halving, compute_learning_rate


def rates(decay: Decay, steps: int, warmup_steps: int = 0, final: float = 0.1) -> list[float]:
    rate = partial(compute_learning_rate, decay, steps=steps, warmup_steps=warmup_steps, peak=1.0, final=final)
    return [rate(step) for step in range(steps)]


def test_rises_peaks_and_ends_where_it_should() -> None:
    curve = rates(Cosine(), 100, warmup_steps=10)
    assert curve[0] == 0.1
    assert curve[9] == curve[10] == 1.0
    assert math.isclose(curve[-1], 0.1)
    assert curve[:10] == sorted(curve[:10])
    assert curve[10:] == sorted(curve[10:], reverse=True)


def test_halfway_down_is_half() -> None:
    assert math.isclose(rates(Cosine(), 101, final=0.0)[50], 0.5)


def test_stays_constant_for_its_share_and_then_is_a_cosine_of_the_rest() -> None:
    curve = rates(ConstantThenCosine(constant_share=0.3), 300)
    assert set(curve[:91]) == {1.0}
    assert curve[90:] == rates(Cosine(), 210)
    assert rates(ConstantThenCosine(constant_share=0.3), 300, warmup_steps=20)[20:] == curve[20:]


def test_halves_at_equal_distances() -> None:
    curve = rates(Halving(times=5), 3000)
    assert [curve[epoch] for epoch in (0, 499, 500, 1000, 1500, 2000, 2499, 2500, 2999)] == [
        1, 1, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 16, 1 / 32, 1 / 32,
    ]  # fmt: skip


@pytest.mark.parametrize("wrong", [lambda: Halving(times=0), lambda: ConstantThenCosine(constant_share=1.0)])
def test_an_invalid_schedule_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match=r"halved at least once|in \[0, 1\)"):
        wrong()  # type: ignore[operator]
