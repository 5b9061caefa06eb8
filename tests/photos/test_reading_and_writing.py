"""Photographs survive reading and writing in every format and depth, judged by Pillow and by hand-made bytes."""

import io
import itertools
import os
import signal
import stat
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from formats_here import HAS_JPEG_XL, WRITTEN_FOR_PILLOW, WRITTEN_HERE
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from smooth_picture import smooth

from unblur.atomic import write_atomically
from unblur.errors import UnblurError
from unblur.photos.jpeg_file import LARGEST_XMP_BYTES
from unblur.photos.photo import Metadata, Photo
from unblur.photos.pixel_files import decode_jpeg, decode_png, encode_jpeg, encode_png
from unblur.photos.reading import read_photo
from unblur.photos.tiff_exif import insert_into_tiff, read_tiff_exif
from unblur.photos.writing import write_photo

LOSSLESS = (".png", ".tif")
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'tiff:Orientation="6" dc:format="image/jpeg"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION, MAKE, EXIF_IFD, PIXEL_X, PIXEL_Y, EXPOSURE = 0x0112, 0x010F, 0x8769, 0xA002, 0xA003, 0x829A


def exif_block(orientation: int = 1, thumbnail: bool = False) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = orientation, "Unblur Camera Works"
    exif.get_ifd(EXIF_IFD).update({PIXEL_X: 60, PIXEL_Y: 40, EXPOSURE: 0.25})
    block = exif.tobytes()
    if thumbnail:
        block = with_thumbnail(block)
    return block


def with_thumbnail(block: bytes) -> bytes:
    """The EXIF block with a second directory that holds a small JPEG, as cameras write it."""
    order = "<" if block[6:8] == b"II" else ">"
    tiff = bytearray(block[6:])
    jpeg = io.BytesIO()
    Image.new("RGB", (16, 12), "red").save(jpeg, "JPEG")
    first = struct.unpack_from(order + "I", tiff, 4)[0]
    count = struct.unpack_from(order + "H", tiff, first)[0]
    struct.pack_into(order + "I", tiff, first + 2 + 12 * count, len(tiff))
    data_at = len(tiff) + 2 + 12 * 3 + 4
    tiff += struct.pack(order + "H", 3)
    tiff += struct.pack(order + "HHIHH", 0x0103, 3, 1, 6, 0)
    tiff += struct.pack(order + "HHII", 0x0201, 4, 1, data_at)
    tiff += struct.pack(order + "HHII", 0x0202, 4, 1, len(jpeg.getvalue())) + struct.pack(order + "I", 0)
    return bytes(block[:6] + tiff + jpeg.getvalue())


# --- pixels ----------------------------------------------------------------------------------------------


@given(
    suffix=st.sampled_from(LOSSLESS),
    depth=st.sampled_from([8, 16]),
    channels=st.sampled_from([1, 3]),
    has_alpha=st.booleans(),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    seed=st.integers(0, 100),
)
def test_lossless_formats_preserve_every_bit(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    depth: int,
    channels: int,
    has_alpha: bool,
    size: tuple[int, int],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if depth == 8 else np.uint16
    pixels = rng.integers(0, 2**depth, (*size, channels), dtype)
    alpha = rng.integers(0, 2**depth, size, dtype) if has_alpha else None
    path = tmp_path_factory.getbasetemp() / f"photo{suffix}"
    write_photo(Photo(pixels=pixels, alpha=alpha), path)
    back = read_photo(path)
    assert back.bit_depth == depth
    assert np.array_equal(back.pixels, pixels)
    assert (back.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(back.alpha, alpha)


@pytest.mark.parametrize("suffix", WRITTEN_FOR_PILLOW)
def test_pillow_reads_written_files(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"photo{suffix}"
    write_photo(Photo(pixels=smooth()), path)
    with Image.open(path) as image:
        assert image.mode == "RGB"
        assert np.abs(np.asarray(image).astype(int) - smooth()).max() <= (0 if suffix in (*LOSSLESS, ".tiff") else 8)


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("JPEG", "RGB"),
        ("PNG", "RGBA"),
        ("WEBP", "RGBA"),
        ("AVIF", "RGB"),
        ("TIFF", "RGB"),
        ("JPEG", "L"),
        ("PNG", "LA"),
    ],
)
def test_files_of_pillow_are_read(tmp_path: Path, name: str, mode: str) -> None:
    source = Image.fromarray(smooth()).convert(mode)
    if mode.endswith("A"):
        source.putalpha(Image.fromarray(smooth(channels=1)[:, :, 0]))
    path = tmp_path / f"photo.{name.lower()}"
    source.save(path, name, **({"lossless": True} if name == "WEBP" else {}))
    photo = read_photo(path)
    with Image.open(path) as image:
        expected = np.asarray(image)
    colours = expected[..., : 3 if mode.startswith("RGB") else 1] if expected.ndim == 3 else expected[:, :, None]
    assert photo.pixels.shape == colours.shape
    assert np.abs(photo.pixels.astype(int) - colours).max() <= (6 if name in ("JPEG", "AVIF") else 0)
    assert (photo.alpha is not None) == mode.endswith("A")


def test_a_16_bit_png_is_read_exactly(tmp_path: Path) -> None:
    """A 16-bit RGB PNG made byte by byte: no library in between that might round."""
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 7, 5, 16, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(png)
    assert np.array_equal(read_photo(tmp_path / "deep.png").pixels, pixels)


def test_palette_and_single_bit_files_are_expanded(tmp_path: Path) -> None:
    Image.fromarray(smooth()).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(smooth()).convert("1").save(tmp_path / "bits.png")
    assert read_photo(tmp_path / "palette.png").pixels.shape == (40, 60, 3)
    bits = read_photo(tmp_path / "bits.png")
    assert bits.pixels.shape == (40, 60, 1)
    assert set(np.unique(bits.pixels)) == {0, 255}


def test_deep_photographs_are_rounded_for_eight_bit_formats(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 1), 257 * 100 + 129, np.uint16)
    write_photo(Photo(pixels=pixels), tmp_path / "photo.jpg")
    back = read_photo(tmp_path / "photo.jpg")
    assert back.bit_depth == 8
    assert set(np.unique(back.pixels)) == {101}


