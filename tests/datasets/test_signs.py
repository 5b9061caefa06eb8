"""Signs: the same everywhere, known by their text, and blurred more with every severity."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from unblur.blur import Camera
from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.datasets.signs import MARGIN_PX, WORDS, Sign, SignSettings, draw_sign, draw_signs, render_sign_pairs
from unblur.datasets.simulated import PatchSampling
from unblur.datasets.sources import TO_LEARN
from unblur.datasets.validation import ValidationSet
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo

SETTINGS = SignSettings()


@pytest.fixture
def photos(tmp_path: Path) -> PhotoFolder:
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    write_photo(Photo(pixels=pixels), tmp_path / "wall.png")
    return PhotoFolder(tmp_path)


def test_severities_are_those_of_the_validation_set() -> None:
    assert SETTINGS.severities == ValidationSet().severities


@pytest.mark.slow
def test_a_sign_depends_on_seed_and_number_only() -> None:
    *_, last = render_sign_pairs(2, SETTINGS)
    again = draw_sign(1, SETTINGS)
    assert torch.equal(last.pair.sharp, again.picture)
    assert last.text == again.text
    (blurry,) = (pair.pair.blurry for pair in render_sign_pairs(2, SETTINGS) if pair.pair.name == last.pair.name)
    assert torch.equal(last.pair.blurry, blurry)
    assert draw_sign(1, replace(SETTINGS, seed=1)).text != again.text != draw_sign(0, SETTINGS).text


def test_signs_have_text_away_from_the_border(photos: PhotoFolder) -> None:
    for number in range(10):
        shown, bare = draw_sign(number, SETTINGS, photos), draw_sign(number, SETTINGS)
        assert shown.text == bare.text
        assert 1 <= len(shown.text.split("\n")) <= 3
        assert all(line.strip() == line != "" for line in shown.text.split("\n"))
        assert shown.picture.shape == (3, 256, 384)
        assert torch.equal((shown.picture * 255).round() / 255, shown.picture)
        top, left, height, width = shown.board
        assert torch.equal(*(p[:, top : top + height, left : left + width] for p in (shown.picture, bare.picture)))
        # Before another background the sign is the same, and away from it nothing is.
        same = (shown.picture == bare.picture).all(0)
        rows, columns = same.sum(1) > 20, same.sum(0) > 20
        assert 0 < rows.sum() < 256
        assert not rows[:MARGIN_PX].any()
        assert not rows[-MARGIN_PX:].any()
        assert not columns[:MARGIN_PX].any()
        assert not columns[-MARGIN_PX:].any()


def test_each_severity_blurs_more() -> None:
    errors: dict[str, float] = dict.fromkeys((name for name, _ in SETTINGS.severities), 0.0)
    for item in render_sign_pairs(3, SETTINGS):
        errors[item.pair.name.split("_")[0]] += float((item.pair.blurry - item.pair.sharp).square().mean())
    assert list(errors.values()) == sorted(set(errors.values()))


def test_a_photograph_smaller_than_the_picture_is_refused(photos: PhotoFolder) -> None:
    with pytest.raises(UnblurError, match=r"wall\.png is 400 x 300 pixels"):
        draw_sign(0, replace(SETTINGS, width_px=500), photos)


@pytest.mark.parametrize("count", [0, -3])
def test_no_signs_are_refused(count: int) -> None:
    with pytest.raises(UnblurError, match="at least 1"):
        next(render_sign_pairs(count, SETTINGS))


@pytest.mark.parametrize("size", [{"width_px": 150}, {"height_px": 100}])
def test_letters_that_do_not_fit_are_refused(size: dict[str, int]) -> None:
    with pytest.raises(UnblurError, match="do not fit on a sign"):
        draw_sign(0, replace(SETTINGS, capital_px=(40, 40), **size))


@pytest.mark.slow
def test_signs_to_learn_have_neither_the_fonts_nor_the_words_of_those_to_be_read(photos: PhotoFolder) -> None:
    small = replace(TO_LEARN, height_px=256, width_px=384)
    assert not set(TO_LEARN.fonts) & set(SETTINGS.fonts)
    shown = {word.upper() for number in range(20) for word in draw_sign(number, small, photos).text.split()}
    words = {word for word in shown if word.isalpha()}
    # Among two random letters there may be a word.
    assert len(words) > 30
    assert not {word for word in words if len(word) > 2} & set(WORDS.split())


def test_drawn_signs_are_reproducible_and_equally_frequent(photos: PhotoFolder) -> None:
    small = replace(TO_LEARN, height_px=256, width_px=384)
    first, again = (draw_signs(3, small, photos) for _ in range(2))
    assert first.names == again.names
    assert len(set(first.names)) == 3
    assert torch.equal(torch.stack(list(first.photos)), torch.stack(again.photos[::-1][::-1]))
    assert torch.equal(first.photos[1].float() / 255, draw_sign(1, small, photos).picture)
    assert first.weights.tolist() == pytest.approx([1 / 3] * 3)
    assert first.shortest_side_px == 256
    with pytest.raises(IndexError):
        first.photos[3]


def test_signs_are_drawn_when_they_are_needed_and_once_by_any_number_of_threads(
    photos: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[int] = []

    def counted(number: int, *others: Any) -> Sign:
        drawn.append(number)
        return draw_sign(number, *others)

    monkeypatch.setattr("unblur.datasets.signs.draw_sign", counted)
    signs = draw_signs(10_000, replace(TO_LEARN, height_px=256, width_px=384), photos)
    pairs = SimulatedPairs(signs, Camera(), PatchSampling(patch_px=64), seed=1)
    with ThreadPoolExecutor(4) as threads:
        shown = list(threads.map(signs.photos.__getitem__, [5, 7, 5, 7, 5]))
    assert torch.equal(shown[0], shown[4])
    record = pairs.draw(0)
    assert torch.equal(pairs.expose(record).sharp, pairs[0].sharp)
    assert sorted(drawn) == sorted({0, 5, 7, int(record.photo.removeprefix("sign_"))})


def test_signs_that_cannot_be_drawn_are_refused_at_once(photos: PhotoFolder) -> None:
    with pytest.raises(UnblurError, match="do not fit"):
        draw_signs(3, replace(TO_LEARN, capital_px=(200.0, 200.0)), photos)
