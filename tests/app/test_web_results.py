"""What the page makes of photographs, without a browser."""

from pathlib import Path

import numpy as np
import pillow_heif  # noqa: TID253 - makes what it reads
import pytest
from PIL import Image

from unblur.app.web_results import Restorers, Visit, make_preview
from unblur.errors import UnblurError
from unblur.photos.files import read_photo, write_photo
from unblur.photos.photo import Metadata, Photo


@pytest.fixture(scope="module")
def restorers() -> Restorers:
    return Restorers(None, "cpu")


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


def nothing(share: float, name: str) -> None:
    assert 0 <= share <= 1
    assert name


def test_the_page_restores_the_same_pixels_as_the_package(
    visit: Visit, restorers: Restorers, photos: Path, photo: Photo
) -> None:
    lines = visit.restore([photos / "0.png"], "faithful", restorers, nothing)
    assert [line.split(",")[0] for line in lines] == ["0.png: 120 x 120"]
    assert visit.results[0].output.name == "0_unblurred.png"
    expected = restorers.get("faithful").restore_photo(photo).photo.pixels
    np.testing.assert_array_equal(read_photo(visit.results[0].output).pixels, expected)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_strength_equals_that_of_the_command_line_up_to_rounding(
    visit: Visit, restorers: Restorers, photos: Path, photo: Photo, strength: float
) -> None:
    visit.restore([photos / "0.png"], "faithful", restorers, nothing)
    pixels = read_photo(visit.set_strength(0, strength).output).pixels
    expected = restorers.get("faithful").restore_photo(photo, strength).photo.pixels
    assert np.abs(pixels.astype(int) - expected).max() <= (1 if 0 < strength < 1 else 0)
    assert read_photo(visit.results[0].after).pixels.shape == photo.pixels.shape


def test_every_strength_has_a_preview_of_its_own_name(visit: Visit, restorers: Restorers, photos: Path) -> None:
    """Browsers would show a cached picture of the same name."""
    visit.restore([photos / "0.png"], "fast", restorers, nothing)
    written = [
        visit.results[0].after,
        *(visit.set_strength(0, strength).after for strength in (0.5, 0.45, 0.0, 1.0)),
    ]
    assert len(set(written)) == 5
    assert [path for path in written if path.exists()] == [written[-1]]
    assert visit.set_strength(0, 1.0).after.exists()


def test_formats_that_cannot_be_written_become_jpeg(
    visit: Visit, restorers: Restorers, photo: Photo, tmp_path: Path
) -> None:
    pillow_heif.from_pillow(Image.fromarray(photo.pixels)).save(tmp_path / "IMG_1.HEIC")
    visit.restore([tmp_path / "IMG_1.HEIC"], "fast", restorers, nothing)
    assert visit.results[0].output.name == "IMG_1_unblurred_fast.jpg"
    with Image.open(visit.set_strength(0, 0.5).output) as image:
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
    visit.restore([tmp_path / "deep.png"], "faithful", restorers, nothing)
    result = read_photo(visit.set_strength(0, 0.5).output)
    assert result.bit_depth == 16
    assert result.alpha is not None
    np.testing.assert_array_equal(result.alpha, deep.alpha)
    assert result.metadata.exif is not None
    assert b"Maker" in result.metadata.exif


def test_generated_detail_is_marked_unless_strength_is_0(visit: Visit, restorers: Restorers, photos: Path) -> None:
    _, remark = visit.restore([photos / "0.png"], "generative", restorers, nothing)
    assert "Detail was generated" in remark
    assert visit.results[0].output.name == "0_generated.png"
    for strength, marked in ((1.0, True), (0.4, True), (0.0, False)):
        xmp = read_photo(visit.set_strength(0, strength).output).metadata.xmp or b""
        assert (b"compositeWithTrainedAlgorithmicMedia" in xmp) == marked


