"""Commands that measure this project itself, at a size that shows that they work."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.harness import run
from experiments.loss_comparison import loss_comparison, make_loss_recipes
from experiments.network_sizes import make_candidate_recipes, network_sizes
from unblur.checkpoints.folder import save_checkpoint
from unblur.datasets.simulated import PatchSampling
from unblur.models import NAFNetConfig, build
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.training.objective_settings import RestorationTraining
from unblur.training.recipe import Recipe

TINY = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)


def test_candidates_differ_in_their_shape_only() -> None:
    candidates = make_candidate_recipes()
    assert len({candidate.model for candidate in candidates}) == len(candidates) > 2
    rest = {(c.seed, c.data, c.objective, c.optimization, c.schedule) for c in candidates}
    assert len(rest) == 1


@pytest.mark.slow
def test_a_study_trains_and_measures_its_candidates(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def small() -> tuple[Recipe, ...]:
        return tuple(
            replace(
                candidate,
                model=TINY,
                data=replace(candidate.data, sampling=PatchSampling(patch_px=64), repeat_gap=4),
                schedule=replace(candidate.schedule, batch=1),
            )
            for candidate in make_candidate_recipes()
        )

    monkeypatch.setattr("experiments.network_sizes.make_candidate_recipes", small)
    table = tmp_path / "sizes.csv"
    arguments = [
        "--photos",
        str(photos),
        "--held-out",
        str(photos),
        "--seconds",
        "0.5",
        "--size",
        "64",
        "--csv",
        str(table),
    ]
    assert run(network_sizes, [*arguments, "--only", "0"]) == 0
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert row["candidate"] == make_candidate_recipes()[0].name
    assert int(row["steps"]) >= 2
    assert float(row["restoring_s_per_mp"]) > 0
    assert np.isfinite(float(row["gain_db"]))


def test_a_study_of_nothing_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--photos", str(photos), "--held-out", str(photos)]
    assert run(network_sizes, [*arguments, "--seconds", "0"]) == 2
    assert run(network_sizes, [*arguments, "--only", "99"]) == 2
    assert "There is no candidate 99" in capsys.readouterr().err


def test_runs_differ_in_their_loss_only() -> None:
    recipes = make_loss_recipes(steps=50, seed=3)
    assert len({recipe.objective.losses for recipe in recipes}) == len(recipes) > 3
    assert (
        len(
            {
                replace(recipe, name="", objective=RestorationTraining(losses=recipes[0].objective.losses))
                for recipe in recipes
            }
        )
        == 1
    )


@pytest.mark.slow
def test_a_comparison_of_losses_trains_and_measures_each_run_once(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")

    # AdamW's first step follows the signs of gradients, which need many weights to differ between all losses.
    network = replace(TINY, width=16)

    def small(*, steps: int, seed: int) -> tuple[Recipe, ...]:
        return tuple(
            replace(
                recipe,
                model=network,
                data=replace(recipe.data, sampling=PatchSampling(patch_px=64)),
                schedule=replace(recipe.schedule, batch=1),
            )
            for recipe in make_loss_recipes(steps=steps, seed=seed)
        )

    monkeypatch.setattr("experiments.loss_comparison.make_loss_recipes", small)
    for side in ("blurry", "sharp"):
        (tmp_path / "pairs" / side).mkdir(parents=True)
        for number in range(2):
            pixels = np.random.default_rng(number + 2 * (side == "sharp")).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            write_photo(Photo(pixels=pixels), tmp_path / "pairs" / side / f"{number}.png")
    save_checkpoint(tmp_path / "begin", build(network), network, train_patch_px=64, card="tiny")
    out = tmp_path / "out"
    command = [str(tmp_path / "pairs"), "--photos", str(photos), "-o", str(out), "--device", "cpu"]
    command += ["--init", str(tmp_path / "begin")]
    assert run(loss_comparison, [*command, "--steps", "1", "--only", "2"]) == 0
    assert run(loss_comparison, [*command, "--steps", "1"]) == 0
    printed = capsys.readouterr().out
    rows = list(csv.DictReader((out / "losses.csv").read_text().splitlines()))
    recipes = [recipe.name for recipe in make_loss_recipes(steps=1, seed=1)]
    assert [row["restoration"] for row in rows] == ["blurry", "at the beginning", *recipes]
    # One step each, with other gradients.
    assert len({row["weights"] for row in rows[1:]}) == 1 + len(recipes)
    assert printed.endswith((out / "losses.md").read_text())
    assert run(loss_comparison, [*command, "--steps", "2"]) == 2
    assert "another folder" in capsys.readouterr().err
    assert run(loss_comparison, [*command, "--only", "4"]) == 2
    assert run(loss_comparison, [*command, "--steps", "0"]) == 2
