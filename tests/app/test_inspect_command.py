"""`unblur inspect`, and what `unblur restore` says about blur."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.restoration.test_inspect import pixels_of, scene, shaken
from unblur.app.cli import main


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    (folder / "in side").mkdir(parents=True)
    Image.fromarray(shaken(15, 30)).save(folder / "in side" / "a shaken.png")
    (folder / "broken.jpg").write_bytes(b"not a photograph")
    return folder


def test_each_photograph_has_a_line_and_a_bad_file_does_not_stop_the_others(album, tmp_path, capsys) -> None:
    assert main(["inspect", str(album), "--recursive", "--overlay", str(tmp_path / "overlays")]) == 1
    captured = capsys.readouterr()
    photo = album / "in side" / "a shaken.png"
    assert captured.out.startswith(f"{photo}: shaken: about ")
    assert captured.out.endswith(f"; restore it with `unblur '{photo}'`\n")
    assert "broken.jpg" in captured.err
    assert "1 of 2 photographs could not be inspected." in captured.err
    with Image.open(tmp_path / "overlays" / "in side" / "a shaken.png_blur.jpg") as picture:
        assert picture.size == (320, 240)
    assert sorted(path.name for path in album.rglob("*")) == ["a shaken.png", "broken.jpg", "in side"]


def test_json_has_everything_on_one_line(album, capsys) -> None:
    assert main(["inspect", str(album / "in side" / "a shaken.png"), str(album / "broken.jpg"), "--json"]) == 1
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["status"], first["kind"], second["status"]) == ("ok", "shaken", "failed")
    assert {place["kind"] for place in first["places"]} <= {"sharp", "motion", "out of focus", "unclear"}
    assert "broken.jpg" in second["error"]


def test_nothing_named_is_an_error(capsys) -> None:
    assert main(["inspect"]) == 2
    assert "unblur inspect photo.jpg" in capsys.readouterr().err


def test_a_sharp_photograph_is_left_alone(tmp_path: Path, capsys) -> None:
    photo = tmp_path / "photo.png"
    Image.fromarray(pixels_of(scene())).save(photo)
    assert main([str(photo), "--shake", "off", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.endswith("unchanged, because it is sharp\n")
    with Image.open(tmp_path / "photo_unblurred.png") as result, Image.open(photo) as original:
        assert np.array_equal(np.asarray(result), np.asarray(original))
    assert main([str(photo), "--shake", "off", "--device", "cpu", "--restore-sharp", "--overwrite", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["blur"] == "sharp"
    assert facts["change"] > 0
