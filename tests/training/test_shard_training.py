"""Training from the shards of `unblur simulate`: the command, and a resumed run equal to an uninterrupted one."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_loop import TINY, KilledError, metrics, same_weights

from unblur.app.cli import main
from unblur.datasets import PairSet
from unblur.training.loop import train


@pytest.fixture
def shards(photos: Path, tmp_path: Path) -> Path:
    """Six pairs of 64 px in two shards."""
    sizes = ["--pairs", "6", "--size", "64", "--pairs-per-shard", "4", "--workers", "1"]
    assert main(["simulate", str(photos), "-o", str(tmp_path / "shards"), *sizes, "-q"]) == 0
    return tmp_path / "shards"


def test_a_resumed_run_from_shards_equals_an_uninterrupted_one_bit_for_bit(shards: Path, tmp_path: Path) -> None:
    source = PairSet(folder=str(shards), share=1.0)
    recipe = replace(TINY, data=replace(TINY.data, extra_sources=(source,)))

    def stop(step: int, _measured: dict[str, float]) -> None:
        if step == 5:
            raise KilledError

    train(recipe, None, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(recipe, None, tmp_path / "parts", on_step=stop)
    train(recipe, None, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")


def test_shards_are_evaluated_and_checked_like_other_data_sets(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(shards), "--method", "identity", "--csv", str(tmp_path / "tables")]) == 0
    (table,) = (tmp_path / "tables").glob("*.csv")
    assert len(table.read_text().splitlines()) == 7
    # Blur at random blocks of colour may be taken for a shift, which is no fault of the shards.
    assert main(["check", str(shards)]) in (0, 1)
    assert "Simulated pairs" in (printed := capsys.readouterr().out)
    assert "all: 6 pairs" in printed
