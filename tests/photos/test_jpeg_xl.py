"""JPEG XL: as any other format where libvips has it, and a sentence where it has not."""

import struct
import sys
from pathlib import Path

import brotli  # noqa: TID253 - compresses metadata for the files under test
import numpy as np
import pytest
import pyvips
from formats_here import needs_jpeg_xl
from made_files import entry, exif, fan, jpeg, png, segment, with_segments
from smooth_picture import smooth

from unblur.app.cli import main
from unblur.errors import UnblurError
from unblur.photos import jxl_file, opening, reading, writing
from unblur.photos.exif_block import list_tags, read_orientation, read_text
from unblur.photos.icc_profile import make_grey_profile, make_rgb_profile
from unblur.photos.jxl_file import JxlContents, insert_into_jxl, read_jxl_contents
from unblur.photos.libvips import load_display_p3, to_vips
from unblur.photos.marks import COMPOSITE_WITH_GENERATED, mark_metadata
from unblur.photos.photo import Metadata, Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import list_left_behind, write_photo

MAKE, ORIENTATION, SOFTWARE = 0x010F, 0x0112, 0x0131
EXIF = exif(entry(MAKE, 2, 4, b"Abc\0"), entry(ORIENTATION, 3, 1, b"\6\0"))
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/></x:xmpmeta>'
ADOBE_RGB = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
BARE = b"\xff\x0a" + bytes(99)


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


def compressed(kind: bytes, body: bytes) -> bytes:
    return box(b"brob", kind + brotli.compress(body))


def container(*added: bytes, codestream: bytes = BARE) -> bytes:
    empty = insert_into_jxl(codestream, exif=None, xmp=b"")
    head = empty[:32]
    return head + b"".join(added) + box(b"jxlc", codestream)


def codestream(pixels: np.ndarray, **options: object) -> bytes:
    return bytes(to_vips(pixels).jxlsave_buffer(keep=0, **options))


# --- without libjxl ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [BARE, container()], ids=["codestream", "container"])
def test_without_libjxl_the_sentence_says_how_to_get_it(
    tmp_path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "can_read_jpeg_xl", lambda: False)
    monkeypatch.setattr(writing, "can_write_jpeg_xl", lambda: False)
    # By its content, whatever it is called.
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    with pytest.raises(UnblurError, match=r"is a JPEG XL file, .* or install .*pip uninstall pyvips-binary\.$"):
        read_photo(path)
    with pytest.raises(UnblurError, match=r"cannot write JPEG XL; write \.avif .*pip uninstall pyvips-binary\.$"):
        write_photo(Photo(pixels=smooth()), tmp_path / "out.jxl")
    assert not (tmp_path / "out.jxl").exists()


# --- the boxes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", [box, compressed])
def test_metadata_are_taken_out_of_the_boxes(encode) -> None:
    data = container(encode(b"Exif", bytes(4) + EXIF[6:]), encode(b"xml ", XMP), encode(b"Exif", b"another"))
    contents = read_jxl_contents(data)
    assert (contents.exif, contents.xmp, contents.left_behind) == (EXIF, XMP, ())
    assert len(contents.picture) == len(data)
    # Nothing is left for a decoder.
    again = read_jxl_contents(contents.picture)
    assert again == JxlContents(picture=contents.picture, exif=None, xmp=None, left_behind=())
    assert b"brob" not in contents.picture


def test_a_box_with_a_size_of_64_bits_is_read() -> None:
    body = bytes(4) + EXIF[6:]
    wide = struct.pack(">I4sQ", 1, b"Exif", 16 + len(body)) + body
    contents = read_jxl_contents(container(wide))
    assert contents.exif == EXIF
    assert b"Exif" not in contents.picture
    # A box that ends like the head of a wide one hides nothing.
    ending = box(b"free", struct.pack(">I", 1) + b"Exif")
    hidden = read_jxl_contents(container(ending, box(b"Exif", body)))
    assert hidden.exif == EXIF
    assert read_jxl_contents(hidden.picture).exif is None


def test_the_offset_before_exif_is_heeded() -> None:
    assert read_jxl_contents(container(box(b"Exif", struct.pack(">I", 3) + b"abc" + EXIF[6:]))).exif == EXIF
    assert read_jxl_contents(container(box(b"Exif", struct.pack(">I", 2**32 - 1)))).exif is None


