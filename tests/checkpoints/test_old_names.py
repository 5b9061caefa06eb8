"""Files with their former names are read as those with the current names, and can be converted."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from former_names import former_json, make_former_checkpoint, make_former_run
from safetensors.torch import load_file
from tiny_networks import GLOW, NAFNET

from experiments.convert_names import convert_names
from experiments.harness import lock_settings
from unblur.blur import Camera
from unblur.checkpoints.folder import (
    BUNDLED_GENERATOR,
    BUNDLED_PRIOR,
    BUNDLED_RESTORER,
    CheckpointConfig,
    load_checkpoint,
    save_checkpoint,
)
from unblur.checkpoints.old_names import modernize_json, modernize_name, restore_former_name, use_former_cache
from unblur.config import from_json, to_json
from unblur.datasets import SyntheticText
from unblur.datasets.simulated import PatchSampling
from unblur.models import ModelConfig, MultiScaleConfig, build
from unblur.names import RecipeName
from unblur.recipes import find_recipe
from unblur.training.loop import train
from unblur.training.objective_settings import RestorationTraining
from unblur.training.precision import read_recorded_recipe
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData
from unblur.training.restoration_loss import L1Loss, PSNRLoss

SAMPLES = Path(__file__).parent / "old_names"
MULTISCALE = MultiScaleConfig(nafnet=NAFNET, scales=2, channels=4, blocks=1, condition_on_coarser=True)


@pytest.mark.parametrize(
    ("sample", "folder"), [("config_multiscale", BUNDLED_RESTORER), ("config_generative", BUNDLED_GENERATOR)]
)
def test_former_configurations_of_the_bundled_weights_are_read(sample: str, folder: Path) -> None:
    former = (SAMPLES / f"{sample}.json").read_text()
    current = (folder / "config.json").read_text()
    assert from_json(modernize_json(former), CheckpointConfig) == from_json(current, CheckpointConfig)


@pytest.mark.parametrize("name", ["multiscale-finish", "glow-joint", "restormer", "decoder"])
def test_former_recipes_are_read(name: RecipeName) -> None:
    path = SAMPLES / f"recipe_{name}.json"
    assert read_recorded_recipe(path.read_text(), path) == find_recipe(name)


@pytest.mark.parametrize("config", [MULTISCALE, GLOW], ids=["multiscale", "glow"])
def test_a_former_checkpoint_is_the_same_network(config: ModelConfig, tmp_path: Path) -> None:
    model = build(config)
    save_checkpoint(tmp_path, model, config, train_patch_px=64, card="", dtype=torch.float32)
    current = (tmp_path / "model.safetensors").read_bytes()
    make_former_checkpoint(tmp_path)
    assert any(name != modernize_name(name) for name in load_file(tmp_path / "model.safetensors"))
    found = load_checkpoint(tmp_path)
    assert found.config == config
    weights = model.state_dict()
    assert list(found.model.state_dict()) == list(weights)
    assert all(torch.equal(value, weights[name]) for name, value in found.model.state_dict().items())
    assert convert_names([tmp_path]) == 0
    assert (tmp_path / "model.safetensors").read_bytes() == current


def test_conversion_gives_the_bundled_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(BUNDLED_PRIOR, tmp_path / "prior")
    make_former_checkpoint(tmp_path / "prior")
    assert load_checkpoint(tmp_path / "prior").sha256.startswith("61cd23f669e6")
    for _ in range(2):
        assert convert_names([tmp_path / "prior"]) == 0
        current = load_checkpoint(BUNDLED_PRIOR).sha256
        assert capsys.readouterr().out.endswith(f"-> {current}\n")
        assert load_checkpoint(tmp_path / "prior").sha256 == current


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [(), ("nafnet",)])
def test_an_unfinished_run_with_former_names_continues_bit_for_bit(
    frozen: tuple[str, ...], photos: Path, tmp_path: Path
) -> None:
    recipe = Recipe(
        name="tiny",
        model=MULTISCALE,
        data=TrainingData(
            sampling=PatchSampling(patch_px=32),
            extra_sources=(SyntheticText(camera=Camera(extent_px=(2, 6)), count=2, share=0.25),),
            workers=0,
        ),
        objective=RestorationTraining(losses=(PSNRLoss(), L1Loss(weight=0.5))),
        optimization=Optimization(frozen=frozen),
        schedule=Schedule(steps=4, batch=2),
        checkpoint_every=2,
    )
    train(recipe, photos, tmp_path / "whole")

    def stop(step: int, _metrics: dict[str, float]) -> None:
        if step == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(recipe, photos, tmp_path / "parts", on_step=stop)
    make_former_run(tmp_path / "parts")
    train(recipe, photos, tmp_path / "parts")
    whole, parts = (tmp_path / run / "model.safetensors" for run in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()
    assert from_json((tmp_path / "parts" / "recipe.json").read_text(), Recipe).optimization.frozen == frozen


def test_settings_of_experiments_with_former_names_remain_locked(tmp_path: Path) -> None:
    settings = SyntheticText(camera=Camera(), share=0.5)
    multiscale = find_recipe("multiscale")
    recipe = replace(multiscale, data=replace(multiscale.data, extra_sources=(settings,)))
    (tmp_path / "study.json").write_text(former_json(to_json(recipe)))
    lock_settings(tmp_path, recipe)


def test_the_cache_of_an_unfinished_run_is_found(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    use_former_cache(tmp_path, tmp_path / "cache")
    assert (tmp_path / "cache").is_dir()
    (tmp_path / "kept").mkdir()
    use_former_cache(tmp_path, tmp_path / "cache")
    assert (tmp_path / "kept").is_dir()


def test_current_names_are_left_as_they_are() -> None:
    for config in (MULTISCALE, GLOW):
        for name in build(config).state_dict():
            assert modernize_name(name) == name == modernize_name(restore_former_name(name))
    for name in ("multiscale-finish", "glow-joint", "restormer-prior"):
        recipe = find_recipe(name)
        assert from_json(modernize_json(to_json(recipe)), Recipe) == recipe
    assert modernize_json("{") == "{"
