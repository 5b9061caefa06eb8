"""Metadata of a file are in the result, or are named as left behind; nothing is invented."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from formats_here import WRITTEN_FOR_PILLOW
from made_files import chunk, directory, entry, exif, jpeg, png, segment, tiff, with_segments
from PIL import Image, ImageCms, IptcImagePlugin
from smooth_picture import smooth

from unblur.errors import UnblurError
from unblur.photos.photo import Metadata, Photo, Resolution, Text
from unblur.photos.reading import read_photo
from unblur.photos.writing import list_left_behind, write_photo

SUFFIXES = [suffix for suffix in WRITTEN_FOR_PILLOW if suffix not in (".jpeg", ".tiff")]
X, Y, UNIT = 0x011A, 0x011B, 0x0128
MAKE, ARTIST, COPYRIGHT, RATING, UNKNOWN = 0x010F, 0x013B, 0x8298, 0x4746, 0xBEEF


def through(data: bytes, source: Path, target: str) -> Path:
    """The file that is written, with the suffix `target`, of what is read from `data`."""
    source.write_bytes(data)
    written = source.with_name(f"out{target}")
    write_photo(read_photo(source), written)
    return written


def dots_per_inch(path: Path) -> tuple[float, float] | None:
    """Read the resolution with Pillow, from the format itself or from EXIF."""
    with Image.open(path) as image:
        if "dpi" in image.info:
            return tuple(float(value) for value in image.info["dpi"])
        tags = image.getexif()
        return (float(tags[X]), float(tags[Y])) if X in tags else None


# --- resolution ----------------------------------------------------------------------------------------------

JFIF_300 = jpeg().replace(b"JFIF\0\1\1\0\0\1\0\1", b"JFIF\0\1\1\1" + struct.pack(">HH", 300, 300), 1)
RATIO_300 = struct.pack("<II", 300, 1)
EXIF_300 = exif(
    entry(X, 5, 1, 8 + 2 + 36 + 4), entry(Y, 5, 1, 8 + 2 + 36 + 4), entry(UNIT, 3, 1, b"\2\0"), more=RATIO_300
)
WITH_300_DPI = {
    "jfif.jpg": JFIF_300,
    "exif.jpg": with_segments(jpeg(), segment(0xE1, EXIF_300)),
    "phys.png": png(chunk(b"pHYs", struct.pack(">IIB", 11811, 11811, 1))),
    "exif.png": png(chunk(b"eXIf", EXIF_300[6:])),
    "tags.tif": tiff(((X, 5, 1, RATIO_300), (Y, 5, 1, RATIO_300), (UNIT, 3, 1, b"\2\0"))),
}


@pytest.mark.parametrize("name", WITH_300_DPI)
@pytest.mark.parametrize("target", SUFFIXES)
def test_300_dots_per_inch_are_preserved(tmp_path: Path, name: str, target: str) -> None:
    assert dots_per_inch(through(WITH_300_DPI[name], tmp_path / name, target)) == pytest.approx((300, 300), abs=0.01)


def test_units_and_unequal_resolutions_are_preserved(tmp_path: Path) -> None:
    odd = png(chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)))
    for suffix in (".png", ".jpg", ".tif"):
        resolution = read_photo(through(odd, tmp_path / "in.png", suffix)).metadata.resolution
        assert resolution is not None
        assert resolution.unit == "none"
        assert resolution.x / resolution.y == 2
    centimetres = JFIF_300.replace(b"JFIF\0\1\1\1", b"JFIF\0\1\1\2", 1)
    stays = read_photo(through(centimetres, tmp_path / "in.jpg", ".jpg")).metadata.resolution
    assert stays == Resolution(x=300, y=300, unit="centimetre")
    assert dots_per_inch(through(centimetres, tmp_path / "in.jpg", ".png")) == pytest.approx((762, 762), abs=0.02)


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("name", ["in.jpg", "in.png", "in.tif"])
def test_files_without_a_resolution_get_none(tmp_path: Path, name: str, target: str) -> None:
    made = {"in.jpg": jpeg, "in.png": png, "in.tif": tiff}[name]()
    written = through(made, tmp_path / name, target)
    assert read_photo(written).metadata == Metadata()
    assert b"Exif\0\0" not in written.read_bytes()
    with Image.open(written) as image:
        about_pixels = set(range(0x100, 0x120)) | {0x0152, 0x0153, 0x013D, 0x011C} if target == ".tif" else set()
        assert set(image.getexif()) - about_pixels == set()
    assert dots_per_inch(written) in (None, (1, 1))


# --- colours of PNG ------------------------------------------------------------------------------------------

P3_CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
SRGB_CHRM = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def profile_of(path: Path) -> ImageCms.core.CmsProfile:
    with Image.open(path) as image:
        return ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"])).profile


@pytest.mark.parametrize("target", [".png", ".jpg", ".tif"])
def test_code_points_of_display_p3_become_its_profile(tmp_path: Path, target: str) -> None:
    written = through(png(chunk(b"cICP", bytes([12, 13, 0, 1]))), tmp_path / "in.png", target)
    assert profile_of(written).red_colorant[0][:2] == pytest.approx((0.5151, 0.2412), abs=1e-3)


@pytest.mark.parametrize("target", [".png", ".jpg", ".tif"])
def test_gamma_and_primaries_become_a_profile(tmp_path: Path, target: str) -> None:
    data = png(chunk(b"gAMA", struct.pack(">I", 100_000)), chunk(b"cHRM", P3_CHRM))
    profile = profile_of(through(data, tmp_path / "in.png", target))
    # The colorants of Apple's Display P3.icc, and light itself.
    assert profile.red_colorant[0][:2] == pytest.approx((0.5151, 0.2412), abs=2e-3)
    assert profile.blue_colorant[0] == pytest.approx((0.1571, 0.0666, 0.7841), abs=2e-3)
    grey = np.full((8, 8, 3), 128, np.uint8)
    image = Image.fromarray(grey)
    made = ImageCms.ImageCmsProfile(io.BytesIO(read_photo(tmp_path / f"out{target}").metadata.icc))
    shown = ImageCms.profileToProfile(image, made, ImageCms.createProfile("sRGB"))
    # Half of the light is 188 in sRGB.
    assert np.abs(np.asarray(shown).astype(int) - 188).max() <= 1


def test_grey_with_a_gamma_gets_a_profile_of_grey(tmp_path: Path) -> None:
    grey = png(chunk(b"gAMA", struct.pack(">I", 100_000)), pixels=smooth()[:, :, 0])
    assert profile_of(through(grey, tmp_path / "in.png", ".png")).xcolor_space.strip() == "GRAY"


@pytest.mark.parametrize(
    "chunks",
    [
        (chunk(b"gAMA", struct.pack(">I", 45_455)),),
        (chunk(b"gAMA", struct.pack(">I", 45_455)), chunk(b"cHRM", SRGB_CHRM)),
        (chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 45_455)), chunk(b"cHRM", SRGB_CHRM)),
        (chunk(b"cICP", bytes([1, 13, 0, 1])),),
        (chunk(b"gAMA", struct.pack(">I", 0)),),
        (chunk(b"cHRM", bytes(32)),),
    ],
)
def test_srgb_and_invalid_colours_get_no_profile(tmp_path: Path, chunks: tuple[bytes, ...]) -> None:
    (tmp_path / "in.png").write_bytes(png(*chunks))
    assert read_photo(tmp_path / "in.png").metadata.icc is None


@pytest.mark.parametrize(("points", "said"), [((9, 16), "HDR .*PQ"), ((9, 18), "HDR .*HLG"), ((9, 1), "primaries 9")])
def test_hdr_is_refused_as_in_avif(tmp_path: Path, points: tuple[int, int], said: str) -> None:
    (tmp_path / "in.png").write_bytes(png(chunk(b"cICP", bytes([*points, 0, 1]))))
    with pytest.raises(UnblurError, match=said):
        read_photo(tmp_path / "in.png")


def test_the_precedence_of_colour_chunks(tmp_path: Path) -> None:
    """Code points, then a profile, then sRGB, then gamma: section 4.3 of the PNG specification."""
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = chunk(b"iCCP", b"x\0\0" + zlib.compress(icc))
    (tmp_path / "in.png").write_bytes(png(profile, chunk(b"gAMA", struct.pack(">I", 100_000))))
    assert read_photo(tmp_path / "in.png").metadata.icc == icc
    (tmp_path / "in.png").write_bytes(png(chunk(b"cICP", bytes([12, 13, 0, 1])), profile))
    assert read_photo(tmp_path / "in.png").metadata.icc not in (icc, None)


# --- texts ---------------------------------------------------------------------------------------------------

TEXTS = (
    chunk(b"tEXt", b"Author\0Zo\xeb"),
    chunk(b"zTXt", b"Copyright\0\0" + zlib.compress(b"2026 Zo\xeb")),
    chunk(b"iTXt", b"Title\0\0\0\0\0" + "Hafen 東京".encode()),
    chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress("spät".encode())),
    chunk(b"tEXt", b"Weather\0rain"),
)
PNG_TEXTS = {"Author": "Zoë", "Copyright": "2026 Zoë", "Title": "Hafen 東京", "Comment": "spät", "Weather": "rain"}


def test_texts_of_a_png_are_preserved_in_a_png(tmp_path: Path) -> None:
    written = through(png(*TEXTS), tmp_path / "in.png", ".png")
    with Image.open(written) as image:
        assert {key: str(value) for key, value in image.text.items()} == PNG_TEXTS
    assert list_left_behind(read_photo(tmp_path / "in.png"), written) == ()


@pytest.mark.parametrize("target", [".jpg", ".tif", ".webp", ".avif"])
def test_texts_are_converted_for_other_formats_or_reported(tmp_path: Path, target: str) -> None:
    written = through(png(*TEXTS), tmp_path / "in.png", target)
    with Image.open(written) as image:
        tags = image.getexif()
        text = {tag: tags[tag].encode("latin-1").decode() if isinstance(tags[tag], str) else tags[tag] for tag in tags}
        assert (text[ARTIST], text[COPYRIGHT], text[0x010E]) == ("Zoë", "2026 Zoë", "Hafen 東京")
        assert (image.info.get("comment") == "spät".encode()) == (target == ".jpg")
    lost = {'the text "Weather"'} | (set() if target == ".jpg" else {'the text "Comment"'})
    assert set(list_left_behind(read_photo(tmp_path / "in.png"), written)) == lost


def test_comments_of_a_jpeg_are_preserved(tmp_path: Path) -> None:
    data = with_segments(jpeg(), segment(0xFE, b"plain"), segment(0xFE, b"Zo\xeb"))
    for target in (".jpg", ".png"):
        texts = read_photo(through(data, tmp_path / "in.jpg", target)).metadata.texts
        assert texts == (Text(keyword="Comment", text="plain"), Text(keyword="Comment", text="Zoë"))


# --- EXIF ----------------------------------------------------------------------------------------------------

RICH = exif(entry(MAKE, 2, 4, b"Uni\0"), entry(RATING, 3, 1, b"\5\0"), entry(UNKNOWN, 4, 1, b"\7\0\0\0"), more=b"notes")


@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("name", ["in.jpg", "in.png", "in.tif", "in.webp"])
def test_ratings_and_unknown_tags_are_preserved(tmp_path: Path, name: str, target: str) -> None:
    webp = io.BytesIO()
    Image.fromarray(smooth()).save(webp, "WEBP", exif=RICH)
    made = {
        "in.jpg": with_segments(jpeg(), segment(0xE1, RICH)),
        "in.png": png(chunk(b"eXIf", RICH[6:])),
        "in.tif": tiff(((MAKE, 2, 4, b"Uni\0"), (RATING, 3, 1, b"\5\0"), (UNKNOWN, 4, 1, b"\7\0\0\0"))),
        "in.webp": webp.getvalue(),
    }[name]
    with Image.open(through(made, tmp_path / name, target)) as image:
        tags = image.getexif()
    assert (tags[MAKE], tags[RATING], tags[UNKNOWN]) == ("Uni", 5, 7)
    assert 0x9000 not in tags.get_ifd(0x8769)


def test_exif_is_byte_identical_except_for_changed_values(tmp_path: Path) -> None:
    for target in (".jpg", ".png", ".webp", ".avif"):
        photo = read_photo(through(with_segments(jpeg(), segment(0xE1, RICH)), tmp_path / "in.jpg", target))
        # AVIF may have zeros behind.
        assert (photo.metadata.exif or b"").rstrip(b"\0") == RICH


def long_exif(size: int) -> bytes:
    return exif(entry(MAKE, 2, 4, b"Uni\0"), entry(0xC4A5, 7, size, 8 + 2 + 24 + 4), more=b"x" * size)


@pytest.mark.parametrize(("target", "stays"), [(".png", True), (".tif", True), (".webp", True), (".jpg", False)])
def test_exif_beyond_64_kb_is_preserved_or_reported(tmp_path: Path, target: str, stays: bool) -> None:
    written = through(png(chunk(b"eXIf", long_exif(100_000)[6:])), tmp_path / "in.png", target)
    with Image.open(written) as image:
        assert image.getexif()[MAKE] == "Uni"
        assert (image.getexif().get(0xC4A5) == b"x" * 100_000) == stays
    lost = list_left_behind(read_photo(tmp_path / "in.png"), written)
    assert lost == (() if stays else ("the largest values of EXIF",))


@pytest.mark.parametrize("size", [50_000, 65_480])
def test_exif_of_almost_64_kb_fits_into_a_jpeg(tmp_path: Path, size: int) -> None:
    (tmp_path / "in.jpg").write_bytes(with_segments(jpeg(), segment(0xE1, long_exif(size))))
    photo = read_photo(tmp_path / "in.jpg")
    assert list_left_behind(photo, tmp_path / "out.jpg") == ()
    write_photo(photo, tmp_path / "out.jpg")
    assert read_photo(tmp_path / "out.jpg").metadata.exif == long_exif(size)


def big_tiff() -> bytes:
    """A BigTIFF with a make and a copyright."""
    pixels = smooth().tobytes()
    values = b"Unblur Camera Works\0" + b"2026 Somebody Else\0"
    text_at = 16 + len(pixels)
    tags = [
        (256, 4, 1, struct.pack("<I", 60)),
        (257, 4, 1, struct.pack("<I", 40)),
        (258, 3, 3, struct.pack("<HHH", 8, 8, 8)),
        (259, 3, 1, struct.pack("<H", 1)),
        (262, 3, 1, struct.pack("<H", 2)),
        (MAKE, 2, 20, struct.pack("<Q", text_at)),
        (273, 16, 1, struct.pack("<Q", 16)),
        (277, 3, 1, struct.pack("<H", 3)),
        (278, 4, 1, struct.pack("<I", 40)),
        (279, 16, 1, struct.pack("<Q", len(pixels))),
        (COPYRIGHT, 2, 19, struct.pack("<Q", text_at + 20)),
    ]
    entries = b"".join(
        struct.pack("<HHQ", tag, kind, count) + value.ljust(8, b"\0") for tag, kind, count, value in tags
    )
    start = text_at + len(values)
    head = b"II+\0" + struct.pack("<HHQ", 8, 0, start)
    return head + pixels + values + struct.pack("<Q", len(tags)) + entries + bytes(8)


@pytest.mark.parametrize("target", SUFFIXES)
def test_make_and_copyright_of_a_big_tiff_are_preserved(tmp_path: Path, target: str) -> None:
    with Image.open(through(big_tiff(), tmp_path / "in.tif", target)) as image:
        tags = image.getexif()
        assert (tags[MAKE], tags[COPYRIGHT]) == ("Unblur Camera Works", "2026 Somebody Else")
        assert image.size == (60, 40)


def test_a_thumbnail_leaves_no_bytes(tmp_path: Path) -> None:
    thumbnail = jpeg(smooth(12, 16))
    first = directory(entry(MAKE, 2, 4, b"Uni\0"))[:-4] + struct.pack("<I", 26)
    second = directory(entry(0x0103, 3, 1, b"\6\0"), entry(0x0201, 4, 1, 68), entry(0x0202, 4, 1, len(thumbnail)))
    block = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + thumbnail
    assert block[6 + 68 :] == thumbnail
    written = through(with_segments(jpeg(), segment(0xE1, block)), tmp_path / "in.jpg", ".jpg")
    assert written.read_bytes().count(b"\xff\xd8\xff") == 1


def test_iptc_is_preserved_or_reported(tmp_path: Path) -> None:
    photo = Photo(pixels=smooth(), metadata=Metadata(iptc=b"\x1c\x02\x78\x00\x05Hafen"))
    for suffix in (".jpg", ".tif"):
        write_photo(photo, tmp_path / f"out{suffix}")
        assert read_photo(tmp_path / f"out{suffix}").metadata == photo.metadata
        assert list_left_behind(photo, tmp_path / f"out{suffix}") == ()
    with Image.open(tmp_path / "out.jpg") as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"Hafen"}
    with Image.open(tmp_path / "out.tif") as image:
        assert IptcImagePlugin.getiptcinfo(image) == {(2, 120): b"Hafen"}
    for suffix in (".webp", ".avif", ".png"):
        assert list_left_behind(photo, tmp_path / f"out{suffix}") == ("the IPTC block",)