@pytest.mark.slow
def test_compressed_boxes_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jxl_file, "LARGEST_BLOCK_BYTES", 100_000)
    bomb = compressed(b"Exif", bytes(50_000_000))
    assert len(bomb) < 1000
    damaged = box(b"brob", b"xml " + brotli.compress(XMP)[:-9])
    contents = read_jxl_contents(container(bomb, damaged))
    assert (contents.exif, contents.xmp) == (None, None)
    assert contents.left_behind == ("the EXIF block", "the XMP packet")
    monkeypatch.setitem(sys.modules, "brotli", None)
    assert read_jxl_contents(container(compressed(b"xml ", XMP))).left_behind == ("the XMP packet",)


def test_only_the_first_box_of_a_kind_is_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jxl_file, "LARGEST_BLOCK_BYTES", 100_000)
    bombs = [compressed(b"Exif", bytes(1_000_000))] * 20
    tried = []
    decompress = jxl_file._decompress
    monkeypatch.setattr(jxl_file, "_decompress", lambda data: tried.append(data) or decompress(data))
    assert read_jxl_contents(container(*bombs)).left_behind == ("the EXIF block",)
    assert len(tried) == 1


def test_metadata_go_before_a_codestream_of_any_head() -> None:
    head = container()[:32]
    wide = struct.pack(">I4sQ", 1, b"jxlc", 16 + len(BARE)) + BARE
    unlimited = struct.pack(">I4s", 0, b"jxlc") + BARE
    for last in (wide, unlimited, box(b"jxlc", BARE)):
        written = insert_into_jxl(head + last, exif=EXIF[6:], xmp=XMP)
        assert written.startswith(head)
        assert written.endswith(last)
        contents = read_jxl_contents(written)
        assert (contents.exif, contents.xmp) == (EXIF, XMP)


@pytest.mark.parametrize("size", [0, 1, 7, 2**32 - 1])
def test_damaged_boxes_are_passed_on_to_the_decoder(size: int) -> None:
    data = container() + struct.pack(">I", size) + b"Exif" + b"\xff" * 5
    contents = read_jxl_contents(data)
    assert len(contents.picture) == len(data)


# --- with libjxl ---------------------------------------------------------------------------------------------


@needs_jpeg_xl
@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_photographs_are_written_and_read(tmp_path: Path, depth: int, channels: int, has_alpha: bool) -> None:
    pixels = smooth(64, 96, channels, depth=depth)
    alpha = smooth(64, 96, 1, depth=depth)[:, :, 0] if has_alpha else None
    write_photo(Photo(pixels=pixels, alpha=alpha), tmp_path / "photo.jxl")
    back = read_photo(tmp_path / "photo.jxl")
    assert back.metadata == Metadata()
    assert back.pixels.shape == pixels.shape
    assert back.pixels.dtype == pixels.dtype
    scale = 1 if depth == 8 else 257
    assert np.abs(back.pixels.astype(int) - pixels).mean() < 1.5 * scale
    assert (back.alpha is None) == (alpha is None)
    if alpha is not None:
        assert np.abs(back.alpha.astype(int) - alpha).mean() < 1.5 * scale


@needs_jpeg_xl
def test_sixteen_bits_are_more_than_eight(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(20_000, 22_000, 512)[None, :, None], (64, 512, 3)).round().astype(np.uint16)
    write_photo(Photo(pixels=ramp), tmp_path / "photo.jxl", 100)
    back = read_photo(tmp_path / "photo.jxl").pixels
    assert np.abs(back.astype(int) - ramp).max() < 128
    assert len(np.unique(back)) > 100


