"""`unblur patterns` on folders of known motion: the table, the files, and what it says to anything else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from unblur.app.patterns_command import patterns
from unblur.app.simulate_command import simulate
from unblur.checkpoints.folder import save_checkpoint
from unblur.config import from_json
from unblur.errors import UnblurError
from unblur.evaluation.motion_sources import read_known_motion
from unblur.metrics.blur_patterns import BlurPatterns
from unblur.models import MotionEstimatorConfig, build


def write_motion(file: Path, motion: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    half = (motion / 2).astype(np.float32)
    np.savez(file, start=-half, end=half)


@pytest.fixture
def shaken(tmp_path: Path) -> Path:
    """Write four images: moved left, right and down by 10 px, and one at rest."""
    for name, (x, y) in {"a": (-10, 0.1), "b": (10, 0.1), "c": (0.1, 10), "d": (0, 0)}.items():
        write_motion(tmp_path / "shaken" / "motion" / f"{name}.npz", np.broadcast_to([[[x]], [[y]]], (2, 6, 9)))
    return tmp_path / "shaken"


@pytest.fixture(scope="session")
def estimator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a checkpoint that estimates some motion in everything."""
    config = MotionEstimatorConfig(channels=(4, 4, 4, 4), blocks=(1, 1, 1, 1))
    network = build(config)
    torch.nn.init.constant_(network.get_submodule("ending").bias, 0.7)
    folder = tmp_path_factory.mktemp("estimator")
    save_checkpoint(folder, network, config, train_patch_px=64, card="For tests.\n")
    return folder


@pytest.fixture
def diverse(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for number in range(20):
        angle, length = 2 * np.pi * generator.random(), 80 ** generator.random((1, 1))
        motion = np.broadcast_to(np.stack([np.cos(angle) * length, np.sin(angle) * length]), (2, 6, 9))
        write_motion(tmp_path / "diverse" / "motion" / f"{number:02}.npz", motion)
    return tmp_path / "diverse"


def test_a_table_of_one_data_set(shaken: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert patterns([shaken]) == 0
    header, rule, row = capsys.readouterr().out.splitlines()
    assert header.count("|") == rule.count("|") == row.count("|") == 11
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:5] == ["shaken", "4", "75.0", "0.0", "25.0"]
    # Three equal bins of 36, one of 16, and three of 576.
    assert cells[5:] == ["0.307", "0.000", "10.0", "10.0", "0.173"]


def test_several_data_sets_are_compared_with_the_first(
    shaken: Path, diverse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure, numbers = tmp_path / "figure.png", tmp_path / "numbers.json"
    # Another folder of the same name: whole paths tell them apart.
    other = tmp_path / "other" / "shaken"
    other.parent.mkdir()
    other.symlink_to(shaken)
    assert patterns([diverse, shaken, other], output=figure, json=numbers) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:5]] == [str(diverse), str(shaken), str(other)]
    assert figure.read_bytes().startswith(b"\x89PNG")
    measured = from_json(numbers.read_text(), dict[str, BlurPatterns])
    assert {name: data.images for name, data in measured.items()} == {
        str(diverse): 20,
        str(shaken): 4,
        str(other): 4,
    }
    gain = measured[str(diverse)].orientation_entropy - measured[str(shaken)].orientation_entropy
    assert f"{diverse} against {shaken}: orientation broader by {gain:.3f}, magnitude broader by" in lines[-2]


def test_a_smaller_set_is_narrower_and_itself_as_broad(
    shaken: Path, diverse: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "copy" / "motion").mkdir(parents=True)
    for file in (shaken / "motion").iterdir():
        (tmp_path / "copy" / "motion" / file.name).write_bytes(file.read_bytes())
    patterns([shaken, tmp_path / "copy", diverse])
    lines = capsys.readouterr().out.splitlines()
    assert "- shaken against copy: orientation as broad, magnitude as broad." in lines
    assert any(line.startswith("- shaken against diverse: orientation narrower by") for line in lines)


def test_motion_is_sorted_by_name_and_has_its_axes(shaken: Path) -> None:
    images = list(read_known_motion(shaken))
    assert [picture.image for picture in images] == ["a", "b", "c", "d"]
    assert images[2].start.shape == (2, 6, 9)
    assert (images[2].end - images[2].start)[:, 0, 0].tolist() == pytest.approx([0.1, 10])


