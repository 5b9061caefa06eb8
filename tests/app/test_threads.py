"""Waiting threads sleep soon: the setting is made before PyTorch, which reads it once, is loaded."""

import os
import subprocess
import sys

import pytest

SHOW = """
import os, sys
sys.argv = ["unblur", "--version"]
from unblur.app.cli import main
main()
print(os.environ.get("GOMP_SPINCOUNT"), "torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("chosen", "expected"), [({}, "2000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")]
)
def test_the_command_line_sets_the_waiting_policy_before_pytorch_is_loaded(
    chosen: dict[str, str], expected: str
) -> None:
    settings = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment | chosen, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == f"{expected} False"