@needs_jpeg_xl
@pytest.mark.parametrize("bare", [True, False], ids=["codestream", "container"])
def test_metadata_are_preserved(tmp_path: Path, bare: bool) -> None:
    (tmp_path / "in.jpg").write_bytes(with_segments(jpeg(), segment(0xE1, EXIF)))
    photo = read_photo(tmp_path / "in.jpg")
    assert (photo.height, photo.width) == (60, 40)
    # 16 bits without loss need a container of libjxl's own.
    pixels = photo.pixels if bare else photo.pixels.astype(np.uint16) * 257
    icc = load_display_p3() if bare else make_rgb_profile(ADOBE_RGB, 2.2)
    photo = Photo(pixels=pixels, metadata=Metadata(exif=photo.metadata.exif, xmp=XMP, icc=icc))
    write_photo(photo, tmp_path / "out.jxl")
    back = read_photo(tmp_path / "out.jxl")
    assert back.pixels.shape == pixels.shape
    assert list_tags(back.metadata.exif) == list_tags(photo.metadata.exif)
    assert read_orientation(back.metadata.exif) == 1
    assert back.metadata.xmp == XMP
    assert back.metadata.left_behind == ()
    # The decoder makes profiles of its own for known colours.
    assert back.metadata.icc is not None
    assert bare or back.metadata.icc == icc
    write_photo(back, tmp_path / "again.jxl")
    assert read_photo(tmp_path / "again.jxl").metadata == back.metadata


@needs_jpeg_xl
def test_marks_of_generated_detail_are_preserved(tmp_path: Path) -> None:
    marked = mark_metadata(Metadata(), software="unblur 0.1.0, generative", source_type=COMPOSITE_WITH_GENERATED)
    write_photo(Photo(pixels=smooth(), metadata=marked), tmp_path / "photo.jxl")
    back = read_photo(tmp_path / "photo.jxl").metadata
    assert read_text(back.exif, SOFTWARE) == "unblur 0.1.0, generative"
    assert COMPOSITE_WITH_GENERATED.encode() in (back.xmp or b"")


@needs_jpeg_xl
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_of_other_profiles_lose_nothing(tmp_path: Path, channels: int) -> None:
    icc = make_grey_profile(1.8) if channels == 1 else make_rgb_profile(ADOBE_RGB, 2.2)
    photo = Photo(pixels=smooth(40, 60, channels), metadata=Metadata(icc=icc))
    write_photo(photo, tmp_path / "photo.jxl")
    back = read_photo(tmp_path / "photo.jxl")
    assert np.array_equal(back.pixels, photo.pixels)
    assert back.metadata.icc == icc


@needs_jpeg_xl
def test_colours_of_display_p3_stay_what_they_are(tmp_path: Path) -> None:
    photo = Photo(pixels=smooth(), metadata=Metadata(icc=load_display_p3()))
    write_photo(photo, tmp_path / "photo.jxl")
    back = read_photo(tmp_path / "photo.jxl")
    shown = []
    for one in (photo, back):
        image = to_vips(one.pixels)
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", one.metadata.icc)
        shown.append(image.icc_transform("srgb", embedded=True).numpy().astype(int))
    assert np.abs(shown[0] - shown[1]).mean() < 1.5


@needs_jpeg_xl
def test_a_profile_that_no_jpeg_xl_holds_is_named(tmp_path: Path) -> None:
    lab = bytearray(load_display_p3())
    lab[16:20] = b"Lab "
    photo = Photo(pixels=smooth(), metadata=Metadata(icc=bytes(lab)))
    assert list_left_behind(photo, tmp_path / "photo.jxl") == ("the colour profile",)
    assert list_left_behind(photo, tmp_path / "photo.png") == ()
    write_photo(photo, tmp_path / "photo.jxl")
    assert read_photo(tmp_path / "photo.jxl").metadata.icc is None


@needs_jpeg_xl
def test_a_lossy_file_whose_profile_is_not_applied_is_refused(tmp_path: Path) -> None:
    image = to_vips(smooth())
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", make_rgb_profile(ADOBE_RGB, 2.2))
    (tmp_path / "photo.jxl").write_bytes(image.jxlsave_buffer(Q=90))
    with pytest.raises(UnblurError, match="colour profile that its decoder does not apply; convert it to PNG"):
        read_photo(tmp_path / "photo.jxl")


@needs_jpeg_xl
def test_pictures_are_turned_by_the_decoder_and_not_by_exif(tmp_path: Path) -> None:
    pixels = smooth(40, 60)
    data = insert_into_jxl(codestream(pixels, lossless=True), exif=EXIF[6:], xmp=None)
    (tmp_path / "photo.jxl").write_bytes(data)
    assert np.array_equal(read_photo(tmp_path / "photo.jxl").pixels, pixels)


