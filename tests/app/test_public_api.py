"""`import unblur` and what it offers."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unblur


def test_import_is_cheap() -> None:
    code = "import sys; import unblur; print(sorted({'torch', 'numpy', 'pyvips', 'tyro', 'PIL'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pillow_is_not_needed() -> None:
    code = "import sys; import unblur; unblur.load; print('PIL' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_restoring_does_not_load_the_compiler_of_pytorch() -> None:
    """It takes seconds, and no photograph needs it."""
    code = """
import sys, numpy, unblur
noise = numpy.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=numpy.uint8)
unblur.load(device="cpu").restore(unblur.Photo(pixels=noise))
print("torch" in sys.modules, "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True False"


def test_every_public_name_exists() -> None:
    assert dir(unblur) == [
        "BlurReport",
        "Photo",
        "Shake",
        "UnblurError",
        "__version__",
        "estimate_shake",
        "inspect",
        "load",
        "read_photo",
        "write_photo",
    ]
    for name in dir(unblur):
        assert getattr(unblur, name)
    with pytest.raises(AttributeError, match="sharpen"):
        _ = unblur.sharpen


def test_load_and_restore_a_path(tmp_path: Path, tiny_checkpoint: Path, make_photo) -> None:
    path = make_photo(tmp_path / "photo.png")
    restorer = unblur.load(tiny_checkpoint, device="cpu")
    photo = restorer.restore(path)
    assert isinstance(photo, unblur.Photo)
    again = restorer.restore(unblur.read_photo(path))
    assert np.array_equal(photo.pixels, again.pixels)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(restorer.restore(image)), photo.pixels)
    unblur.write_photo(photo, tmp_path / "restored.png")
    with Image.open(tmp_path / "restored.png") as image:
        assert np.array_equal(np.asarray(image), photo.pixels)


def test_photos_are_read_and_written_by_strings_as_by_paths(tmp_path: Path, make_photo) -> None:
    path = make_photo(tmp_path / "photo.png")
    photo = unblur.read_photo(str(path))
    assert np.array_equal(photo.pixels, unblur.read_photo(path).pixels)
    unblur.write_photo(photo, str(tmp_path / "copy.png"))
    unblur.write_photo(photo, tmp_path / "other.png")
    assert (tmp_path / "copy.png").read_bytes() == (tmp_path / "other.png").read_bytes()
    with pytest.raises(unblur.UnblurError, match=r"nowhere\.png cannot be read"):
        unblur.read_photo("nowhere.png")
    with pytest.raises(unblur.UnblurError, match="suffix"):
        unblur.write_photo(photo, str(tmp_path / "copy.xyz"))


@pytest.mark.parametrize("wrong", [None, "photo.png", np.zeros((4, 4, 3), np.uint8), Image.new("RGB", (4, 4))])
def test_only_a_photo_is_written(wrong: object, tmp_path: Path) -> None:
    with pytest.raises(unblur.UnblurError, match=rf"a {type(wrong).__name__} is not a Photo; give") as caught:
        unblur.write_photo(wrong, tmp_path / "out.png")
    assert str(caught.value).count(". ") == 0
    assert list(tmp_path.iterdir()) == []


def test_missing_inputs_are_reported_in_a_sentence(tmp_path: Path, tiny_checkpoint: Path) -> None:
    with pytest.raises(unblur.UnblurError, match="checkpoint"):
        unblur.load(tmp_path / "missing")
    with pytest.raises(unblur.UnblurError, match=r"missing\.jpg"):
        unblur.load(tiny_checkpoint).restore(tmp_path / "missing.jpg")
