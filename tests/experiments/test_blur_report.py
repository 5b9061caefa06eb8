"""The blur classifier: examples are made, it is trained on them, and the report is measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.blur_examples import make, open_examples
from experiments.blur_kinds import simulate
from experiments.harness import run
from experiments.measure_blur_report import compare, measure, summarise
from experiments.train_blur_classifier import calibrate, compute_loss, lay_flat, load_classifier, train
from tests.models.test_blur_classifier import SMALL
from unblur.checkpoints.folder import BUNDLED_MOTION_ESTIMATOR, load_checkpoint
from unblur.errors import UnblurError
from unblur.models import BlurClassifier
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
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
    # Those of the fixture are smaller than the crops of training.
    coarse = np.random.default_rng(0).integers(0, 255, (52, 52, 3), dtype=np.uint8)
    (tmp_path / "large").mkdir()
    write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), tmp_path / "large" / "photo.png")
    assert run(make, [str(tmp_path / "large"), "-o", str(examples), "--count", "1"]) == 0
    assert [example.kind for example in open_examples(examples)] == list(KINDS)
    arguments = [str(examples), "--output", str(checkpoint), "--epochs", "1", "--batch", "2"]
    assert run(train, [*arguments, "--calibration", str(examples)]) == 0
    assert "from random weights" in (checkpoint / "README.md").read_text()
    before = load_checkpoint(checkpoint)
    continued = [str(examples), "--output", str(tmp_path / "continued"), "--epochs", "1", "--batch", "2"]
    assert run(train, [*continued, "--start", str(checkpoint), "--peak-rate", "1e-12"]) == 0
    assert f"from the weights {before.sha256[:12]}" in (tmp_path / "continued" / "README.md").read_text()
    after = dict(load_checkpoint(tmp_path / "continued").model.named_parameters())
    assert all(torch.allclose(after[name], value, atol=1e-3) for name, value in before.model.named_parameters())
    some = tmp_path / "some"
    some.mkdir()
    (some / "photo.png").write_bytes(min(photos.iterdir()).read_bytes())
    assert run(measure, [str(some), "-o", str(tables), "--checkpoint", str(checkpoint)]) == 0
    assert "Agreement of the most probable kind: " in capsys.readouterr().out
    assert len((tables / "blur_report.csv").read_text().splitlines()) == 5


def test_examples_are_laid_flat_with_their_directions(photos: Path, tmp_path: Path) -> None:
    assert run(make, [str(photos), "-o", str(tmp_path), "--count", "1"]) == 0
    flat = next(one for one in open_examples(tmp_path) if one.kind == "shaken")
    rows, columns = flat.places.shape
    tall = replace(
        flat,
        image=torch.rand(3, 32 * (rows + 2), 32 * columns),
        features=torch.rand(*flat.features.shape[:2], rows + 2, columns),
        places=torch.ones(rows + 2, columns, dtype=torch.long),
        length_px=torch.rand(rows + 2, columns),
        direction=torch.full((rows + 2, columns), 1.0),
    )
    assert lay_flat(flat) is flat or rows > columns
    laid = lay_flat(tall)
    assert laid.places.shape == (columns, rows + 2)
    assert torch.equal(laid.image, tall.image.transpose(1, 2))
    # A direction of 22.5 degrees from the columns is one of 67.5 degrees from the rows.
    assert bool((laid.direction == 3).all())
    assert torch.equal(laid.features[:, 3], tall.features[:, 1].transpose(1, 2))
    assert torch.equal(lay_flat(laid).places, laid.places)


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


def test_calibration_changes_the_kinds_of_photographs_for_the_better(photos: Path, tmp_path: Path) -> None:
    assert run(make, [str(photos), "-o", str(tmp_path), "--count", "1"]) == 0
    # One kind only: an offset alone can name it.
    examples = [replace(example, kind="shaken") for example in open_examples(tmp_path)]
    network = BlurClassifier(SMALL).eval()

    def classify() -> torch.Tensor:
        found = [network.classify(one.image[None] / 255, one.features[None].float()) for one in examples]
        assert all(torch.isfinite(one.places).all() for one in found)
        return torch.cat([one.photo for one in found]).detach().softmax(dim=1)[:, KINDS.index("shaken")]

    before = classify()
    calibrate(network, examples)
    assert bool((classify() > before).all())
    assert float(classify().min()) > 0.9


def test_agreement_is_counted(photos: Path) -> None:
    known = next(iter(simulate(sorted(photos.iterdir())[:1], seed=1)))
    found = compare(known, BlurInspector(BlurClassifier(SMALL).eval()).inspect(known.image))
    right = replace(found, kind="sharp", likeliest="sharp", reported="uncertain", confidence=0.6, left_alone=True)
    wrong = replace(found, kind="sharp", likeliest="shaken", reported="shaken", confidence=0.8, left_alone=False)
    text = summarise([right, wrong])
    assert "- Agreement of the most probable kind: 1 of 2, 50.0%." in text
    assert "- Reports that are not uncertain: 1; right: 0, 0.0%." in text
    assert "- Probability of at least 50%: 100.0% of the photographs; right: 50.0%." in text
    assert "- Probability of at least 70%: 50.0% of the photographs; right: 0.0%." in text
    assert "- Left alone: 1; sharp: 1." in text
    assert "| sharp | 2 | 0 | 1 | 0 | 0 | 1 | 0.0% |" in text


def test_files_that_are_no_examples_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="holds no examples; make them by"):
        open_examples(tmp_path)
    with pytest.raises(UnblurError, match="holds no blur classifier; give a checkpoint of this command"):
        load_classifier(BUNDLED_MOTION_ESTIMATOR)
    (tmp_path / "text.pt").write_text("nothing")
    with pytest.raises(UnblurError, match="holds no examples; make them by"):
        open_examples(tmp_path)