def test_avif_preserves_more_than_eight_bits(tmp_path: Path) -> None:
    pixels = smooth(64, 256, 3, depth=16)
    write_photo(Photo(pixels=pixels), tmp_path / "photo.avif")
    back = read_photo(tmp_path / "photo.avif")
    assert back.bit_depth == 16
    assert np.abs(back.pixels.astype(int) - pixels).mean() < 257
    assert len(np.unique(back.pixels)) > 256


def test_transparency_is_refused_for_jpeg(tmp_path: Path) -> None:
    photo = Photo(pixels=smooth(), alpha=np.zeros((40, 60), np.uint8))
    with pytest.raises(UnblurError, match=r"transparency.*\.png"):
        write_photo(photo, tmp_path / "photo.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 65_000), (3, 65_000)])
def test_extreme_shapes(tmp_path: Path, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for suffix in (".png", ".jpg"):
        write_photo(Photo(pixels=pixels), tmp_path / f"photo{suffix}")
        assert read_photo(tmp_path / f"photo{suffix}").pixels.shape == pixels.shape


@pytest.mark.parametrize(("suffix", "width"), [(".webp", 16_384), (".avif", 16_385), (".jpg", 65_501)])
def test_too_wide_for_the_format(tmp_path: Path, suffix: str, width: int) -> None:
    with pytest.raises(UnblurError, match=r"at most \d+ pixels a side.*\.png"):
        write_photo(Photo(pixels=np.zeros((1, width, 3), np.uint8)), tmp_path / f"photo{suffix}")


def test_jpeg_in_memory() -> None:
    data = encode_jpeg(smooth(), 95, subsample_chroma=False)
    assert data == encode_jpeg(smooth(), 95, subsample_chroma=False)
    with Image.open(io.BytesIO(data)) as image:
        assert np.abs(np.asarray(image).astype(int) - decode_jpeg(data)).max() <= 2
    assert len(encode_jpeg(smooth(), 30)) < len(data)


# --- metadata --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_metadata_is_preserved(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(smooth()).save(tmp_path / "in.jpg", exif=exif_block(), icc_profile=ICC, xmp=XMP)
    write_photo(read_photo(tmp_path / "in.jpg"), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif[MAKE] == "Unblur Camera Works"
        assert exif.get_ifd(EXIF_IFD)[EXPOSURE] == 0.25
        assert image.info["icc_profile"] == ICC
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
    assert b"dc:format" in xmp


@pytest.mark.parametrize("target", [".tif", ".jpg", ".png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_metadata_of_a_deep_tiff_is_preserved(tmp_path: Path, target: str, orientation: int) -> None:
    Image.fromarray(smooth(channels=1, depth=16)[:, :, 0]).save(tmp_path / "in.tif", exif=exif_block(orientation))
    photo = read_photo(tmp_path / "in.tif")
    assert photo.bit_depth == 16
    assert photo.pixels.shape[:2] == ((40, 60) if orientation == 1 else (60, 40))
    write_photo(photo, tmp_path / f"out{target}")
    with Image.open(tmp_path / f"out{target}") as image:
        exif = image.getexif()
        assert exif[MAKE] == "Unblur Camera Works"
        assert exif.get(ORIENTATION, 1) == 1
        assert exif.get_ifd(EXIF_IFD)[EXPOSURE] == 0.25
        assert (exif.get_ifd(EXIF_IFD)[PIXEL_X], exif.get_ifd(EXIF_IFD)[PIXEL_Y]) == image.size
    assert np.abs(read_photo(tmp_path / f"out{target}").pixels.shape[0] - photo.height) == 0


@given(st.binary(max_size=200), st.integers(0, 150), st.booleans())
def test_damaged_exif_does_not_damage_a_tiff(noise: bytes, place: int, header: bool) -> None:
    tiff = tiff_of(smooth(8, 9))
    block = bytearray(exif_block())
    block[place : place + len(noise)] = noise
    exif = (exif_block()[:14] if header else b"") + bytes(block)
    written = insert_into_tiff(tiff, Metadata(exif=exif))
    with Image.open(io.BytesIO(written)) as image:
        assert np.array_equal(np.asarray(image), smooth(8, 9))
    read_tiff_exif(bytes(noise))


def tiff_of(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF")
    return file.getvalue()


def test_tiff_preserves_colour_profile_and_xmp(tmp_path: Path) -> None:
    photo = Photo(pixels=smooth(depth=16), metadata=Metadata(icc=ICC, xmp=XMP))
    write_photo(photo, tmp_path / "out.tif")
    back = read_photo(tmp_path / "out.tif")
    assert back.bit_depth == 16
    assert back.metadata.icc == ICC
    assert b"dc:format" in (back.metadata.xmp or b"")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_names_in_xmp_are_encoded_for_every_reader(tmp_path: Path, suffix: str) -> None:
    xmp = XMP.replace(b"image/jpeg", "Zoë 東京".encode())
    assert "Zoë 東京" in xmp.decode()
    write_photo(Photo(pixels=smooth(), metadata=Metadata(xmp=xmp)), tmp_path / f"out{suffix}")
    assert "Zoë 東京".encode() in (read_photo(tmp_path / f"out{suffix}").metadata.xmp or b"")
    with Image.open(tmp_path / f"out{suffix}") as image:
        theirs = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
    assert "Zoë 東京" in theirs.decode()


@pytest.mark.parametrize("exif", [None, "some"])
def test_a_long_xmp_packet_is_preserved_in_a_jpeg(tmp_path: Path, exif: str | None) -> None:
    packet = XMP.replace(b"image/jpeg", b"x" * (LARGEST_XMP_BYTES - len(XMP) + len(b"image/jpeg")))
    described = Metadata(xmp=packet, icc=ICC, exif=exif and exif_block())
    write_photo(Photo(pixels=smooth(), metadata=described), tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.info["xmp"] == packet.replace(b'Orientation="6"', b'Orientation="1"')
        assert image.info["icc_profile"] == ICC
        assert (image.getexif().get(MAKE) == "Unblur Camera Works") == (exif is not None)
    assert read_photo(tmp_path / "out.jpg").metadata.xmp == packet.replace(b'Orientation="6"', b'Orientation="1"')


def test_xmp_that_no_jpeg_can_hold_is_refused(tmp_path: Path) -> None:
    photo = Photo(pixels=smooth(), metadata=Metadata(xmp=XMP + b" " * LARGEST_XMP_BYTES))
    with pytest.raises(UnblurError, match=r"bytes of XMP.*write \.png or \.tif"):
        write_photo(photo, tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()
    write_photo(photo, tmp_path / "out.png")
    assert read_photo(tmp_path / "out.png").metadata.xmp is not None


def test_xmp_is_in_the_standard_chunk_of_a_png(tmp_path: Path) -> None:
    packet = XMP.replace(b'tiff:Orientation="6" ', b"")
    write_photo(Photo(pixels=smooth(), metadata=Metadata(xmp=packet)), tmp_path / "out.png")
    png = (tmp_path / "out.png").read_bytes()
    assert b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + packet in png[: png.index(b"IDAT")]
    assert png.count(b"XML:com.adobe.xmp") == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / "in.jpg"
    Image.fromarray(smooth()).save(path, exif=exif_block(orientation), xmp=XMP, quality=95, subsampling=0)
    with Image.open(path) as image:
        from PIL import ImageOps

        upright = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    photo = read_photo(path)
    assert photo.pixels.shape == upright.shape
    assert np.abs(photo.pixels - upright).max() <= 3
    write_photo(photo, tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as image:
        exif = image.getexif()
        assert exif.get(ORIENTATION, 1) == 1
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode()
        assert b'tiff:Orientation="1"' in xmp
        assert np.abs(np.asarray(ImageOps.exif_transpose(image)).astype(int) - upright).max() <= 6
        assert (exif.get_ifd(EXIF_IFD)[PIXEL_X], exif.get_ifd(EXIF_IFD)[PIXEL_Y]) == image.size
    assert read_photo(tmp_path / f"out{suffix}").pixels.shape == upright.shape


def test_the_stale_thumbnail_is_dropped(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "in.jpg", exif=exif_block(thumbnail=True))
    assert (tmp_path / "in.jpg").read_bytes().count(b"\xff\xd8\xff") == 2
    write_photo(read_photo(tmp_path / "in.jpg"), tmp_path / "out.jpg")
    assert (tmp_path / "out.jpg").read_bytes().count(b"\xff\xd8\xff") == 1
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.getexif()[MAKE] == "Unblur Camera Works"


def test_a_photograph_without_metadata_gets_none(tmp_path: Path) -> None:
    write_photo(Photo(pixels=smooth()), tmp_path / "bare.png")
    assert read_photo(tmp_path / "bare.png").metadata.icc is None


# --- awkward files ---------------------------------------------------------------------------------------

AWKWARD = ["with space", "100% #1", "[1]", "[page=2]", "zdjęcia", "测试 🌊", "-dash", "a,b", "quote'\"", "x" * 200]


@pytest.mark.parametrize("name", AWKWARD)
def test_awkward_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / f"{name}.png"
    path.parent.mkdir()
    write_photo(Photo(pixels=smooth()), path)
    assert np.array_equal(read_photo(path).pixels, smooth())
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_content_determines_the_format(tmp_path: Path) -> None:
    Image.fromarray(smooth()).save(tmp_path / "really_png.jpg", "PNG")
    assert np.array_equal(read_photo(tmp_path / "really_png.jpg").pixels, smooth())


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITTEN_HERE if suffix not in (".jpeg", ".tiff")])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"photo{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    write_photo(Photo(pixels=noise), path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(UnblurError, match=f"photo{suffix} .*"):
        read_photo(path)


def save_animation(path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green")]
    frames[0].save(path, save_all=True, append_images=frames[1:])


REFUSED = {
    "empty.jpg": (lambda p: p.write_bytes(b""), "empty"),
    "text.jpg": (lambda p: p.write_bytes(b"hello, this is not a photograph at all"), "not a photograph"),
    "cmyk.jpg": (lambda p: Image.new("CMYK", (20, 20)).save(p), "CMYK"),
    "moving.webp": (save_animation, "2 pictures"),
    "moving.png": (save_animation, "pictures|animation"),
    "moving.gif": (save_animation, "GIF|pictures"),
    "pages.tif": (save_animation, "2 pictures"),
    "still.gif": (lambda p: Image.new("P", (9, 9)).save(p), "GIF"),
    "drawing.jpg": (
        lambda p: p.write_bytes(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        "SVG|not a photograph",
    ),
    "float.tif": (lambda p: Image.fromarray(np.ones((9, 9), np.float32)).save(p), "float|channels"),
    "lab.tif": (lambda p: Image.new("LAB", (9, 9)).save(p), "lab"),
    "raw.NEF": (lambda p: Image.new("RGB", (160, 120)).save(p, "TIFF"), "a raw file of a camera"),
    "missing.jpg": (lambda _: None, "cannot be read"),
    "folder.jpg": (lambda p: p.mkdir(), "cannot be read"),
}
if not HAS_JPEG_XL:
    REFUSED["photo.jxl"] = (lambda p: p.write_bytes(b"\xff\x0a" + bytes(99)), "JPEG XL file, which the libvips")


@pytest.mark.parametrize("name", REFUSED)
def test_unsupported_files_are_refused_in_one_sentence(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    make, said = REFUSED[name]
    make(tmp_path / name)
    with pytest.raises(UnblurError, match=said) as caught:
        read_photo(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_decompression_bomb_is_refused_before_decoding(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(png)
    with pytest.raises(UnblurError, match="100000 x 100000"):
        read_photo(tmp_path / "bomb.png")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    write_photo(Photo(pixels=smooth()), tmp_path / "mine.png")
    (tmp_path / "mine.png").chmod(0)
    with pytest.raises(UnblurError, match="Permission denied"):
        read_photo(tmp_path / "mine.png")


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"garbage" * 10])
def test_a_photograph_with_broken_metadata_is_read(tmp_path: Path, block: bytes) -> None:
    metadata = Metadata(exif=block or None, icc=b"not a profile", xmp=b"\xff\xfe")
    for suffix in WRITTEN_HERE:
        write_photo(Photo(pixels=smooth(), metadata=metadata), tmp_path / f"photo{suffix}")
        assert read_photo(tmp_path / f"photo{suffix}").pixels.shape == (40, 60, 3)


# --- writing ---------------------------------------------------------------------------------------------


def test_an_unwritable_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="cannot be written"):
        write_photo(Photo(pixels=smooth()), tmp_path / "no" / "such" / "folder.png")
    with pytest.raises(UnblurError, match="no suffix"):
        write_photo(Photo(pixels=smooth()), tmp_path / "photo.bmp")


@pytest.mark.slow
def test_a_full_disk_leaves_no_file(tmp_path: Path) -> None:
    if not Path("/dev/full").exists() or stat.S_ISCHR(Path("/dev/full").stat().st_mode) == 0:
        pytest.skip("no /dev/full here")
    limit = (
        "import resource, sys; from pathlib import Path; import numpy as np\n"
        "from unblur.photos.writing import write_photo; from unblur.photos.photo import Photo\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), np.uint8)\n"
        "write_photo(Photo(pixels=noise), Path(sys.argv[1]) / 'photo.png')\n"
    )
    done = subprocess.run([sys.executable, "-c", limit, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "UnblurError" in done.stderr
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_process_killed_while_writing_leaves_only_whole_files(tmp_path: Path) -> None:
    program = (
        "import itertools, sys; from pathlib import Path; import numpy as np\n"
        "from unblur.photos.writing import write_photo; from unblur.photos.photo import Photo\n"
        "noise = Photo(pixels=np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))\n"
        "for n in itertools.count(): write_photo(noise, Path(sys.argv[1]) / f'{n % 3}.png')\n"
    )
    for delay in (0.11, 0.17, 0.23):
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
        deadline = time.monotonic() + 60
        while not (tmp_path / "0.png").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert (tmp_path / "0.png").exists()
    for path in tmp_path.iterdir():
        assert read_photo(path).pixels.shape == (300, 300, 3)


@pytest.mark.parametrize("nameless", [True, False], ids=["nameless file", "hidden file"])
def test_all_bytes_are_on_disk_before_the_file_gets_its_name(
    nameless: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []

    def synchronise(handle: int) -> None:
        assert not (tmp_path / "photo.bin").exists()
        sizes.append(os.fstat(handle).st_size)

    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    monkeypatch.setattr(os, "fsync", synchronise)
    write_atomically(tmp_path / "photo.bin", bytes(1000))
    assert sizes == [1000]
    assert (tmp_path / "photo.bin").read_bytes() == bytes(1000)


def test_an_existing_file_is_replaced_whole(tmp_path: Path) -> None:
    for colour, suffix in itertools.product((0, 255), (".png", ".jpg")):
        write_photo(Photo(pixels=np.full((9, 9, 3), colour, np.uint8)), tmp_path / f"photo{suffix}")
        assert read_photo(tmp_path / f"photo{suffix}").pixels.mean() == colour
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_png_data_are_decoded_without_loss(channels: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (9, 14, channels), dtype=np.uint8)
    data = encode_png(pixels)
    assert np.array_equal(decode_png(data), pixels)
    assert data == encode_png(pixels)
    with Image.open(io.BytesIO(data)) as independent:
        assert np.array_equal(np.asarray(independent).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("damage", [lambda data: data[:40], lambda data: data[:0], lambda data: b"x" + data[1:]])
def test_damaged_png_data_are_refused(damage: Callable[[bytes], bytes]) -> None:
    data = encode_png(np.random.default_rng(1).integers(0, 256, (50, 60, 3), dtype=np.uint8))
    with pytest.raises(UnblurError, match="not a PNG file"):
        decode_png(damage(data))
