"""The precision of a run follows the processor, is recorded, and stays the same when the run resumes."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import pytest
import torch
import torch.nn.functional as F
from test_loop import TINY, KilledError, same_weights
from torch import Tensor, nn

from experiments.dataset_rows import RowContext, train_row
from unblur.app.cli import main
from unblur.config import to_json
from unblur.datasets import Patch, SimulatedBlur
from unblur.errors import UnblurError
from unblur.models.efficientnet_lite import EfficientNetLite, EfficientNetLiteConfig
from unblur.names import Precision, RecipeName
from unblur.recipes import find_recipe
from unblur.training.loop import train
from unblur.training.objective_settings import AutoencoderTraining
from unblur.training.objectives.autoencoding import AutoencodingObjective
from unblur.training.objectives.prior_distillation import PriorDistillationObjective
from unblur.training.precision import begin_recipe, is_recipe_of, read_recorded_recipe
from unblur.training.processes import SINGLE_PROCESS, ProcessGroup
from unblur.training.recipe import Recipe
from unblur.training.state import load_state, save_state
from unblur.training.step import autocast

Processor = Literal["native", "emulated"]
PROCESSORS: tuple[Processor, ...] = ("native", "emulated")
CHOSEN: dict[Processor, Precision] = {"native": "bfloat16", "emulated": "float32"}
DTYPE = {"native": torch.bfloat16, "emulated": torch.float32}

Machine = Callable[[Processor], None]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Makes this machine say that it computes in bfloat16 natively, or that it emulates it."""

    def become(processor: Processor) -> None:
        monkeypatch.setattr("unblur.restoration.device.has_fast_bfloat16", lambda _device: processor == "native")

    return become


def stop_after(last: int) -> Callable[[int, dict[str, float]], None]:
    def on_step(step: int, _measured: dict[str, float]) -> None:
        if step == last:
            raise KilledError

    return on_step


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_run_computes_in_the_precision_of_the_processor_and_records_it(
    processor: Processor, machine: Machine, photos: Path, tmp_path: Path
) -> None:
    machine(processor)
    begun_with: list[Recipe] = []
    train(TINY, photos, tmp_path / "auto", on_begin=begun_with.append)
    train(replace(TINY, precision=CHOSEN[processor]), photos, tmp_path / "named")
    assert begun_with == [replace(TINY, precision=CHOSEN[processor])]
    assert same_weights(tmp_path / "auto", tmp_path / "named")
    assert json.loads((tmp_path / "auto" / "recipe.json").read_text())["precision"] == CHOSEN[processor]
    assert f", in {CHOSEN[processor]}.\n" in (tmp_path / "auto" / "README.md").read_text()


def test_the_two_precisions_give_other_weights(photos: Path, tmp_path: Path) -> None:
    """Without this, the tests that compare weights could not fail."""
    for precision in ("float32", "bfloat16"):
        train(
            replace(TINY, schedule=replace(TINY.schedule, steps=2), precision=precision), photos, tmp_path / precision
        )
    assert not same_weights(tmp_path / "float32", tmp_path / "bfloat16")


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_resumed_run_equals_an_uninterrupted_one_on_every_processor(
    processor: Processor, machine: Machine, photos: Path, tmp_path: Path
) -> None:
    machine(processor)
    train(TINY, photos, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "parts", on_step=stop_after(5))
    train(TINY, photos, tmp_path / "parts")
    assert same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_float32_run_stays_in_float32_where_bfloat16_is_native(
    machine: Machine, photos: Path, tmp_path: Path
) -> None:
    machine("emulated")
    train(TINY, photos, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "moved", on_step=stop_after(5))
    machine("native")
    train(TINY, photos, tmp_path / "moved")
    assert same_weights(tmp_path / "whole", tmp_path / "moved")


