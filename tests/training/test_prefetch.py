import pytest

from unblur.training.prefetch import prefetch


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_everything_arrives_once_and_in_order(workers: int) -> None:
    assert list(prefetch(lambda i: i * i, range(3, 40), workers)) == [i * i for i in range(3, 40)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_in_the_consumer(workers: int) -> None:
    def make(i: int) -> int:
        if i == 5:
            raise ValueError("five")
        return i

    batches = prefetch(make, range(10), workers)
    assert [next(batches) for _ in range(5)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="five"):
        next(batches)


def test_nothing_is_made_far_ahead() -> None:
    made: list[int] = []
    batches = prefetch(lambda i: made.append(i) or i, range(1000), 2)
    next(batches)
    batches.close()
    assert len(made) <= 10
