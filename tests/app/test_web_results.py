"""The page restores photographs and writes results; tested without a browser."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif  # noqa: TID253 - makes what it reads
import pytest
from PIL import Image

from unblur.app.restorers import Restorers
from unblur.app.web.results import BLENDED, PART_PX, Choices, Part, check_part, find_preview_step, make_preview
from unblur.app.web.views import list_remarks
from unblur.app.web.visit import Visit
from unblur.errors import UnblurError
from unblur.photos.photo import Metadata, Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo
from unblur.restoration.loading import load
from unblur.restoration.picture_restorer import Restoration

pytestmark = pytest.mark.usefixtures("remembered_shakes")


@pytest.fixture(scope="module")
def restorers() -> Restorers:
    return Restorers(None, "cpu", BLENDED)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Write a folder of two photographs with edges, so small that networks restore them in little time."""
    (tmp_path / "photos").mkdir()
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 255, (12, 12, 3), dtype=np.uint8)
        write_photo(Photo(pixels=coarse.repeat(10, 0).repeat(10, 1)), tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    (tmp_path / "visits").mkdir()
    return Visit(tmp_path / "visits")


@pytest.fixture
def photo(photos: Path) -> Photo:
    return read_photo(photos / "0.png")


def restore(visit: Visit, restorers: Restorers, *sources: Path, **choices: Any) -> None:
    visit.bring(list(sources))
    for progress in visit.restore(visit.photos, Choices(**choices), restorers):
        assert progress is None or 0 <= progress.share <= 1
        assert progress is None or progress.name in {source.name for source in sources}


def test_the_page_restores_the_same_pixels_as_the_package(
    visit: Visit, restorers: Restorers, photos: Path, photo: Photo
) -> None:
    restore(visit, restorers, photos / "0.png", mode="faithful")
    assert (visit.results[0].width, visit.results[0].height) == (120, 120)
    assert visit.results[0].output.name == "0_unblurred.png"
    expected = restorers.get("faithful").restore_photo(photo).photo.pixels
    np.testing.assert_array_equal(read_photo(visit.results[0].output).pixels, expected)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_equals_that_of_the_command_line_up_to_rounding(
    visit: Visit, restorers: Restorers, photos: Path, photo: Photo, strength: float
) -> None:
    restore(visit, restorers, photos / "0.png", mode="faithful")
    pixels = read_photo(visit.blend(visit.results[0], strength, 0.5).output).pixels
    expected = restorers.get("faithful").restore_photo(photo, strength).photo.pixels
    assert np.abs(pixels.astype(int) - expected).max() <= (1 if 0 < strength < 1 else 0)
    assert visit.results[0].choices.strength == strength
    assert read_photo(visit.results[0].after).pixels.shape == photo.pixels.shape


def test_the_strength_can_be_chosen_before(visit: Visit, restorers: Restorers, photos: Path, photo: Photo) -> None:
    restore(visit, restorers, photos / "0.png", mode="fast", strength=0.0)
    np.testing.assert_array_equal(read_photo(visit.results[0].output).pixels, photo.pixels)
    with pytest.raises(UnblurError, match="strength of 2"):
        visit.blend(visit.results[0], 2.0, 0.5)


def test_formats_that_cannot_be_written_become_jpeg(
    visit: Visit, restorers: Restorers, photo: Photo, tmp_path: Path
) -> None:
    pillow_heif.from_pillow(Image.fromarray(photo.pixels)).save(tmp_path / "IMG_1.HEIC")
    restore(visit, restorers, tmp_path / "IMG_1.HEIC", mode="fast")
    assert visit.results[0].output.name == "IMG_1_unblurred_fast.jpg"
    with Image.open(visit.blend(visit.results[0], 0.5, 0.5).output) as image:
        assert (image.format, image.size) == ("JPEG", (120, 120))


def test_depth_transparency_and_metadata_are_preserved(visit: Visit, restorers: Restorers, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    deep = Photo(
        pixels=rng.integers(0, 65535, (64, 80, 3), dtype=np.uint16),
        alpha=np.full((64, 80), 40000, np.uint16),
        metadata=Metadata(exif=exif.tobytes()),
    )
    write_photo(deep, tmp_path / "deep.png")
    restore(visit, restorers, tmp_path / "deep.png", mode="faithful")
    result = read_photo(visit.blend(visit.results[0], 0.5, 0.5).output)
    assert result.bit_depth == 16
    assert result.alpha is not None
    np.testing.assert_array_equal(result.alpha, deep.alpha)
    assert result.metadata.exif is not None
    assert b"Maker" in result.metadata.exif


@pytest.mark.slow
def test_fidelity_equals_that_of_the_command_line_up_to_rounding(
    visit: Visit, restorers: Restorers, photos: Path, photo: Photo
) -> None:
    """Although it is chosen after the restoration."""
    restore(visit, restorers, photos / "0.png", mode="generative", fidelity=1.0)
    assert visit.results[0].output.name == "0_generated.png"
    assert list_remarks(visit.results) == []
    generative = load(device="cpu", mode="generative")
    expected = {
        fidelity: generative.with_fidelity(fidelity).restore_photo(photo).photo.pixels.astype(int)
        for fidelity in (0.0, 0.5, 1.0)
    }
    # Values below black and above white are clipped before blending.
    inside = np.all([(expected[fidelity] > 0) & (expected[fidelity] < 255) for fidelity in (0.0, 1.0)], axis=0)
    assert inside.mean() > 0.5
    for fidelity, pixels in expected.items():
        blended = read_photo(visit.blend(visit.results[0], 1.0, fidelity).output).pixels
        assert np.abs(blended - pixels)[inside].max() <= 1
    for strength, marked in ((1.0, True), (0.4, True), (0.0, False)):
        result = visit.blend(visit.results[0], strength, 0.5)
        xmp = read_photo(result.output).metadata.xmp or b""
        assert (b"compositeWithTrainedAlgorithmicMedia" in xmp) == marked
        assert any("Detail was generated" in remark for remark in list_remarks(visit.results)) == marked


def test_choices_out_of_range_are_refused() -> None:
    with pytest.raises(UnblurError, match="no mode 'best'"):
        Choices(mode="best")  # type: ignore[arg-type]
    with pytest.raises(UnblurError, match="fidelity of 2"):
        Choices(fidelity=2.0)
    with pytest.raises(UnblurError, match="strength of -1"):
        Choices(strength=-1.0)


def test_hardly_changed_photographs_are_reported(visit: Visit, restorers: Restorers, tmp_path: Path) -> None:
    write_photo(Photo(pixels=np.full((64, 64, 3), 30, np.uint8)), tmp_path / "grey.png")
    restore(visit, restorers, tmp_path / "grey.png", mode="faithful")
    assert visit.results[0].facts == ("hardly changed",)
    assert "sharp already" in list_remarks(visit.results)[0]


def test_one_bad_file_is_reported_and_the_others_are_restored(visit: Visit, restorers: Restorers, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    restore(visit, restorers, photos / "bad.jpg", photos / "0.png", mode="fast")
    problem = visit.problems[photos / "bad.jpg"]
    assert problem.startswith("bad.jpg")
    assert problem.count("bad.jpg") == 1
    assert str(photos) not in problem
    assert [result.output.name for result in visit.results] == ["0_unblurred_fast.png"]


def test_photographs_of_equal_names_have_separate_results(
    visit: Visit, restorers: Restorers, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (photos / "1.png").rename(tmp_path / "other" / "0.png")
    restore(visit, restorers, photos / "0.png", tmp_path / "other" / "0.png", mode="fast")
    one, other = (read_photo(result.output).pixels for result in visit.results)
    assert not np.array_equal(one, other)


def test_stop_returns_finished_results_and_reports_where_it_stopped(
    visit: Visit, restorers: Restorers, photos: Path
) -> None:
    visit.bring([photos / "0.png", photos / "1.png"])
    for progress in visit.restore(visit.photos, Choices(mode="fast"), StopsAtSecond(visit)):
        assert progress is None or progress.count == 2
    assert visit.stopped_at == photos / "1.png"
    assert len(visit.results) == 1
    # And the next time it is not stopped any more.
    restore(visit, restorers, photos / "0.png", photos / "1.png", mode="fast")
    assert len(visit.results) == 2
    assert visit.stopped_at is None


class StopsAtSecond(Restorers):
    """Restorers whose visitor presses Stop during the second photograph."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(None, "cpu")
        self.visit, self.count = visit, 0

    def get(self, *_):  # type: ignore[no-untyped-def]
        return self

    def restore_photo(self, photo: Photo, progress) -> Restoration:  # type: ignore[no-untyped-def]
        self.count += 1
        if self.count == 2:
            self.visit.stop.set()
        progress(1.0)
        return Restoration(photo=photo, seconds=1.0, tile_px=0, strength=1.0, change=0.0, fallback_share=0.0)


def test_stop_works_while_waiting_for_others(visit: Visit, restorers: Restorers, photos: Path) -> None:
    visit.stop.set()
    restore(visit, restorers, photos / "0.png", mode="fast")
    assert (visit.stopped_at, visit.results) == (photos / "0.png", [])


def test_all_results_are_packed_under_names_of_their_own(
    visit: Visit, restorers: Restorers, photos: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnblurError, match="no result yet"):
        visit.pack()
    (tmp_path / "other").mkdir()
    (photos / "1.png").rename(tmp_path / "other" / "0.png")
    restore(visit, restorers, photos / "0.png", tmp_path / "other" / "0.png", mode="fast")
    with zipfile.ZipFile(visit.pack()) as archive:
        assert archive.namelist() == ["0_unblurred_fast.png", "0_unblurred_fast (2).png"]
        for name, result in zip(archive.namelist(), visit.results, strict=True):
            assert archive.read(name) == result.output.read_bytes()


@pytest.mark.parametrize(
    ("x", "y", "left", "top"), [(0.5, 0.5, 180, 30), (0.0, 1.0, 0, 60), (1.0, 0.0, 360, 0), (0.4, 0.5, 80, 30)]
)
def test_parts_lie_inside_the_photograph(x: float, y: float, left: int, top: int) -> None:
    width, height = 1000, PART_PX + 60
    places = np.arange(width * height, dtype=np.uint32).reshape(height, width)
    pixels = np.stack([places // 65536, places // 256 % 256, places % 256], axis=2).astype(np.uint8)
    part = check_part(x, y).cut(Photo(pixels=pixels))
    np.testing.assert_array_equal(part.pixels, pixels[top : top + PART_PX, left : left + PART_PX])
    small = Photo(pixels=pixels[:50, :70])
    np.testing.assert_array_equal(check_part(x, y).cut(small).pixels, small.pixels)


@pytest.mark.parametrize("place", [(-0.1, 0.5), (0.5, 2), (None, 0.5), ("0.5", 0.5), (float("nan"), 0.5)])
def test_impossible_places_are_refused(place: tuple[object, object]) -> None:
    with pytest.raises(UnblurError, match="no part of the photograph"):
        check_part(*place)


def test_a_part_is_restored_without_touching_the_results(visit: Visit, restorers: Restorers, photos: Path) -> None:
    restore(visit, restorers, photos / "0.png", mode="fast")
    results = list(visit.results)
    assert list(visit.restore([photos / "0.png"], Choices(mode="fast"), restorers, Part(x=0.5, y=0.5)))
    assert visit.trial is not None
    assert visit.trial.part == Part(x=0.5, y=0.5)
    assert visit.results == results
    assert results[0].output.exists()
    # The time of the part says how long larger photographs take.
    assert restorers.speeds.estimate_s("fast", "auto", 120 * 120) == pytest.approx(visit.trial.seconds)
    restore(visit, restorers, photos / "0.png", mode="fast")
    assert visit.trial is None


def test_closing_a_visit_removes_all_its_files(
    visit: Visit, restorers: Restorers, photos: Path, tmp_path: Path
) -> None:
    restore(visit, restorers, photos / "0.png", mode="fast")
    restore(visit, restorers, photos / "1.png", mode="fast")
    assert len(list((tmp_path / "visits").glob("*/*"))) == 1
    visit.close()
    assert list((tmp_path / "visits").iterdir()) == []
    assert (photos / "0.png").exists()


@pytest.mark.parametrize("size", [(500, 401), (40, 60)])
def test_browsers_are_shown_at_most_so_many_pixels(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unblur.app.web.results.SHOWN_PX", 50_000)
    ramp = np.linspace(0, 255, size[1])[None, :, None].repeat(size[0], 0).repeat(3, 2).astype(np.uint8)
    small = make_preview(Photo(pixels=ramp, metadata=Metadata(exif=b"Exif\0\0", icc=b"profile")))
    assert small.width * small.height <= 50_000
    assert small.metadata == Metadata(icc=b"profile")
    step = find_preview_step(size[1], size[0])
    assert step == size[0] // small.height
    assert np.abs(small.pixels[0, :, 0].astype(float) - ramp[0, step // 2 :: step, 0][: small.width]).max() <= 1


def test_previews_of_transparent_photographs_are_on_white() -> None:
    pixels = np.full((2, 2, 3), 100, np.uint8)
    alpha = np.array([[0, 255], [255, 51]], np.uint8)
    preview = make_preview(Photo(pixels=pixels, alpha=alpha))
    assert preview.alpha is None
    np.testing.assert_array_equal(preview.pixels[..., 0], [[255, 100], [100, 224]])
