"""`unblur bench` with networks and photographs that take seconds."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from unblur.app.cli import main
from unblur.app.cluster.speed import ClusterSpeed
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.evaluation.benchmark import Benchmark, Measurement, compare_benchmarks, read_benchmark
from unblur.models import NAFNetConfig
from unblur.names import RecipeName
from unblur.recipes.smoke import smoke
from unblur.training.recipe import Recipe
from unblur.training.speed import measure_network_speed

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


@pytest.mark.slow
def test_the_benchmark_prints_ratios(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
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
    monkeypatch.setattr("unblur.evaluation.restoring_speed._WARM_UP_PX", 32)
    # The graphs of the other runtimes take seconds to build.
    monkeypatch.setattr("unblur.evaluation.restoring_speed.RUNTIMES", (("torch", "float32"),))
    file = tmp_path / "new.json"
    # Starting Ray takes ten seconds; tests/app/test_cluster_restore.py measures this part.
    of_ray = ClusterSpeed(one_process=4.0, one_worker=3.0, all_workers=6.0, workers=2, start_s=5.0, item_s=0.01)
    monkeypatch.setattr("unblur.app.cluster.speed.measure_cluster_speed", lambda _photo, _count: of_ray)
    sizes = ["--megapixels", "0.004", "--peers", "unsharp", "--ray", "--json", str(file)]
    assert main(["bench", str(photos), "--pairs", "2", "--seconds", "0.1", *sizes]) == 0
    printed = capsys.readouterr().out
    assert "| bfloat16 |" in printed
    assert "| 256 x 256 |" in printed
    assert "| 1280 x 720 |" in printed
    assert printed.count("| plain |") == 2
    assert "| network alone | camera shake solved | ratio |" in printed
    found = read_benchmark(file)
    names = [one.name for one in found.measurements]
    assert len(set(names)) == len(names)
    assert {"faithful, torch float32, 0.004 MP", "fast, torch float32, 0.004 MP", "unsharp, 0.004 MP"} <= set(names)
    assert all(one.value > 0 for one in found.measurements if one.unit.startswith("core-s"))
    assert "| Ray, 2 workers | 6.00 | 1.50 |" in printed
    assert found.versions["torch"] == torch.__version__
    assert main(["bench", "--compare", str(file), str(file)]) == 0
    ratios = [line.split("|")[-2].strip() for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert set(ratios[2:]) <= {"1.00", ""}
    assert len(ratios) == 2 + len(names)


def test_comparisons_give_the_ratio_of_common_measurements() -> None:
    def benchmark(**values: float) -> Benchmark:
        measurements = (Measurement(name=name, value=value, unit="core-s") for name, value in values.items())
        return Benchmark(machine="machine", versions={}, measurements=tuple(measurements))

    table = compare_benchmarks(benchmark(slow=4.0, former=1.0), benchmark(slow=1.0, added=2.0))
    assert table.lines == (("slow", "core-s", "4", "1", "0.25"),)
    with pytest.raises(UnblurError, match="no measurement in common"):
        compare_benchmarks(benchmark(former=1.0), benchmark(added=1.0))


@pytest.mark.parametrize("content", ["", "[]", '{"machine": "m", "versions": {}}', "\xff"])
def test_other_files_are_refused_in_a_sentence(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.json").write_text(content, encoding="latin-1")
    assert main(["bench", "--compare", str(tmp_path / "a.json"), str(tmp_path / "a.json")]) == 2
    assert str(tmp_path / "a.json") in capsys.readouterr().err
    assert main(["bench", "--compare", str(tmp_path / "a.json"), str(tmp_path / "none.json")]) == 2


def test_without_photographs_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench"]) == 2
    assert "no photographs to measure with" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        ("--pairs", "0"),
        ("--seconds", "inf"),
        ("--seconds", "nan"),
        ("--seconds", "-1"),
        ("--megapixels", "0"),
        ("--megapixels", "nan"),
    ],
)
def test_settings_that_measure_nothing_are_refused_at_once(
    photos: Path, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(photos), *option]) == 2
    said = capsys.readouterr()
    assert "measure nothing" in said.err or "cannot have such a size" in said.err
    assert said.out == ""
