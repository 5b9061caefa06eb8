"""The package is installed as the Dockerfile and `docs/guide/install.md` say, into an empty environment, and works."""

import json
import os
import re
import shlex
import subprocess
import sys
import venv
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from PIL import Image

from unblur.photos.reading import read_photo

ROOT = Path(__file__).parent.parent
pytest.importorskip("hatchling", reason="builds the wheel; in the extra `dev`")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.name != "posix", reason="the Dockerfile is of Linux")]


def steps(name: str = "Dockerfile") -> list[tuple[str, str]]:
    """The instructions of a Dockerfile and their arguments."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which the steps of the Dockerfile were taken.

    Packages that unblur depends on are those of this environment, because to install them again takes minutes.
    """
    folder = tmp_path_factory.mktemp("image")
    venv.create(folder / "venv")
    (site_packages,) = (folder / "venv" / "lib").glob("python*/site-packages")
    paths = [path for path in sys.path if path.endswith("-packages")]
    # A .pth file adds its paths behind site-packages, so the wheel's unblur is found first.
    (site_packages / "dependencies.pth").write_text("\n".join(paths))
    source = folder / "source"
    source.mkdir()
    for instruction, argument in steps():
        if instruction == "COPY":
            *names, target = argument.split()
            for name in names:
                to = source if target == "./" else source / target
                subprocess.run(["cp", "-r", ROOT / name, to], check=True)
        elif instruction == "RUN":
            # The pip of this environment installs into the other one, which needs none of its own.
            pip = f"{sys.executable} -m pip --python {folder}/venv/bin/python install --no-deps --no-build-isolation"
            command = argument.replace("pip install", pip)
            subprocess.run(shlex.split(command), cwd=source, check=True, capture_output=True)
    return folder


def unblur(image: Path, *arguments: str, cwd: Path, dockerfile: str = "Dockerfile") -> subprocess.CompletedProcess[str]:
    (entry,) = (json.loads(argument) for instruction, argument in steps(dockerfile) if instruction == "ENTRYPOINT")
    program = [image / "venv" / "bin" / entry[0], *entry[1:], *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(program, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_the_installed_program_restores_a_photograph(image: Path, tmp_path: Path) -> None:
    with Image.open(ROOT / "examples" / "reds_blurry.png") as blurry:
        blurry.crop((0, 0, 96, 80)).save(tmp_path / "photo.jpg")
    done = unblur(image, "photo.jpg", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert read_photo(tmp_path / "photo_unblurred.jpg").pixels.shape == (80, 96, 3)
    where = subprocess.run(
        [image / "venv" / "bin" / "python", "-c", "import unblur; print(unblur.__file__)"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(image)


def test_the_command_without_arguments_is_the_help(image: Path, tmp_path: Path) -> None:
    (command,) = (json.loads(argument) for instruction, argument in steps() if instruction == "CMD")
    done = unblur(image, *command, cwd=tmp_path)
    assert done.returncode == 0
    assert "restore" in done.stdout


def test_the_image_of_the_service_needs_a_key(image: Path, tmp_path: Path) -> None:
    done = unblur(image, cwd=tmp_path, dockerfile="Dockerfile.service")
    assert done.returncode == 2
    assert "UNBLUR_API_KEY" in done.stderr


def test_every_file_of_the_package_is_installed(image: Path) -> None:
    (site_packages,) = (image / "venv" / "lib").glob("python*/site-packages")
    tracked = subprocess.run(["git", "ls-files", "unblur"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a clone")
    missing = [name for name in tracked.stdout.splitlines() if not (site_packages / name).exists()]
    assert missing == []


def test_what_the_image_copies_is_not_ignored() -> None:
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [name for kind, argument in steps() if kind == "COPY" for name in argument.split()[:-1]]
    assert patterns[0] == "*"
    assert {pattern[1:] for pattern in patterns if pattern.startswith("!")} == set(copied)


def test_the_wheel_of_the_guide_holds_the_weights(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "guide" / "install.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^pip wheel .*$", text, re.MULTILINE)
    options = [*shlex.split(command.replace("pip wheel", "")), "--no-build-isolation", "--wheel-dir", str(tmp_path)]
    options = [str(ROOT) if option == "." else option for option in options]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options], cwd=tmp_path, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    weights = [name for name in names if fnmatch(name, "unblur/weights/*/model.safetensors")]
    folders = {path.parent.name for path in (ROOT / "unblur" / "weights").glob("*/model.safetensors")}
    assert {Path(name).parent.name for name in weights} == folders
    assert "unblur/py.typed" in names
