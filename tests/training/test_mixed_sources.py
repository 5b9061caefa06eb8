"""Training on real pairs, and on mixtures: resumed runs, recipes as JSON, and errors."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_loop import TINY, KilledError, metrics, same_weights

from unblur.app.cli import main
from unblur.blur import Camera
from unblur.config import from_json, to_json
from unblur.datasets import PairSet, PhotoFolder, SimulatedBlur, SyntheticText
from unblur.datasets.mixture import Mixture
from unblur.datasets.simulated import SimulatedPairs
from unblur.datasets.sources import TO_LEARN
from unblur.datasets.validation import ValidationSet, simulate_validation_pairs
from unblur.datasets.written_pairs import write_pair
from unblur.errors import UnblurError
from unblur.models import MotionEstimatorConfig
from unblur.recipes import find_recipe
from unblur.training.loop import train
from unblur.training.objective_settings import MotionTraining
from unblur.training.objectives.build import build_objective
from unblur.training.patches import build_patches
from unblur.training.progressive import ProgressivePatches
from unblur.training.recipe import Recipe


@pytest.fixture
def pairs(photos: Path, tmp_path: Path) -> Path:
    settings = ValidationSet(size_px=64, severities=(("moderate", 4.0),))
    for pair in simulate_validation_pairs(PhotoFolder(photos), settings):
        write_pair(tmp_path / "pairs", pair)
    return tmp_path / "pairs"


def mixed(pairs: Path) -> Recipe:
    return replace(
        TINY,
        data=replace(
            TINY.data,
            extra_sources=(
                PairSet(folder=str(pairs), share=0.4),
                SimulatedBlur(camera=Camera(extent_px=(8, 9)), share=0.25),
            ),
        ),
    )


def test_a_resumed_mixture_equals_an_uninterrupted_one_bit_for_bit(photos: Path, pairs: Path, tmp_path: Path) -> None:
    def stop_after_four(step: int, _measured: dict[str, float]) -> None:
        if step == 4:
            raise KilledError

    recipe = replace(mixed(pairs), schedule=replace(TINY.schedule, steps=6))
    train(recipe, photos, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(recipe, photos, tmp_path / "parts", on_step=stop_after_four)
    train(replace(recipe), photos, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    assert "40% of the patches are of the pairs in pairs" in (tmp_path / "whole" / "README.md").read_text()


def test_real_pairs_alone_need_no_photographs(pairs: Path, tmp_path: Path) -> None:
    recipe = replace(
        TINY, data=replace(TINY.data, extra_sources=tuple(PairSet(folder=str(pairs), share=1 / 3) for _ in range(3)))
    )
    assert recipe.data.camera_share == 0
    train(replace(recipe, schedule=replace(recipe.schedule, steps=2)), None, tmp_path / "run")
    assert "simulator" not in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(UnblurError, match="give a folder of sharp photographs"):
        train(replace(TINY, schedule=replace(TINY.schedule, steps=2)), None, tmp_path / "other")


def test_sources_together_hold_no_more_pairs_in_memory_than_one_would(photos: Path) -> None:
    one = replace(TINY, data=replace(TINY.data, repeats=2, repeat_gap=12))
    sources = tuple(SimulatedBlur(camera=Camera(), share=1 / 6) for _ in range(5))
    several = replace(one, data=replace(one.data, extra_sources=sources))

    def gaps(recipe: Recipe) -> list[int]:
        patches = build_patches(recipe, PhotoFolder(photos), "cpu")
        assert isinstance(patches, ProgressivePatches)
        phase = patches.patches_of(patches.phases[0])
        return [source.apart for source in (phase.sources if isinstance(phase, Mixture) else [phase])]

    assert gaps(one) == [12]
    assert gaps(several) == [2] * 6


def test_without_anything_mixed_in_the_simulator_gives_what_it_always_gave(photos: Path) -> None:
    """Runs begun before there were mixtures go on with the same patches, and their recipes still load."""
    faithful = find_recipe("faithful")
    recipe = replace(faithful, data=replace(faithful.data, repeats=1, extra_sources=()))
    old = json.loads(to_json(recipe))
    del old["data"]["extra_sources"]
    assert from_json(json.dumps(old), Recipe) == recipe
    simulated = SimulatedPairs(
        PhotoFolder(photos), recipe.data.camera, replace(recipe.data.sampling, patch_px=64), recipe.seed
    )
    task = build_objective(replace(recipe, data=replace(recipe.data, sampling=simulated.sampling)), PhotoFolder(photos))
    for index in range(3):
        blurry, sharp = task.example(index)
        assert torch.equal(blurry, simulated[index].blurry)
        assert torch.equal(sharp, simulated[index].sharp)


def test_the_cameras_part_of_a_mixture_are_its_own_pairs_in_order(photos: Path, pairs: Path) -> None:
    recipe = replace(TINY, data=replace(TINY.data, extra_sources=(PairSet(folder=str(pairs), share=0.5),)))
    plain, both = (build_objective(one, PhotoFolder(photos)) for one in (TINY, recipe))
    own = [plain.example(number)[0] for number in range(4)]
    shown = [both.example(index)[0] for index in range(8)]
    whose = [[number for number, patch in enumerate(own) if torch.equal(patch, patch_shown)] for patch_shown in shown]
    assert [number for numbers in whose for number in numbers] == [0, 1, 2, 3]


def test_signs_are_mixed_in_blurred_by_their_own_camera(photos: Path, tmp_path: Path) -> None:
    signs = SyntheticText(
        camera=Camera(extent_px=(4, 5)), signs=replace(TO_LEARN, height_px=120, width_px=120), share=0.5
    )
    recipe = replace(
        TINY,
        data=replace(
            TINY.data, extra_sources=(replace(signs, count=2, signs=replace(signs.signs, capital_px=(6, 8))),)
        ),
    )
    plain, both = (build_objective(one, PhotoFolder(photos)) for one in (TINY, recipe))
    own = [plain.example(number)[1] for number in range(3)]
    shown = [both.example(index)[1] for index in range(6)]
    others = [patch_shown for patch_shown in shown if not any(torch.equal(patch, patch_shown) for patch in own)]
    assert len(others) == 3
    assert from_json(to_json(recipe), Recipe) == recipe
    train(replace(recipe, schedule=replace(recipe.schedule, steps=2)), photos, tmp_path / "run")
    assert "50% of the patches show drawn signs" in (tmp_path / "run" / "README.md").read_text()
    with pytest.raises(UnblurError, match="give a folder of sharp photographs"):
        train(replace(recipe, schedule=replace(recipe.schedule, steps=2)), None, tmp_path / "other")


def test_recipes_with_mixtures_are_written_and_read(pairs: Path) -> None:
    recipe = mixed(pairs)
    assert from_json(to_json(recipe), Recipe) == recipe
    assert recipe.data.camera_share == pytest.approx(0.35)


@pytest.mark.parametrize("shares", [(0.0,), (1.2,), (0.6, 0.6), (-0.1,)])
def test_impossible_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(UnblurError, match="cannot be mixed in"):
        replace(
            TINY, data=replace(TINY.data, extra_sources=tuple(PairSet(folder="x", share=share) for share in shares))
        )


def test_motion_is_not_learnt_from_real_pairs(photos: Path, pairs: Path, tmp_path: Path) -> None:
    estimator = MotionEstimatorConfig(channels=(4, 4, 4, 4), blocks=(1, 1, 1, 1))
    with pytest.raises(UnblurError, match="true motion"):
        train(replace(mixed(pairs), model=estimator, objective=MotionTraining()), photos, tmp_path / "run")


def test_a_run_killed_between_its_last_state_and_its_checkpoint_is_mended(photos: Path, tmp_path: Path) -> None:
    short = replace(TINY, schedule=replace(TINY.schedule, steps=2))
    train(short, photos, tmp_path / "run")
    weights = (tmp_path / "run" / "model.safetensors").read_bytes()
    (tmp_path / "run" / "model.safetensors").unlink()
    train(short, None, tmp_path / "run")
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == weights


def test_the_command_mixes_pairs_in(photos: Path, pairs: Path, tmp_path: Path) -> None:
    options = ["--photos", str(photos), "--run", str(tmp_path / "run"), "--steps", "2", "--device", "cpu"]
    assert main(["train", "smoke", *options, "--pairs", str(pairs), "--pairs-share", "0.5"]) == 0
    written = from_json((tmp_path / "run" / "recipe.json").read_text(), Recipe)
    assert written.data.extra_sources == (PairSet(folder=str(pairs), share=0.5),)


@pytest.mark.parametrize("share", [0.1, 1.0])
def test_pairs_take_their_share_from_all_else_in_proportion(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    shown: list[Recipe] = []
    monkeypatch.setattr("unblur.training.loop.train", lambda recipe, *_, **__: shown.append(recipe))
    assert main(["train", "faithful", "-o", str(tmp_path), "--pairs", str(pairs), "--pairs-share", str(share)]) == 0
    (recipe,), plain = shown, find_recipe("faithful")
    assert len(plain.data.extra_sources) == 1
    assert recipe.data.extra_sources[-1] == PairSet(folder=str(pairs), share=share)
    assert recipe.data.needs_photos == (share < 1)
    assert recipe.data.camera_share == pytest.approx(plain.data.camera_share * (1 - share))
    assert sum(part.share for part in recipe.data.extra_sources[:-1]) == pytest.approx(
        plain.data.extra_sources[0].share * (1 - share)
    )


def test_pairs_that_are_none_are_one_sentence(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--photos", str(photos), "--run", str(tmp_path / "run"), "--steps", "2", "--device", "cpu"]
    assert main(["train", "smoke", *options, "--pairs", str(photos)]) == 2
    assert main(["train", "smoke", *options, "--pairs", str(photos), "--pairs-share", "3"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "not have the layout of a known data set" in said[0]
    assert "cannot be mixed in" in said[1]
