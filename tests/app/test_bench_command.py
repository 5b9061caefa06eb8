"""`unblur bench` with networks and photographs that take seconds."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from unblur.app.cli import main
from unblur.datasets.simulated import PatchSampling
from unblur.models import NAFNetConfig
from unblur.names import RecipeName
from unblur.recipes.smoke import smoke
from unblur.training.recipe import Recipe
from unblur.training.speed import measure_network_speed

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


@pytest.mark.slow
def test_the_benchmark_prints_ratios(
    photos: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def small(name: RecipeName) -> Recipe:
        """Recipes that differ in their names alone, on patches as small as the photographs of the test."""
        return replace(
            smoke(),
            name=name,
            model=TINY,
            data=replace(smoke().data, sampling=PatchSampling(patch_px=32)),
            schedule=replace(smoke().schedule, batch=2),
        )

    monkeypatch.setattr("unblur.recipes.find_recipe", small)
    # Processors without instructions for bfloat16 take minutes for the shapes of a true measurement.
    monkeypatch.setattr("unblur.training.speed.PRODUCT_SIDES", (64,))
    monkeypatch.setattr("unblur.training.speed.CONVOLUTION_SHAPES", ((16, 16),))
    monkeypatch.setattr("unblur.training.speed.measure_network_speed", partial(measure_network_speed, side_px=64))
    monkeypatch.setattr("unblur.app.bench_command.SHAKEN_SIDE_PX", 96)
    assert main(["bench", str(photos), "--pairs", "2", "--seconds", "0.1"]) == 0
    printed = capsys.readouterr().out
    assert "| bfloat16 |" in printed
    assert "| 256 x 256 |" in printed
    assert "| 1280 x 720 |" in printed
    assert printed.count("| plain |") == 2
    assert "| network alone | camera shake solved | ratio |" in printed


@pytest.mark.parametrize("option", [("--pairs", "0"), ("--seconds", "inf"), ("--seconds", "nan"), ("--seconds", "-1")])
def test_settings_that_measure_nothing_are_refused_at_once(
    photos: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(photos), *option]) == 2
    said = capsys.readouterr()
    assert "measure nothing" in said.err
    assert said.out == ""
