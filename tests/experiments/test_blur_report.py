"""The blur classifier: examples are made, it is trained on them, and the report is measured."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.blur_examples import make, open_examples
from experiments.blur_kinds import simulate
from experiments.harness import run
from experiments.measure_blur_report import compare, measure, summarise
from experiments.train_blur_classifier import compute_loss, train
from tests.models.test_blur_classifier import SMALL
from unblur.errors import UnblurError
from unblur.models import BlurClassifier
from unblur.restoration.blur_report import KINDS
from unblur.restoration.inspect import BlurInspector


def test_each_photograph_has_each_kind_and_its_truth(photos: Path) -> None:
    known = list(simulate(sorted(photos.iterdir())[:1], seed=1))
    assert [one.kind for one in known] == list(KINDS)
    sharp, shaken, moved, defocused = known
    assert (sharp.cells == 0).all()
    assert float(shaken.length_px.median()) > 3
    assert 0.08 < float((moved.cells == 1).float().mean()) < 0.5
    assert (defocused.cells == 2).all()
    assert defocused.radius_px >= 1.5
    again = next(iter(simulate(sorted(photos.iterdir())[:1], seed=1)))
    assert torch.equal(again.image, sharp.image)


@pytest.mark.slow
def test_a_classifier_is_trained_and_measured(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    examples, checkpoint, tables = tmp_path / "examples", tmp_path / "classifier", tmp_path / "tables"
    assert run(make, [str(photos), "-o", str(examples), "--count", "1"]) == 0
    assert [example.kind for example in open_examples(examples)] == list(KINDS)
    assert run(train, [str(examples), "--output", str(checkpoint), "--epochs", "1", "--batch", "2"]) == 0
    some = tmp_path / "some"
    some.mkdir()
    (some / "photo.png").write_bytes(min(photos.iterdir()).read_bytes())
    assert run(measure, [str(some), "-o", str(tables), "--checkpoint", str(checkpoint)]) == 0
    assert "Agreement of the most probable kind: " in capsys.readouterr().out
    assert len((tables / "blur_report.csv").read_text().splitlines()) == 5


def test_the_loss_falls_when_the_classifier_learns_one_photograph(photos: Path, tmp_path: Path) -> None:
    assert run(make, [str(photos), "-o", str(tmp_path), "--count", "1"]) == 0
    example = open_examples(tmp_path)[2]
    network = BlurClassifier(SMALL).eval()
    optimizer = torch.optim.Adam([one for one in network.parameters() if one.requires_grad], lr=0.01)
    losses = []
    for _ in range(8):
        loss = compute_loss(network, [example])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]


def test_agreement_is_counted(photos: Path) -> None:
    known = next(iter(simulate(sorted(photos.iterdir())[:1], seed=1)))
    found = compare(known, BlurInspector(BlurClassifier(SMALL).eval()).inspect(known.image))
    right = replace(found, kind="sharp", likeliest="sharp", reported="uncertain")
    wrong = replace(found, kind="sharp", likeliest="shaken", reported="shaken")
    text = summarise([right, wrong])
    assert "- Agreement of the most probable kind: 1 of 2, 50.0%." in text
    assert "- Reports that are not uncertain: 1; right: 0, 0.0%." in text
    assert "| sharp | 2 | 0 | 1 | 0 | 0 | 1 | 0.0% |" in text


def test_files_that_are_no_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="holds no examples; make them by"):
        open_examples(tmp_path)
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(UnblurError, match="holds no examples; make them by"):
        open_examples(tmp_path)
