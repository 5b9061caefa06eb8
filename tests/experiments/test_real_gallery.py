"""The gallery of real photographs: which crop it shows, and that it shows every photograph at 100 %."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.harness import run
from experiments.real_gallery import CROP_PX, TITLE_PX, Example, draw_sheet, find_crop, real_gallery
from unblur.photos.photo import Photo
from unblur.photos.pixel_files import decode_jpeg
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.restoration.blur_report import BlurReport, Place
from unblur.restoration.inspect import inspect

MOVED = Place(left_px=0, top_px=0, width_px=64, height_px=64, kind="motion", length_px=9.0, direction_deg=0.0)


@pytest.fixture(scope="module")
def sharp_report() -> BlurReport:
    return inspect(Photo(pixels=np.full((64, 64, 3), 128, np.uint8)))


def draw_textures() -> NDArray[np.uint8]:
    """A grey photograph with weak texture in its top left and strong texture in its bottom right 64 x 64 pixels."""
    pixels = np.full((200, 300, 3), 128, np.uint8)
    random = np.random.default_rng(0)
    pixels[:64, :64] = random.integers(120, 136, (64, 64, 3))
    pixels[-64:, -64:] = random.integers(0, 255, (64, 64, 3))
    return pixels


def test_the_crop_is_the_most_textured_part_of_what_moved(sharp_report: BlurReport) -> None:
    pixels = draw_textures()
    top, left = find_crop(pixels, replace(sharp_report, places=()), 64)
    assert top >= 200 - 64 - 1
    assert left >= 300 - 64 - 1
    assert find_crop(pixels, replace(sharp_report, places=(MOVED,)), 64) == (0, 0)


def test_the_crop_of_a_small_photograph_is_the_photograph(sharp_report: BlurReport) -> None:
    assert find_crop(draw_textures(), sharp_report, 1000) == (0, 0)


def test_the_sheet_shows_pixels_of_every_photograph_as_they_are(sharp_report: BlurReport) -> None:
    random = np.random.default_rng(1)
    examples = [
        Example(name=f"photo {number}", report=sharp_report, change=0.1, before=before, after=255 - before)
        for number in range(3)
        for before in [random.integers(0, 255, (CROP_PX, CROP_PX, 3), dtype=np.uint8)]
    ]
    sheet = draw_sheet(examples)
    cell_height, cell_width = CROP_PX + TITLE_PX, sheet.shape[1] // 2
    assert sheet.shape[0] == 2 * cell_height
    for number, example in enumerate(examples):
        top, left = number // 2 * cell_height + TITLE_PX, number % 2 * cell_width
        line = sheet[top : top + CROP_PX, left : left + cell_width]
        assert (line[:, :CROP_PX] == example.before).all()
        assert (line[:, -CROP_PX - 6 : -6] == example.after).all()


def test_the_command_writes_results_reports_and_the_sheet(tmp_path: Path, tiny_checkpoint: Path) -> None:
    folder, output = tmp_path / "photos", tmp_path / "gallery"
    folder.mkdir()
    random = np.random.default_rng(2)
    write_photo(Photo(pixels=random.integers(0, 255, (72, 80, 3), dtype=np.uint8)), folder / "night.png")
    write_photo(Photo(pixels=random.integers(0, 65535, (80, 72, 1), dtype=np.uint16)), folder / "grey.png")
    assert run(real_gallery, [str(folder), "-o", str(output), "--checkpoint", str(tiny_checkpoint)]) == 0
    with (output / "gallery.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photograph"], row["width"], row["height"]) for row in rows] == [
        ("grey", "72", "80"),
        ("night", "80", "72"),
    ]
    for row in rows:
        assert read_photo(output / "restored" / f"{row['photograph']}.png").pixels.shape[2] == 3
        assert row["report"] == str(inspect(folder / f"{row['photograph']}.png"))
    assert decode_jpeg((output / "gallery.jpg").read_bytes()).shape[0] == CROP_PX + TITLE_PX


def test_a_folder_without_photographs_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(real_gallery, [str(tmp_path), "-o", str(tmp_path / "gallery")]) == 2
    assert "holds no photographs" in capsys.readouterr().err