def test_a_bfloat16_run_is_resumed_on_a_processor_that_emulates_it_only_on_demand(
    machine: Machine, photos: Path, tmp_path: Path
) -> None:
    machine("native")
    train(TINY, photos, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "moved", on_step=stop_after(5))
    before = (tmp_path / "moved" / "training_state.pt").read_bytes()

    machine("emulated")
    with pytest.raises(UnblurError, match=r"moved was begun in bfloat16, which cpu emulates.*--precision bfloat16"):
        train(TINY, photos, tmp_path / "moved")
    assert (tmp_path / "moved" / "training_state.pt").read_bytes() == before
    train(replace(TINY, precision="bfloat16"), photos, tmp_path / "moved")
    assert same_weights(tmp_path / "whole", tmp_path / "moved")
    # Nothing is left to compute, so nothing is refused.
    train(TINY, photos, tmp_path / "moved")


def test_a_run_does_not_change_its_precision(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(KilledError):
        train(replace(TINY, precision="float32"), photos, tmp_path / "run", on_step=stop_after(5))
    with pytest.raises(UnblurError, match="was begun in float32 and cannot change to bfloat16"):
        train(replace(TINY, precision="bfloat16"), photos, tmp_path / "run")


@pytest.mark.parametrize(("half", "precision"), [(True, "bfloat16"), (False, "float32"), (None, "bfloat16")])
def test_recipes_with_the_former_key_half_are_read(half: bool | None, precision: Precision) -> None:
    older = json.loads(to_json(TINY))
    del older["precision"]
    older |= {} if half is None else {"half": half}
    assert read_recorded_recipe(json.dumps(older), Path("recipe.json")) == replace(TINY, precision=precision)
    assert read_recorded_recipe(to_json(TINY), Path("recipe.json")) == TINY


@pytest.mark.parametrize(
    ("wrong", "named_entry"),
    [
        ({"half": "yes"}, "half"),
        ({"half": True, "precision": "float32"}, "half"),
        ({"precision": "float64"}, "float64"),
        ({"precision": None}, "None"),
    ],
)
def test_a_recipe_with_a_wrong_precision_is_refused(wrong: dict[str, object], named_entry: str) -> None:
    older = json.loads(to_json(TINY))
    del older["precision"]
    with pytest.raises(UnblurError, match=rf"recipe\.json does not fit Recipe.*{named_entry}"):
        read_recorded_recipe(json.dumps(older | wrong), Path("recipe.json"))


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_other_files_than_recipes_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UnblurError, match=r"recipe\.json"):
        read_recorded_recipe(text, Path("recipe.json"))


def test_a_state_of_a_version_with_half_is_resumed_in_bfloat16(machine: Machine, photos: Path, tmp_path: Path) -> None:
    machine("native")
    train(TINY, photos, tmp_path / "whole")
    with pytest.raises(KilledError):
        train(TINY, photos, tmp_path / "old", on_step=stop_after(5))
    state = load_state(tmp_path / "old" / "training_state.pt")
    recipe = json.loads(state["recipe"])
    del recipe["precision"]
    state["recipe"] = json.dumps(recipe | {"half": True})
    save_state(tmp_path / "old" / "training_state.pt", state)
    train(TINY, photos, tmp_path / "old")
    assert same_weights(tmp_path / "whole", tmp_path / "old")


class OneOfTwo(ProcessGroup):
    """This process, beside another whose processor has no native bfloat16."""

    def all_reduce_mean(self, numbers: list[float]) -> list[float]:
        return [number / 2 for number in numbers]


def test_processes_agree_on_what_all_of_them_compute_natively(machine: Machine) -> None:
    machine("native")
    assert begin_recipe(TINY, "cpu", SINGLE_PROCESS).precision == "bfloat16"
    assert begin_recipe(TINY, "cpu", OneOfTwo(count=2)).precision == "float32"
    assert begin_recipe(replace(TINY, precision="bfloat16"), "cpu", OneOfTwo(count=2)).precision == "bfloat16"


