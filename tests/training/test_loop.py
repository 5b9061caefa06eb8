"""Training: it improves the network, resumes after being killed without a difference, and stops when it diverges."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from unblur.blur import Camera
from unblur.checkpoints.folder import load_checkpoint
from unblur.config import from_json, to_json
from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.datasets.orientation import apply_dihedral
from unblur.datasets.repeated import AugmentedPair
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import KernelEstimatorConfig, MIMOUNetConfig, MotionEstimatorConfig, MultiScaleConfig, NAFNetConfig
from unblur.recipes.smoke import smoke
from unblur.training.initialization import InitFrom
from unblur.training.learning_rate import Halving
from unblur.training.loop import train
from unblur.training.objective_settings import MotionTraining, RestorationTraining
from unblur.training.objectives.build import build_objective
from unblur.training.recipe import PatchStage, Recipe, Schedule, TrainingData
from unblur.training.restoration_loss import FrequencyLoss, L1Loss
from unblur.training.state import load_state, save_state

TINY = Recipe(
    name="tiny",
    model=NAFNetConfig(width=8, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2),
    data=TrainingData(camera=Camera(extent_px=(2, 6)), sampling=PatchSampling(patch_px=32), workers=2),
    schedule=Schedule(steps=9, batch=2, warmup_steps=2),
    log_every=1,
    checkpoint_every=3,
)


class KilledError(Exception):
    pass


def same_weights(first: Path, second: Path) -> bool:
    return (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()


def metrics(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    untimed = [json.loads(line) for line in lines]
    return [{k: v for k, v in line.items() if k not in {"seconds", "waited_share"}} for line in untimed]


GROWING = replace(
    TINY,
    model=MIMOUNetConfig(width=4, blocks=1, dropout=0.5),
    data=replace(TINY.data, repeats=2, repeat_gap=2),
    objective=RestorationTraining(losses=(L1Loss(), FrequencyLoss(weight=0.1))),
    schedule=replace(
        TINY.schedule,
        decay=Halving(times=2),
        progressive=(PatchStage(start=0.4, patch_px=48, batch=1), PatchStage(start=0.7, patch_px=64, batch=3)),
    ),
)
"""Everything at once that could go astray: what is left out at random, several outputs, patches that grow."""


@pytest.mark.parametrize("recipe", [TINY, GROWING], ids=["plain", "growing"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    def killed_after(last: int):
        def on_step(step: int, _measured: dict[str, float]) -> None:
            if step == last:
                raise KilledError

        return on_step

    train(recipe, photos, tmp_path / "whole")
    for last in (2, 5, 7):  # before the first checkpoint, between two, after two
        with pytest.raises(KilledError):
            train(recipe, photos, tmp_path / "parts", on_step=killed_after(last))
    train(recipe, photos, tmp_path / "parts")
    whole, parts = (load_state(tmp_path / run / "training_state.pt") for run in ("whole", "parts"))
    assert whole["step"] == parts["step"] == 9
    for name, value in whole["model"].items():
        assert torch.equal(value, parts["model"][name])
    assert same_weights(tmp_path / "whole", tmp_path / "parts")
    assert metrics(tmp_path / "whole") == metrics(tmp_path / "parts")
    states = [(tmp_path / run / "training_state.pt").read_bytes() for run in ("whole", "parts")]
    assert states[0] == states[1]


def test_a_run_killed_by_the_system_at_any_instant_resumes(photos: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3])\n"
        "from test_loop import TINY; from unblur.training.loop import train\n"
        "from dataclasses import replace\n"
        "recipe = replace(TINY, schedule=replace(TINY.schedule, steps=400), checkpoint_every=1)\n"
        "train(recipe, Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    run = tmp_path / "run"
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", script, str(photos), str(run), str(Path(__file__).parent)])
        deadline = time.monotonic() + 60
        while not (run / "training_state.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.7)
        process.send_signal(signal.SIGKILL)
        process.wait()
    reached = load_state(run / "training_state.pt")["step"]
    assert 0 < reached < 400
    load_checkpoint(run)
    recipe = replace(TINY, schedule=replace(TINY.schedule, steps=400), checkpoint_every=1)

    def stop(_step: int, _measured: dict[str, float]) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        train(recipe, photos, run, on_step=stop)
    assert load_state(run / "training_state.pt")["step"] == reached + 1


def test_the_last_patches_are_the_ones_that_use_is_fitted_to(photos: Path, tmp_path: Path) -> None:
    train(GROWING, photos, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run").train_patch_px == 64
    assert "2 patches of 32 px, then 1 patches of 48 px, then 3" in (tmp_path / "run" / "README.md").read_text()
    large = replace(GROWING.schedule, progressive=(PatchStage(start=0.5, patch_px=200, batch=1),))
    with pytest.raises(UnblurError, match="patches of 200 px need"):
        train(replace(GROWING, schedule=large), photos, tmp_path / "other")


def test_recipes_of_runs_before_there_were_losses_are_still_read() -> None:
    older = json.loads(to_json(TINY))
    del older["objective"], older["schedule"]["decay"], older["schedule"]["progressive"]
    assert from_json(json.dumps(older), Recipe) == TINY
    assert from_json(to_json(GROWING), Recipe) == GROWING


@pytest.mark.parametrize(
    "stages",
    [
        (PatchStage(start=0.0, patch_px=8, batch=1),),
        (PatchStage(start=0.5, patch_px=8, batch=1), PatchStage(start=0.4, patch_px=8, batch=1)),
        (PatchStage(start=0.5, patch_px=8, batch=0),),
    ],
)
def test_an_invalid_schedule_is_refused(stages: tuple[PatchStage, ...]) -> None:
    with pytest.raises(ValueError, match="stages"):
        replace(TINY.schedule, progressive=stages)


def test_an_objective_without_losses_or_for_another_network_is_refused() -> None:
    with pytest.raises(ValueError, match="minimises nothing"):
        RestorationTraining(losses=())
    with pytest.raises(UnblurError, match="MotionTraining does not train a NAFNetConfig"):
        replace(TINY, objective=MotionTraining())
    with pytest.raises(UnblurError, match=r"experiments\.train_shake_fusion"):
        replace(TINY, model=KernelEstimatorConfig())


def test_the_number_of_workers_changes_nothing(photos: Path, tmp_path: Path) -> None:
    for workers in (0, 3):
        train(replace(TINY, data=replace(TINY.data, workers=workers)), photos, tmp_path / f"{workers}")
    first, second = (load_state(tmp_path / run / "training_state.pt") for run in ("0", "3"))
    assert all(torch.equal(value, second["model"][name]) for name, value in first["model"].items())


def test_another_recipe_is_not_mixed_in(photos: Path, tmp_path: Path) -> None:
    train(replace(TINY, schedule=replace(TINY.schedule, steps=1)), photos, tmp_path / "run")
    with pytest.raises(UnblurError, match="another recipe"):
        train(replace(TINY, schedule=replace(TINY.schedule, steps=2)), photos, tmp_path / "run")


def test_an_exploding_loss_stops_and_keeps_the_last_good_state(photos: Path, tmp_path: Path) -> None:
    wild = replace(TINY, schedule=replace(TINY.schedule, peak_learning_rate=1e6, warmup_steps=6, steps=50))
    with pytest.raises(UnblurError, match="exploded") as caught:
        train(wild, photos, tmp_path / "run")
    assert "learning_rate" in str(caught.value)
    state = tmp_path / "run" / "training_state.pt"
    if state.exists():
        assert all(bool(v.isfinite().all()) for v in load_state(state)["model"].values())


def test_a_run_can_begin_with_other_weights(photos: Path, tmp_path: Path) -> None:
    train(TINY, photos, tmp_path / "first")
    frozen = replace(
        TINY, seed=2, schedule=replace(TINY.schedule, steps=1, peak_learning_rate=0.0, final_learning_rate=0.0)
    )
    train(frozen, photos, tmp_path / "second", init=InitFrom(checkpoint=tmp_path / "first"))
    assert same_weights(tmp_path / "first", tmp_path / "second")


def test_a_damaged_state_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "training_state.pt").write_bytes(b"not a state")
    with pytest.raises(UnblurError, match="training state"):
        train(TINY, photos, tmp_path / "run")


def test_a_state_of_an_earlier_version_is_gone_on_with_or_refused(photos: Path, tmp_path: Path) -> None:
    def stop(step: int, _measured: dict[str, float]) -> None:
        if step == 5:
            raise KilledError

    path = tmp_path / "run" / "training_state.pt"
    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "run", on_step=stop)
    state = load_state(path)
    (group,) = state["optimizer"]["param_groups"]
    del group["share"]
    save_state(path, state)
    train(TINY, photos, tmp_path / "run")
    train(TINY, photos, tmp_path / "whole")
    assert same_weights(tmp_path / "whole", tmp_path / "run")
    group["params"].pop()
    save_state(path, state)
    with pytest.raises(UnblurError, match="trained other weights"):
        train(TINY, photos, tmp_path / "run")


def test_the_run_folder_is_a_checkpoint_that_explains_itself(photos: Path, tmp_path: Path) -> None:
    train(TINY, photos, tmp_path / "run")
    names = {path.name for path in (tmp_path / "run").iterdir()}
    expected = {"README.md", "config.json", "metrics.jsonl", "model.safetensors", "recipe.json"}
    assert names == expected | {"training_state.pt"}
    assert load_checkpoint(tmp_path / "run").train_patch_px == 32
    assert "license: apache-2.0" in (tmp_path / "run" / "README.md").read_text()


@pytest.mark.slow
def test_the_smoke_recipe_learns_to_deblur(photos: Path, tmp_path: Path) -> None:
    gains: list[float] = []
    train(smoke(), photos, tmp_path / "run", on_step=lambda _step, m: gains.append(m["gain_db"]))
    assert sum(gains[-20:]) / 20 > 1


def test_the_same_loop_learns_motion(photos: Path, tmp_path: Path) -> None:
    recipe = replace(
        TINY,
        model=MotionEstimatorConfig(channels=(4, 4, 4, 4), blocks=(1, 1, 1, 1)),
        objective=MotionTraining(),
        data=replace(TINY.data, repeats=2, repeat_gap=2, workers=1),
    )
    train(replace(recipe, schedule=replace(recipe.schedule, steps=6)), photos, tmp_path / "run")
    assert isinstance(load_checkpoint(tmp_path / "run").config, MotionEstimatorConfig)
    assert all(0 < line["endpoint_px"] < 100 for line in metrics(tmp_path / "run"))
    assert all(0 < line["reblur"] < 1 for line in metrics(tmp_path / "run"))
    assert "Estimates" in (tmp_path / "run" / "README.md").read_text()


def test_blurring_again_is_a_part_of_what_motion_is_learnt_from(photos: Path) -> None:
    """The loss is that of the paths alone, and the weight times that of the photograph blurred again."""
    recipe = replace(TINY, model=MotionEstimatorConfig(), objective=MotionTraining())
    paths_alone, both = (
        build_objective(replace(recipe, objective=MotionTraining(reblur_weight=weight)), PhotoFolder(photos))
        for weight in (0.0, 10.0)
    )
    blurry, truth, sharp = (part[None] for part in both.example(0))
    answers = truth.clone().requires_grad_()
    paths_only, more = paths_alone.loss(answers, (blurry, truth, sharp)), both.loss(answers, (blurry, truth, sharp))
    again = float((more.loss - paths_only.loss).detach()) / 10
    assert again == pytest.approx(more.metrics["reblur"], abs=1e-4)
    # Along the true path the photograph becomes the blurry one, so far as noise and lamps let it.
    still = both.loss(torch.zeros_like(truth), (blurry, truth, sharp)).metrics["reblur"]
    assert again < still / 2
    more.loss.backward()
    assert answers.grad is not None
    assert bool(answers.grad.isfinite().all())


def test_input_and_target_are_rotated_together(photos: Path) -> None:
    """Motion of a turned pair is the motion that would have blurred the turned photograph so."""
    pairs = SimulatedPairs(PhotoFolder(photos), TINY.data.camera, PatchSampling(patch_px=32), seed=3)
    pair = pairs[0]
    for orientation in range(8):
        motion = AugmentedPair(pair, orientation).fit_ends(8)
        # A picture of one layer is blurred by its offsets: a picture of the offsets' places must turn with them.
        y, x = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        places = 8 * torch.stack([x, y]) - 12
        offsets = apply_dihedral(torch.cat([places + pair.fit_ends(8).start, torch.zeros(1, 4, 4)]), orientation)[:2]
        expected = places + motion.start
        # The same turn of the plane takes the one to the other.
        turn = {0: (1, 0, 0, 1), 1: (0, 1, -1, 0), 2: (-1, 0, 0, -1), 3: (0, -1, 1, 0)}[orientation % 4]
        mirror = -1.0 if orientation >= 4 else 1.0
        moved_x = turn[0] * mirror * offsets[0] + turn[1] * offsets[1]
        moved_y = turn[2] * mirror * offsets[0] + turn[3] * offsets[1]
        assert torch.allclose(torch.stack([moved_x, moved_y]), expected, atol=1e-4)


def test_frozen_parts_stay_as_they_were_initialized(photos: Path, tmp_path: Path) -> None:
    """The selection between scales learns around a NAFNet that was trained before."""
    nafnet = replace(TINY, schedule=replace(TINY.schedule, steps=2))
    train(nafnet, photos, tmp_path / "nafnet")
    assert isinstance(TINY.model, NAFNetConfig)
    around = replace(
        TINY,
        model=MultiScaleConfig(nafnet=TINY.model, channels=4, blocks=1),
        optimization=replace(TINY.optimization, frozen=("nafnet",)),
        schedule=replace(TINY.schedule, steps=4),
    )
    train(around, photos, tmp_path / "around", init=InitFrom(checkpoint=tmp_path / "nafnet"))
    before = load_checkpoint(tmp_path / "nafnet").model.state_dict()
    after = load_checkpoint(tmp_path / "around").model
    stored = after.get_submodule("nafnet").state_dict()
    assert all(torch.equal(value, stored[name]) for name, value in before.items())
    ending = after.get_submodule("fusion.ending").state_dict()
    assert all(value.abs().max() > 0 for value in ending.values())
    # The next run begins with all of these weights.
    still = replace(
        around, seed=7, schedule=replace(around.schedule, steps=1, peak_learning_rate=0.0, final_learning_rate=0.0)
    )
    train(still, photos, tmp_path / "next", init=InitFrom(checkpoint=tmp_path / "around"))
    assert same_weights(tmp_path / "around", tmp_path / "next")
    assert isinstance(around.model, MultiScaleConfig)
    # This holds with more scales too, and with a NAFNet that is conditioned on the coarser results.
    for model in (replace(around.model, scales=4), replace(around.model, condition_on_coarser=True)):
        train(
            replace(still, model=model),
            photos,
            tmp_path / str(model.scales),
            init=InitFrom(checkpoint=tmp_path / "around"),
        )
        more = load_checkpoint(tmp_path / str(model.scales)).model.state_dict()
        assert all(torch.equal(value, more[name]) for name, value in after.state_dict().items())
    other = replace(still, model=replace(around.model, nafnet=replace(TINY.model, width=6)))
    with pytest.raises(UnblurError, match="give a checkpoint of that"):
        train(other, photos, tmp_path / "other", init=InitFrom(checkpoint=tmp_path / "nafnet"))


@pytest.fixture
def unfinished(tmp_path: Path, photos: Path) -> Path:
    def on_step(step: int, _measured: dict[str, float]) -> None:
        if step == 5:
            raise KilledError

    run = tmp_path / "unfinished"
    with pytest.raises(KilledError):
        train(TINY, photos, run, on_step=on_step)
    return run


DAMAGES: dict[str, Any] = {
    "no state": lambda state: list(state),
    "empty": lambda state: dict.fromkeys(state),
    "step": lambda state: state | {"step": "3"},
    "negative step": lambda state: state | {"step": -3},
    "later step": lambda state: state | {"step": 10**12},
    "recipe": lambda state: state | {"recipe": 5},
    "deep recipe": lambda state: state | {"recipe": "[" * 100_000},
    "other weights": lambda state: state | {"model": {"a": torch.zeros(3)}},
    "no weights": lambda state: state | {"model": 7},
    "no average": lambda state: state | {"ema": {}},
    "optimizer": lambda state: state | {"optimizer": {}},
    "optimizer's state": lambda state: state | {"optimizer": state["optimizer"] | {"state": {0: {"exp_avg": "x"}}}},
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_states_are_refused_in_a_sentence(damage: str, unfinished: Path, photos: Path, tmp_path: Path) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    torch.save(DAMAGES[damage](torch.load(run / "training_state.pt", weights_only=True)), run / "training_state.pt")
    with pytest.raises(UnblurError, match=r"another folder|is not valid JSON") as caught:
        train(TINY, photos, run)
    assert str(run) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"hello", b"", b"PK\x03\x04", None])
def test_files_that_are_no_states(content: bytes | None, unfinished: Path, photos: Path, tmp_path: Path) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    (run / "training_state.pt").unlink()
    if content is None:
        os.mkfifo(run / "training_state.pt")
    else:
        (run / "training_state.pt").write_bytes(content)
    with pytest.raises(UnblurError, match="cannot be read as a training state") as caught:
        train(TINY, photos, run)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\n", b"hello\n", b"[]\n", b"null\n", b"{}\n"])
def test_invalid_metrics_are_refused_and_stay_unchanged(
    content: bytes, unfinished: Path, photos: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    (run / "metrics.jsonl").write_bytes(content)
    with pytest.raises(UnblurError, match=r"metrics\.jsonl holds lines that are not metrics"):
        train(TINY, photos, run)
    assert (run / "metrics.jsonl").read_bytes() == content


def test_half_a_line_of_metrics_is_written_again(unfinished: Path, photos: Path, tmp_path: Path) -> None:
    run = shutil.copytree(unfinished, tmp_path / "run")
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "ps')
    train(TINY, photos, run)
    assert [line["step"] for line in metrics(run)] == list(range(1, 10))


@pytest.mark.parametrize("name", ["README.md", "config.json", "model.safetensors"])
def test_a_folder_of_something_else_is_left_alone(name: str, photos: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / name).write_text("mine")
    with pytest.raises(UnblurError, match="give another folder"):
        train(TINY, photos, folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: "mine"}


def test_a_run_killed_before_its_last_checkpoint_keeps_its_state(photos: Path, tmp_path: Path) -> None:
    train(replace(TINY, schedule=replace(TINY.schedule, steps=3)), photos, tmp_path / "run")
    state = (tmp_path / "run" / "training_state.pt").read_bytes()
    (tmp_path / "run" / "model.safetensors").unlink()
    train(replace(TINY, schedule=replace(TINY.schedule, steps=3)), photos, tmp_path / "run")
    assert (tmp_path / "run" / "training_state.pt").read_bytes() == state
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize("steps", [0, -1])
def test_a_run_without_steps_is_refused(steps: int) -> None:
    with pytest.raises(UnblurError, match="learns nothing"):
        replace(TINY, schedule=replace(TINY.schedule, steps=steps))