@needs_jpeg_xl
def test_the_quality_changes_the_size() -> None:
    noise = Photo(pixels=np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8))
    sizes = [len(writing.encode_photo(noise, Path("a.jxl"), quality)) for quality in (None, 95, 40)]
    assert sizes[0] == sizes[1] > 2 * sizes[2]


@needs_jpeg_xl
def test_the_command_line_writes_jpeg_xl(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(png())
    assert main([str(tmp_path / "photo.png"), "--strength", "0", "--format", "jxl"]) == 0
    assert main([str(tmp_path / "photo_unblurred.jxl"), "--strength", "0", "-o", str(tmp_path / "b.jxl")]) == 0
    assert read_photo(tmp_path / "b.jxl").pixels.shape == read_photo(tmp_path / "photo.png").pixels.shape


# --- damage and malice ---------------------------------------------------------------------------------------


@needs_jpeg_xl
def test_animations_are_refused(tmp_path: Path) -> None:
    frames = to_vips(np.concatenate([smooth(), 255 - smooth()])).copy()
    frames.set_type(pyvips.GValue.gint_type, "page-height", 40)
    (tmp_path / "moving.jxl").write_bytes(frames.jxlsave_buffer())
    with pytest.raises(UnblurError, match="holds 2 pictures"):
        read_photo(tmp_path / "moving.jxl")


@needs_jpeg_xl
def test_floating_point_is_refused(tmp_path: Path) -> None:
    (tmp_path / "float.jxl").write_bytes(
        (to_vips(smooth()).cast("float") / 255).copy(interpretation="scrgb").jxlsave_buffer()
    )
    with pytest.raises(UnblurError, match="linear light"):
        read_photo(tmp_path / "float.jxl")


@needs_jpeg_xl
def test_large_empty_pictures_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty.jxl").write_bytes(codestream(np.zeros((3000, 3000, 3), np.uint8)))
    monkeypatch.setattr(reading, "LARGEST_EMPTY_PX", 1_000_000)
    monkeypatch.setattr(reading, "_decode_upright", lambda *_: pytest.fail("decoded"))
    with pytest.raises(UnblurError, match=r"3000 x 3000 pixels in .* cannot hold a photograph"):
        read_photo(tmp_path / "empty.jxl")
    monkeypatch.setattr(reading, "free_memory", lambda: 0)
    (tmp_path / "photo.jxl").write_bytes(codestream(smooth()))
    with pytest.raises(UnblurError, match="of memory"):
        read_photo(tmp_path / "photo.jxl")


@needs_jpeg_xl
@pytest.mark.parametrize("encode", [box, compressed])
def test_hostile_exif_never_reaches_libvips(tmp_path: Path, encode, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = bytes(4) + exif()[6:14] + fan(3000, 8)
    data = container(encode(b"Exif", hostile), codestream=codestream(smooth()))
    (tmp_path / "photo.jxl").write_bytes(data)
    load = pyvips.Image.jxlload_buffer
    fields = []

    def observe(content: bytes, **options: object) -> object:
        image = load(content, **options)
        fields.extend(image.get_fields())
        return image

    monkeypatch.setattr(pyvips.Image, "jxlload_buffer", observe)
    photo = read_photo(tmp_path / "photo.jxl")
    assert photo.pixels.shape == (40, 60, 3)
    assert photo.metadata.exif is not None
    assert fields
    assert not [name for name in fields if "exif" in name]


@needs_jpeg_xl
@pytest.mark.parametrize("seed", range(40))
def test_damaged_files_are_read_or_refused_in_a_sentence(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = insert_into_jxl(codestream(smooth(), lossless=bool(seed % 2)), exif=EXIF[6:], xmp=XMP)
    data = bytearray(whole)
    for place in rng.integers(0, len(data), 1 + seed % 5):
        data[place] = rng.integers(0, 256)
    path = tmp_path / "photo.jxl"
    path.write_bytes(bytes(data[: len(data) if seed % 3 else int(rng.integers(1, len(data)))]))
    said = str(path)
    try:
        read_photo(path)
    except UnblurError as error:
        said = str(error)
    assert str(path) in said
    assert "\n" not in said