def test_fidelity_can_be_chosen(visit: Visit, restorers: Restorers, photos: Path, photo: Photo) -> None:
    faithful = restorers.get("faithful").restore_photo(photo).photo.pixels.astype(int)
    far = []
    for fidelity in (0.0, 0.5, 1.0):
        *_, remark = visit.restore([photos / "0.png"], "generative", restorers, nothing, fidelity)
        assert ("Detail was generated" in remark) == (fidelity < 1)
        far.append(float(np.abs(read_photo(visit.results[0].output).pixels - faithful).mean()))
    assert far[0] > far[1] > far[2]
    with pytest.raises(UnblurError, match="fidelity of 2"):
        visit.restore([photos / "0.png"], "generative", restorers, nothing, 2.0)


def test_hardly_changed_photographs_are_reported(visit: Visit, restorers: Restorers, tmp_path: Path) -> None:
    write_photo(Photo(pixels=np.full((64, 64, 3), 30, np.uint8)), tmp_path / "grey.png")
    line, remark = visit.restore([tmp_path / "grey.png"], "faithful", restorers, nothing)
    assert line.endswith("hardly changed")
    assert "sharp already" in remark


def test_one_bad_file_is_reported_and_the_others_are_restored(visit: Visit, restorers: Restorers, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"no picture")
    lines = visit.restore([photos / "bad.jpg", photos / "0.png"], "fast", restorers, nothing)
    assert lines[0].startswith("bad.jpg")
    assert str(photos) not in lines[0]
    assert [result.output.name for result in visit.results] == ["0_unblurred_fast.png"]


def test_photographs_of_equal_names_have_separate_results(
    visit: Visit, restorers: Restorers, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    (photos / "1.png").rename(tmp_path / "other" / "0.png")
    visit.restore([photos / "0.png", tmp_path / "other" / "0.png"], "fast", restorers, nothing)
    one, other = (read_photo(result.output).pixels for result in visit.results)
    assert not np.array_equal(one, other)


def test_stop_returns_finished_results_and_reports_where_it_stopped(
    visit: Visit, restorers: Restorers, photos: Path
) -> None:
    def stop_at_second(_: float, name: str) -> None:
        if name == "1.png":
            visit.stop.set()

    lines = visit.restore([photos / "0.png", photos / "1.png"], "fast", restorers, stop_at_second)
    assert lines[-1] == "Stopped before 1.png was done."
    assert len(visit.results) == 1
    # And the next time it is not stopped any more.
    assert len(visit.restore([photos / "0.png", photos / "1.png"], "fast", restorers, nothing)) == 2


def test_stop_works_while_waiting_for_others(visit: Visit, restorers: Restorers, photos: Path) -> None:
    visit.stop.set()
    assert visit.restore([photos / "0.png"], "fast", restorers, nothing) == ["Stopped before 0.png was done."]


def test_closing_a_visit_removes_all_its_files(
    visit: Visit, restorers: Restorers, photos: Path, tmp_path: Path
) -> None:
    visit.restore([photos / "0.png"], "fast", restorers, nothing)
    visit.restore([photos / "1.png"], "fast", restorers, nothing)
    assert len(list((tmp_path / "visits").glob("*/*"))) == 1
    visit.close()
    assert list((tmp_path / "visits").iterdir()) == []
    assert (photos / "0.png").exists()


@pytest.mark.parametrize("size", [(5000, 4001), (40, 60)])
def test_browsers_are_shown_at_most_sixteen_megapixels(size: tuple[int, int]) -> None:
    ramp = np.linspace(0, 255, size[1])[None, :, None].repeat(size[0], 0).repeat(3, 2).astype(np.uint8)
    small = make_preview(Photo(pixels=ramp, metadata=Metadata(exif=b"Exif\0\0", icc=b"profile")))
    assert small.width * small.height <= 16_000_000
    assert small.metadata == Metadata(icc=b"profile")
    step = size[0] // small.height
    assert np.abs(small.pixels[0, :, 0].astype(float) - ramp[0, step // 2 :: step, 0][: small.width]).max() <= 1
