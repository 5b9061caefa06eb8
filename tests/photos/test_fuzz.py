"""A share of the fuzz, `python tests/fuzz.py`, that takes seconds."""

import random
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent))

from fuzz import fuzz, mutated


def test_mutated_photographs_are_read_or_refused(tmp_path: Path) -> None:
    findings = fuzz(150, 7, tmp_path)
    assert findings.broken == {}
    assert findings.outcomes["read"] > 20
    assert findings.outcomes["refused"] > 20


def test_the_same_seed_makes_the_same_files() -> None:
    assert list(mutated(random.Random(3), 40)) == list(mutated(random.Random(3), 40))
    assert list(mutated(random.Random(3), 40)) != list(mutated(random.Random(4), 40))
