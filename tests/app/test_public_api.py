"""`import unblur` and what it offers."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import unblur
from tests import api_surface
from tests.api_surface import describe_api


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


def test_the_public_api_is_the_recorded_one() -> None:
    """`python tests/api_surface.py --write` records a change that is meant."""
    assert describe_api() == json.loads(api_surface.PATH.read_text(encoding="utf-8"))


def test_unknown_names_are_attribute_errors() -> None:
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


def test_content_and_open_files_are_read_as_paths_are(tmp_path: Path, tiny_checkpoint: Path, make_photo) -> None:
    path = make_photo(tmp_path / "photo.png")
    expected = unblur.read_photo(path)
    restorer = unblur.load(tiny_checkpoint, device="cpu")
    restored = restorer.restore(path)
    with path.open("rb") as file:
        sources = [path.read_bytes(), bytearray(path.read_bytes()), io.BytesIO(path.read_bytes()), file]
        for source in sources:
            assert np.array_equal(unblur.read_photo(source).pixels, expected.pixels)
            if source in sources[2:]:
                source.seek(0)
            assert np.array_equal(restorer.restore(source).pixels, restored.pixels)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "The photograph is empty"),
        (b"no photograph", "The photograph is"),
        (io.StringIO("text"), "open as text"),
        (5, "A int is not a file of a photograph"),
        (None, "A NoneType is not a file of a photograph"),
    ],
)
def test_other_sources_are_refused_in_a_sentence(source: object, reason: str) -> None:
    with pytest.raises(unblur.UnblurError, match=reason) as caught:
        unblur.read_photo(source)
    assert "\n" not in str(caught.value)


def test_a_cut_file_names_its_origin(tmp_path: Path, make_photo) -> None:
    path = make_photo(tmp_path / "photo.png")
    path.write_bytes(path.read_bytes()[:-60])
    with path.open("rb") as file, pytest.raises(unblur.UnblurError, match=r"photo\.png is damaged"):
        unblur.read_photo(file)
    with pytest.raises(unblur.UnblurError, match="The photograph is damaged"):
        unblur.read_photo(path.read_bytes())


def test_lists_are_restored_one_by_one_with_one_progress(tmp_path: Path, tiny_checkpoint: Path, make_photo) -> None:
    path = make_photo(tmp_path / "photo.png")
    restorer = unblur.load(tiny_checkpoint, device="cpu")
    photo = unblur.read_photo(path)
    shares: list[float] = []
    many = restorer.restore([path, photo.pixels, (photo,)], progress=shares.append)
    assert isinstance(many[0], unblur.Photo)
    assert np.array_equal(many[0].pixels, many[1])
    assert np.array_equal(many[2][0].pixels, many[1])
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert restorer.restore([]) == []


def test_an_exception_of_the_progress_callback_cancels(tiny_checkpoint: Path) -> None:
    class StoppedError(Exception):
        pass

    def cancel(_: float) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        unblur.load(tiny_checkpoint, device="cpu").restore(np.zeros((64, 64, 3), np.uint8), progress=cancel)


def test_options_of_another_mode_are_refused(tiny_checkpoint: Path) -> None:
    for options in ({"caption": "a dog"}, {"decoder": "folder"}, {"generative": unblur.GenerativeSettings()}):
        with pytest.raises(unblur.UnblurError, match='mode="generative"'):
            unblur.load(tiny_checkpoint, **options)
    with pytest.raises(unblur.UnblurError, match="PyTorch only"):
        unblur.load(mode="generative", runtime="onnx")


def test_photographs_are_saved_shown_and_described(tmp_path: Path, make_photo) -> None:
    photo = unblur.read_photo(make_photo(tmp_path / "photo.png"))
    photo.save(tmp_path / "saved.png")
    unblur.write_photo(photo, tmp_path / "written.png")
    assert (tmp_path / "saved.png").read_bytes() == (tmp_path / "written.png").read_bytes()
    assert np.array_equal(np.asarray(photo.to_pil()), photo.pixels)
    assert repr(photo) == f"Photo({photo.width} x {photo.height}, RGB, 8 bits)"
    grey = unblur.Photo(pixels=np.full((2, 3, 1), 300, np.uint16), alpha=np.full((2, 3), 65535, np.uint16))
    assert repr(grey) == "Photo(3 x 2, grey with transparency, 16 bits)"
    assert grey.to_pil().getpixel((0, 0)) == (1, 255)
    deep = unblur.Photo(pixels=np.full((2, 3, 1), 300, np.uint16), metadata=unblur.Metadata(icc=b"colours"))
    assert deep.to_pil().mode == "I;16"
    assert deep.to_pil().getpixel((0, 0)) == 300
    assert deep.to_pil().info["icc_profile"] == b"colours"


def test_restorers_are_described_in_a_line(tiny_checkpoint: Path) -> None:
    described = repr(unblur.load(tiny_checkpoint, device="cpu", mode="fast"))
    assert described.startswith("Restorer(HalfResolution, device=cpu, checkpoint=")
    assert len(described) < 100


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
