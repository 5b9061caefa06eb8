"""Mixed sources keep their shares, use every item in order, and are told by the item's number alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unblur.datasets import Mixture

SHARES = st.lists(st.floats(0.01, 1), min_size=1, max_size=5)


class Numbers:
    """Items that say who they are."""

    def __init__(self, name: int) -> None:
        self.name = name

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self.name, index


def mixture(shares: list[float]) -> Mixture:
    return Mixture([Numbers(name) for name in range(len(shares))], shares)  # type: ignore[misc]


@given(SHARES)
def test_every_item_of_every_source_is_used_once_and_in_order(shares: list[float]) -> None:
    mixed = mixture(shares)
    counts = [0] * len(shares)
    for index in range(200):
        name, number = mixed[index]  # type: ignore[misc]
        assert number == counts[name]
        counts[name] += 1


@given(SHARES, st.integers(0, 10_000_000))
def test_shares_are_kept_in_every_stretch(shares: list[float], start: int) -> None:
    mixed, length = mixture(shares), 400
    names = [mixed.locate(index)[0] for index in range(start, start + length)]
    for name, share in enumerate(shares):
        # Each split into one source and the rest adds less than one item of error, on both ends.
        assert abs(names.count(name) - length * share / sum(shares)) <= 2 * len(shares)


@given(st.floats(0.01, 0.99), st.integers(0, 10_000_000))
def test_two_sources_are_off_by_less_than_one_item(share: float, start: int) -> None:
    mixed = mixture([share, 1 - share])
    for length in (1, 8, 100):
        count = sum(mixed.locate(index)[0] == 0 for index in range(start, start + length))
        assert abs(count - length * share) < 1 + length / 10_000


def test_a_quarter_is_two_of_every_batch_of_eight() -> None:
    mixed = mixture([0.75, 0.25])
    for batch in range(50):
        assert [mixed.locate(8 * batch + item)[0] for item in range(8)].count(1) == 2


@pytest.mark.parametrize("shares", [[1 / 3] * 3, [0.1] * 10, [1e-9, 1.0], [5.0, 5.0]])
def test_only_proportions_count(shares: list[float]) -> None:
    mixed = mixture(shares)
    names = [mixed.locate(index)[0] for index in range(30)]
    assert set(names) <= set(range(len(shares)))
    for name, share in enumerate(shares):
        assert abs(names.count(name) - 30 * share / sum(shares)) <= 1
