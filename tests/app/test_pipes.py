"""Photographs from stdin and to stdout, and the quality of their files."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.photos.made_raw import make_dng
from unblur.app.cli import main
from unblur.photos.photo import Photo
from unblur.photos.writing import DEFAULT_QUALITIES, encode_photo, write_photo


@pytest.fixture
def pipe(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Callable[..., tuple[int, bytes, str]]:
    """Run `unblur` with a file as stdin, and return the exit code, stdout and stderr."""

    def run(content: bytes, *arguments: str | Path) -> tuple[int, bytes, str]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = main([*map(str, arguments), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"])
        captured = capsysbinary.readouterr()
        return code, captured.out, captured.err.decode()

    return run


def encoded(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_a_pipe_has_the_format_of_its_photograph_and_the_result_of_a_file(kind: str, pipe, tmp_path: Path) -> None:
    ending = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "TIFF": "tif", "AVIF": "avif"}[kind]
    (tmp_path / f"in.{ending}").write_bytes(encoded(kind))
    code, out, err = pipe(encoded(kind), "-")
    assert code == 0
    assert err.startswith("stdin -> stdout  60x40")
    assert Image.open(io.BytesIO(out)).format == kind
    code, file_out, _ = pipe(b"", tmp_path / f"in.{ending}", "-o", "-")
    assert (code, file_out) == (0, out)
    assert pipe(b"", tmp_path / f"in.{ending}", "-o", tmp_path / f"out.{ending}")[0] == 0
    assert (tmp_path / f"out.{ending}").read_bytes() == out
    assert not Path("-").exists()


def test_a_photograph_from_stdin_may_be_written_to_a_file_or_a_folder(pipe, tmp_path: Path) -> None:
    assert pipe(encoded("JPEG"), "-", "-o", tmp_path / "a.png")[0] == 0
    assert Image.open(tmp_path / "a.png").format == "PNG"
    code, out, _ = pipe(encoded("PNG"), "-", "-o", f"{tmp_path}/folder/", "--compare")
    assert code == 0
    assert out.startswith(b"stdin -> ")
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == [
        "stdin_unblurred.png",
        "stdin_unblurred_compare.png",
    ]
    _, out, _ = pipe(encoded("PNG"), "-", "--format", "jpg")
    assert Image.open(io.BytesIO(out)).format == "JPEG"


def test_what_a_pipe_cannot_carry_is_refused(pipe, tmp_path: Path, make_photo) -> None:
    photo = make_photo(tmp_path / "photo.jpg")
    (tmp_path / "two").mkdir()
    make_photo(tmp_path / "two" / "a.jpg")
    make_photo(tmp_path / "two" / "b.jpg")
    for arguments, reason in (
        (["-", photo], "reads one photograph"),
        (["-", "--json"], "--json"),
        (["-", "--compare"], "one photograph and no second"),
        ([tmp_path / "two", "-o", "-"], "one photograph to stdout"),
    ):
        code, out, err = pipe(encoded("JPEG"), *arguments)
        assert (code, out) == (2, b""), arguments
        assert reason in err
        assert err.count("\n") == 1
    code, out, err = pipe(b"", "-")
    assert (code, out) == (2, b"")
    assert "is empty" in err
    code, out, err = pipe(encoded("JPEG")[:900], "-")
    assert (code, out) == (1, b"")
    assert err.startswith("failed: stdin: The photograph is damaged")


def test_the_thumbnail_of_a_raw_file_is_not_mistaken_for_the_photograph(pipe, tmp_path: Path) -> None:
    raw = bytearray(make_dng(tmp_path / "raw.dng").read_bytes())
    assert pipe(bytes(raw), "-")[0] == 1
    # As cameras write it: the first image is a reduced version of the raw one.
    thumbnail = io.BytesIO()
    Image.new("RGB", (32, 24), "red").save(thumbnail, "TIFF", tiffinfo={254: 1})
    code, out, err = pipe(thumbnail.getvalue(), "-")
    assert (code, out) == (1, b"")
    assert "raw file" in err


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_a_lower_quality_makes_smaller_files(ending: str, pipe) -> None:
    sizes = []
    for quality in ([], ["--quality", str(DEFAULT_QUALITIES[f".{ending}"])], ["--quality", "40"]):
        code, out, _ = pipe(encoded("PNG"), "-", "--format", ending, *quality)
        assert code == 0
        sizes.append(len(out))
    assert sizes[0] == sizes[1] > 1.5 * sizes[2]


def test_the_quality_of_lossless_formats_is_not_used(pipe) -> None:
    assert pipe(encoded("PNG"), "-", "--quality", "40")[1] == pipe(encoded("PNG"), "-")[1]
    code, _, err = pipe(encoded("PNG"), "-", "--format", "tif", "--quality", "40")
    assert code == 2
    assert "--quality" in err
    for quality in ("0", "101"):
        assert pipe(encoded("PNG"), "-", "--quality", quality)[0] == 2


def test_write_photo_takes_a_quality(tmp_path: Path) -> None:
    photo = Photo(pixels=np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))
    write_photo(photo, tmp_path / "a.jpg", 30)
    assert (tmp_path / "a.jpg").read_bytes() == encode_photo(photo, Path("b.jpg"), 30)
    assert len(encode_photo(photo, Path("b.jpg"))) > 2 * (tmp_path / "a.jpg").stat().st_size
