"""What the adapter says when something is missing, and what it asks of pyiqa 0.1.16.

pyiqa itself cannot be a dependency of these tests either. A stand-in records what reaches it; that each keyword exists
in pyiqa was read from its source.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.metrics import niqe
from unblur.metrics.pyiqa_adapter import WEIGHTS, Measure, load_with_pyiqa

EVERY = pytest.mark.parametrize("measure", get_args(Measure))


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    (tmp_path / "weights").touch()
    return tmp_path / "weights"


@EVERY
def test_missing_weights_are_named(measure: Measure, tmp_path: Path) -> None:
    with pytest.raises(UnblurError) as raised:
        load_with_pyiqa(measure, tmp_path / "none")
    assert str(tmp_path / "none") in str(raised.value)
    assert WEIGHTS[measure] in str(raised.value)


@EVERY
def test_without_pyiqa_its_licence_is_told(measure: Measure, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(UnblurError, match=r"pyiqa.*Noncommercial"):
        load_with_pyiqa(measure, weights)


class Recorder(nn.Module):
    """Scores each image by its mean, (B, 1) as pyiqa does."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__()
        self.asked = {"name": name, **options}

    def load_weights(self, path: str, weight_keys: str | None = "params") -> None:
        self.asked["loaded"] = (path, weight_keys)

    def forward(self, image: Tensor) -> Tensor:
        return image.mean(dim=(1, 2, 3))[:, None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    made: list[Recorder] = []

    def create_metric(name: str, **options: Any) -> Recorder:
        made.append(Recorder(name, **options))
        return made[-1]

    module = ModuleType("pyiqa")
    module.create_metric = create_metric  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    return made


@EVERY
def test_the_weights_reach_pyiqa_and_a_score_an_image_comes_back(
    measure: Measure, weights: Path, asked: list[Recorder]
) -> None:
    score = load_with_pyiqa(measure, weights)
    assert str(weights) in str(asked[0].asked)
    assert score(torch.rand(2, 3, 224, 230)).shape == (2,)
    with pytest.raises(UnblurError, match="224 x 224 pixels, not 300 x 223"):
        score(torch.rand(1, 3, 223, 300))


def test_pi_is_half_of_ten_less_nrqm_and_niqe(weights: Path, asked: list[Recorder], sharp: Tensor) -> None:
    crop = sharp[..., :240, :240]
    expected = (10 - crop.float().mean().item() + niqe(crop[..., 4:-4, 4:-4]).item()) / 2
    assert load_with_pyiqa("pi", weights)(crop).item() == pytest.approx(expected, rel=1e-6)
    assert asked[0].asked["name"] == "nrqm"
