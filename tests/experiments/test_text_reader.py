"""Readings: counted as Levenshtein counted, in the order in which people read, and right on what is drawn sharp."""

import sys

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from experiments.text_reader import (
    TextReader,
    compute_character_accuracy,
    compute_edit_distance,
    normalize_text,
    sort_in_reading_order,
)
from unblur.errors import UnblurError
from unblur.photos.lettering import draw_line

SHORT = st.text("abc", max_size=4)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    return TextReader()


def brute_force(first: str, second: str) -> int:
    """The definition: every way to edit is tried."""
    if not first or not second:
        return len(first) + len(second)
    return min(
        brute_force(first[1:], second) + 1,
        brute_force(first, second[1:]) + 1,
        brute_force(first[1:], second[1:]) + (first[0] != second[0]),
    )


def printed(*places: tuple[str, int, int], size: tuple[int, int] = (160, 320)) -> Tensor:
    """Dark red capitals of 20 pixels on light blue paper, at (left, top). (3, H, W)."""
    coverage = torch.zeros(size)
    for text, left, top in places:
        line = draw_line(text, "sans", 20)
        coverage[top : top + line.shape[0], left : left + line.shape[1]] = line
    paper, ink = torch.tensor([0.7, 0.8, 0.9]).view(3, 1, 1), torch.tensor([0.4, 0.0, 0.0]).view(3, 1, 1)
    return paper + coverage * (ink - paper)


@given(SHORT, SHORT)
def test_the_distance_is_the_fewest_edits_and_symmetric(first: str, second: str) -> None:
    assert compute_edit_distance(first, second) == compute_edit_distance(second, first) == brute_force(first, second)


@given(st.text(), st.text(min_size=1))
def test_an_accuracy_is_a_share(read: str, truth: str) -> None:
    assume(normalize_text(truth))
    assert 0 <= compute_character_accuracy(read, truth) <= 1
    assert compute_character_accuracy(truth, truth) == 1
    assert compute_character_accuracy("", truth) == 0


@pytest.mark.parametrize("truth", ["", " \n "])
def test_a_truth_without_characters_is_refused(truth: str) -> None:
    with pytest.raises(UnblurError, match="holds no characters"):
        compute_character_accuracy("EXIT", truth)


@pytest.mark.parametrize(
    ("read", "truth", "accuracy"),
    [
        ("no parking", "NO\nPARKING", 1.0),
        ("ＮＯ　ＰＡＲＫＩＮＧ", "No parking", 1.0),  # noqa: RUF001 - full width, as readers trained on Chinese write
        ("N0 PARKING", "NO PARKING", 8 / 9),
        ("PARKING", "NO PARKING", 7 / 9),
        ("EXIT or anything else", "EXIT", 0.0),
    ],
)
def test_accuracy_of_known_readings(read: str, truth: str, accuracy: float) -> None:
    assert compute_character_accuracy(read, truth) == pytest.approx(accuracy)


def test_boxes_are_read_by_rows() -> None:
    high, left, right, low = (90, 0, 200, 20), (5, 42, 60, 60), (80, 38, 150, 62), (0, 70, 40, 90)
    assert sort_in_reading_order([low, right, high, left]) == [[2], [3, 1], [0]]
    assert sort_in_reading_order([]) == []


def test_sharp_text_is_read_in_reading_order(reader: TextReader) -> None:
    picture = printed(("EXIT 42", 12, 20), ("B7", 250, 24), ("No parking", 40, 100))
    assert compute_character_accuracy(reader.read(picture), "EXIT 42 B7 No parking") == 1
    assert [len(row) > 0 for row in reader.read(picture).split("\n")] == [True, True]


def test_the_same_picture_is_read_the_same(reader: TextReader) -> None:
    noise = torch.randn(3, 160, 320, generator=torch.Generator().manual_seed(0))
    noisy = printed(("MARKET 1788", 30, 50)) + 0.1 * noise
    before = noisy.clone()
    assert reader.read(noisy) == reader.read(noisy) == TextReader(threads=2).read(noisy) != ""
    assert torch.equal(noisy, before)


def test_nothing_is_read_where_nothing_is_written(reader: TextReader) -> None:
    assert reader.read(torch.full((3, 90, 120), 0.5)) == ""
    assert reader.read(torch.zeros(3, 1, 1)) == ""


@pytest.mark.parametrize(
    "image",
    [torch.zeros(1, 3, 64, 64), torch.zeros(1, 64, 64), torch.zeros(3, 0, 64), torch.zeros(3, 64, 64).byte()],
)
def test_invalid_images_are_refused(reader: TextReader, image: Tensor) -> None:
    with pytest.raises(UnblurError, match=r"Text is read in one image \(3, H, W\)"):
        reader.read(image)


def test_damaged_numbers_are_refused(reader: TextReader) -> None:
    with pytest.raises(UnblurError, match="NaN"):
        reader.read(torch.full((3, 64, 64), torch.nan))


def test_fewer_threads_than_none_are_refused() -> None:
    with pytest.raises(UnblurError, match="-1 threads"):
        TextReader(threads=-1)


@pytest.mark.parametrize("missing", ["rapidocr", "onnxruntime"])
def test_a_missing_extra_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing == "onnxruntime":
        pytest.importorskip("rapidocr")
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UnblurError, match=rf"{missing} is not installed; run: pip install 'unblur\[ocr\]'"):
        TextReader()