@pytest.mark.parametrize("processor", PROCESSORS)
def test_studies_train_in_the_precision_of_the_processor(
    processor: Processor, machine: Machine, photos: Path, tmp_path: Path
) -> None:
    machine(processor)
    context = RowContext(recipe=TINY, photos=photos, output=tmp_path)
    run = train_row(context, "row", [SimulatedBlur(camera=TINY.data.camera, share=1.0)], steps=2)
    recorded = read_recorded_recipe((run / "recipe.json").read_text(), run)
    assert recorded.precision == CHOSEN[processor]
    assert is_recipe_of(recorded, replace(recorded, precision="auto"))
    assert is_recipe_of(recorded, recorded)
    others: tuple[Precision, ...] = ("float32", "bfloat16")
    assert [is_recipe_of(recorded, replace(recorded, precision=other)) for other in others].count(True) == 1
    assert not is_recipe_of(recorded, replace(recorded, precision="auto", seed=3))


class Listening(nn.Conv2d):
    """A network that adds a correction to the photograph, and remembers the type of that."""

    def __init__(self) -> None:
        super().__init__(3, 3, 1)
        self.heard: list[torch.dtype] = []

    def forward(self, shown: Tensor) -> Tensor:
        correction = super().forward(shown)
        self.heard.append(correction.dtype)
        return shown + correction


class Doubled(nn.Module):
    """A student that is shown a restoration too."""

    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Conv2d(3, 4, 1)

    def forward(self, blurry: Tensor, restored: Tensor) -> list[Tensor]:
        return [self.level(blurry + restored)]


class NoPatches:
    def __getitem__(self, index: int) -> Patch:
        raise AssertionError(index)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_restorer_of_a_two_pass_prior_follows_the_processor(processor: Processor, machine: Machine) -> None:
    machine(processor)
    restorer = Listening()
    task = PriorDistillationObjective(NoPatches(), EfficientNetLite(EfficientNetLiteConfig()), restorer)
    picture = torch.rand(1, 3, 8, 8)
    with autocast(torch.device("cpu"), "auto"):
        (answer,) = task.forward(Doubled(), (picture, picture, torch.tensor([True])))
    assert restorer.heard == [DTYPE[processor]]
    assert answer.dtype == DTYPE[processor]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_perceptual_loss_of_an_autoencoder_follows_the_processor(
    processor: Processor, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(processor)
    heard: list[torch.dtype] = []

    class Distance(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            heard.append(F.conv2d(one - other, torch.ones(1, 3, 1, 1)).dtype)
            return (one - other).float().abs().mean(dim=(1, 2, 3))

    monkeypatch.setattr("unblur.training.objectives.autoencoding.load_st_lpips", lambda _network: Distance())
    settings = replace(AutoencoderTraining(), adversarial=0.0)
    task = AutoencodingObjective(NoPatches(), settings, steps=1, seed=1, precision="auto")
    sharp = torch.rand(1, 3, 64, 64)
    task.loss((sharp + 0.01).requires_grad_(), (sharp, sharp))
    assert set(heard) == {DTYPE[processor]}


@pytest.mark.parametrize("name", get_args(RecipeName))
def test_no_recipe_names_a_precision_that_some_processors_emulate(name: RecipeName) -> None:
    assert find_recipe(name).precision in ("auto", "float32")


@pytest.mark.parametrize("processor", PROCESSORS)
def test_the_command_prints_the_precision_and_accepts_another(
    processor: Processor, machine: Machine, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machine(processor)
    command = ["train", "smoke", "--photos", str(photos), "--steps", "1", "--device", "cpu", "--run"]
    assert main([*command, str(tmp_path / "auto")]) == 0
    assert capsys.readouterr().err == f"Training in {CHOSEN[processor]} on cpu.\n"
    assert main([*command, str(tmp_path / "float32"), "--precision", "float32"]) == 0
    assert capsys.readouterr().err == "Training in float32 on cpu.\n"
    assert main([*command, str(tmp_path / "quiet"), "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, str(tmp_path / "wrong"), "--precision", "float64"]) == 2
    assert "float64" in capsys.readouterr().err
