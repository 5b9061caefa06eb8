"""The layers hold, the contracts that say so can fail, and what people wait for stays light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

BREACHES = {
    "blur/exposure.py": "from unblur.training import recipe",
    "metrics/psnr.py": "from unblur import models",
    "errors.py": "from unblur import config",
    "restoration/tiles.py": "import pyvips",
    "photos/marks.py": "import pillow_heif",
    "photos/iptc.py": "import rawpy",
    "photos/png_file.py": "import brotli",
    "restoration/blend.py": "import av",
    "app/cli.py": "import huggingface_hub",
    "app/report.py": "import gradio",
    "app/batch.py": "import pyarrow",
    "app/jobs.py": "import fastapi",
    "service/limits.py": "from unblur.app import report",
    "datasets/pair.py": "from PIL import Image",
    "models/flow.py": "import experiments",
}
"""Imports that must not be, planted at the end of a module: upward, sideways, of foreign packages."""


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(folder), "COLUMNS": "200"},
    )


def test_no_module_imports_what_lies_above_or_beside_it() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def copied_package(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "unblur", tmp_path / "unblur", ignore=shutil.ignore_patterns("weights", "__pycache__"))
    return tmp_path


def test_every_kind_of_breach_is_reported(copied_package: Path) -> None:
    for module, statement in BREACHES.items():
        with (copied_package / "unblur" / module).open("a") as file:
            file.write(f"\n{statement}\n")
    result = lint_imports(copied_package)
    assert result.returncode == 1
    assert "0 kept" in result.stdout
    for named in [
        "unblur.blur is not allowed to import unblur.training",
        "unblur.metrics is not allowed to import unblur.models",
        "unblur.errors is not allowed to import unblur.config",
        "unblur.restoration.tiles -> pyvips",
        "unblur.photos.marks -> pillow_heif",
        "unblur.photos.iptc -> rawpy",
        "unblur.photos.png_file -> brotli",
        "unblur.restoration.blend -> av",
        "unblur.app.cli -> huggingface_hub",
        "unblur.app.report -> gradio",
        "unblur.app.batch -> pyarrow",
        "unblur.app.jobs -> fastapi",
        "unblur.service is not allowed to import unblur.app",
        "unblur.datasets.pair -> PIL",
        "unblur.models.flow -> experiments",
    ]:
        assert named in result.stdout, result.stdout


def test_a_folder_without_a_layer_is_reported(copied_package: Path) -> None:
    (copied_package / "unblur" / "utils.py").touch()
    result = lint_imports(copied_package)
    assert result.returncode == 1
    assert "unblur.utils" in result.stdout


@pytest.mark.parametrize(
    "program",
    [
        "import unblur, unblur.app.cli",
        "import unblur.app.cli; assert unblur.app.cli.main(['--help']) == 0",
        "import unblur.app.cli; assert unblur.app.cli.main(['restore', '--help']) == 0",
        "import unblur.app.cli; assert unblur.app.cli.main(['restore', '--no-such-option']) == 2",
    ],
)
def test_help_and_typing_errors_never_wait_for_torch(program: str) -> None:
    check = "heavy = {'torch', 'pyvips', 'huggingface_hub'} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", f"import sys; {program}; {check}"], cwd=ROOT, check=True)
