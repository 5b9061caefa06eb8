"""The rule of the blur report: examples are made, a rule is fitted on them, and the report is measured."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from experiments.blur_examples import make, open_examples
from experiments.blur_kinds import simulate
from experiments.fit_blur_report import fit
from experiments.harness import run
from experiments.measure_blur_report import comparison, confusion, measure
from unblur.errors import UnblurError
from unblur.restoration.blur_report import KINDS
from unblur.restoration.blur_rule import bundled_rule


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
def test_a_rule_is_fitted_and_measured(photos: Path, tmp_path: Path, capsys) -> None:
    examples, rule, tables = tmp_path / "examples.pt", tmp_path / "rule.json", tmp_path / "tables"
    assert run(make, [str(photos), "-o", str(examples), "--every", "2"]) == 0
    assert [example.kind for example in open_examples([examples])] == list(KINDS)
    assert run(fit, [str(examples), "--output", str(rule)]) == 0
    assert run(measure, [str(examples), "-o", str(tables), "--rule", str(rule)]) == 0
    assert "Agreement: " in capsys.readouterr().out
    assert len((tables / "blur_report.csv").read_text().splitlines()) == 5

    example = open_examples([examples])[0]
    wrong = replace(comparison(example, bundled_rule()), kind="sharp", reported="shaken")
    right = replace(wrong, reported="sharp")
    assert "- Agreement: 1 of 2, 50.0%." in confusion([wrong, right])


def test_files_that_are_no_examples_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("nothing")
    for file in (tmp_path / "text.pt", tmp_path / "missing.pt"):
        with pytest.raises(UnblurError, match="holds no examples; make them by"):
            open_examples([file])