def test_a_name_cannot_break_the_table(shaken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    patterns([shaken.rename(tmp_path / "a|b\nc")])
    assert r"| a\|b\nc | 4 |" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["nowhere", "empty", "empty/motion"])
def test_a_folder_without_motion_and_photographs_is_refused(tmp_path: Path, folder: str, estimator: Path) -> None:
    (tmp_path / "empty" / "motion").mkdir(parents=True)
    with pytest.raises(UnblurError, match=rf"{folder}( holds no photographs|; give a folder)"):
        patterns([tmp_path / folder], checkpoint=str(estimator), device="cpu")


def test_photographs_are_estimated_and_count_both_ways(tmp_path: Path, make_photo, estimator: Path) -> None:
    for number in range(3):
        make_photo(tmp_path / "pairs" / "blurry" / f"{number}.png", 50, 70)
        make_photo(tmp_path / "flat" / f"{number}.png", 50, 70)
    numbers = tmp_path / "numbers.json"
    sources = [tmp_path / "pairs", tmp_path / "flat" / "0.png", tmp_path / "flat" / "2.png"]
    assert patterns(sources, json=numbers, checkpoint=str(estimator), device="cpu") == 0
    measured = from_json(numbers.read_text(), dict[str, BlurPatterns])
    assert {name: data.images for name, data in measured.items()} == {"pairs": 3, "flat": 2}
    orientation = measured["pairs"].orientation
    assert sum(orientation) == pytest.approx(1)
    assert orientation[:18] == pytest.approx(orientation[18:])


def test_estimates_are_compared_with_known_motion(
    tmp_path: Path, make_photo, estimator: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_photo(tmp_path / "photos" / "a.png", 90, 90)
    simulate(tmp_path / "photos", tmp_path / "shards", pairs=3, size=48, workers=1, quiet=True)
    capsys.readouterr()
    patterns([tmp_path / "shards"], estimate=True, checkpoint=str(estimator), device="cpu")
    assert "- shards: estimated ends lie" in capsys.readouterr().out
    patterns([tmp_path / "shards"])
    assert "estimated" not in capsys.readouterr().out


def test_a_checkpoint_that_restores_estimates_no_motion(shaken: Path, tiny_checkpoint: Path, make_photo) -> None:
    make_photo(shaken.parent / "photos" / "a.png")
    with pytest.raises(UnblurError, match="holds no motion estimator"):
        patterns([shaken.parent / "photos"], checkpoint=str(tiny_checkpoint), device="cpu")


def test_no_source_is_refused() -> None:
    with pytest.raises(UnblurError, match="at least one"):
        patterns([])


@pytest.mark.parametrize(
    "content", [b"", b"no archive", b"PK\x03\x04 cut short", "without end", "text", "pickled", "flipped", "npy"]
)
def test_a_damaged_file_is_named(shaken: Path, content: bytes | str) -> None:
    file = shaken / "motion" / "b.npz"
    zeros = np.zeros((2, 3, 4), np.float32)
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "without end":
        np.savez(file, start=zeros)
    elif content == "text":
        np.savez(file, start=zeros, end=np.array(["a"]))
    elif content == "pickled":
        np.savez(file, start=zeros, end=np.array([{}]))
    elif content == "flipped":
        np.savez_compressed(file, start=np.random.default_rng(0).random((2, 30, 40)), end=zeros)
        data = bytearray(file.read_bytes())
        data[300:340] = bytes(255 - byte for byte in data[300:340])
        file.write_bytes(data)
    else:
        with file.open("wb") as stream:
            np.save(stream, zeros)
    with pytest.raises(UnblurError, match=r"motion/b\.npz cannot be read as motion \(.*must hold the arrays start"):
        patterns([shaken])


def test_impossible_motion_is_reported_with_its_image(shaken: Path) -> None:
    write_motion(shaken / "motion" / "c.npz", np.full((2, 3, 4), np.nan))
    with pytest.raises(UnblurError, match="shaken, image c: Offsets hold numbers that are not finite"):
        patterns([shaken])


def test_an_impossible_figure_is_refused_before_measuring(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UnblurError, match=r"as \.png or \.svg"):
        patterns([tmp_path / "nowhere"], output=tmp_path / "figure.pdf")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("option", ["output", "json"])
def test_an_unwritable_output_is_reported_in_a_sentence(shaken: Path, tmp_path: Path, option: str) -> None:
    with pytest.raises(UnblurError, match=r"file\.svg cannot be written: No such file or directory"):
        patterns([shaken], **{option: tmp_path / "nowhere" / "file.svg"})
