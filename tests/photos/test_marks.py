"""Marks reach every format, as other programs read them, and cost nothing that was said before."""

import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from formats_here import WRITTEN_FOR_PILLOW
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from unblur.photos.marks import COMPOSITE_WITH_GENERATED, mark_metadata
from unblur.photos.photo import Metadata, Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

SOFTWARE, MAKE, EXIF_IFD, EXPOSURE, MAKER_NOTE = 0x0131, 0x010F, 0x8769, 0x829A, 0x927C
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
OLD_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


def packet(inside: str) -> bytes:
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">{inside}</rdf:RDF></x:xmpmeta>'
        + " " * 50
        + '<?xpacket end="w"?>'
    ).encode()


XMP = packet(
    '<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"><dc:title><rdf:Alt>'
    '<rdf:li xml:lang="x-default">Żółw &amp; friends</rdf:li></rdf:Alt></dc:title></rdf:Description>'
)
CLAIMS = {
    "attribute": f'<rdf:Description rdf:about="" xmlns:e="{IPTC[1:-1]}" e:DigitalSourceType="{OLD_TYPE}"/>',
    "element": f'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="{IPTC[1:-1]}"><Iptc4xmpExt:DigitalSourceType>'
    f"{OLD_TYPE}</Iptc4xmpExt:DigitalSourceType><Iptc4xmpExt:Event>Regatta</Iptc4xmpExt:Event></rdf:Description>",
}


def exif_block(big: bool = False) -> bytes:
    exif = Image.Exif()
    exif.endian = ">" if big else "<"
    exif[MAKE], exif[SOFTWARE] = "Unblur Camera Works", "Firmware 1.0"
    exif.get_ifd(EXIF_IFD).update({EXPOSURE: 0.25, MAKER_NOTE: b"notes of the camera's own"})
    return exif.tobytes()


def mark(metadata: Metadata) -> Metadata:
    return mark_metadata(metadata, software="unblur 0.1.0, generative", source_type=COMPOSITE_WITH_GENERATED)


def source_types(xmp: bytes) -> list[str]:
    """Read the source types with another parser, that of the standard library."""
    root = ET.fromstring(xmp.decode())
    found = [d.get(f"{IPTC}DigitalSourceType") for d in root.iter(f"{RDF}Description")]
    return [value for value in found if value] + [str(e.text) for e in root.iter(f"{IPTC}DigitalSourceType")]


def xmp_in(image: Image.Image) -> bytes:
    # libvips puts UTF-8 into a PNG chunk that is read as Latin-1.
    xmp: bytes = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp", "").encode("latin-1")
    return xmp


@pytest.mark.parametrize("suffix", WRITTEN_FOR_PILLOW)
@pytest.mark.parametrize("bare", [True, False], ids=["bare", "with metadata"])
def test_pillow_reads_the_marks_in_every_format(tmp_path: Path, suffix: str, bare: bool) -> None:
    pixels = np.full((40, 60, 3), 90, np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.jpg", **({} if bare else {"exif": exif_block(), "xmp": XMP}))
    photo = read_photo(tmp_path / "in.jpg")
    path = tmp_path / f"out{suffix}"
    write_photo(Photo(pixels=photo.pixels, metadata=mark(photo.metadata)), path)
    with Image.open(path) as image:
        exif, xmp = image.getexif(), xmp_in(image)
        assert exif[SOFTWARE] == "unblur 0.1.0, generative"
        assert exif.get(MAKE) == (None if bare else "Unblur Camera Works")
        assert exif.get_ifd(EXIF_IFD).get(EXPOSURE) == (None if bare else 0.25)
    assert source_types(xmp) == [COMPOSITE_WITH_GENERATED]
    if not bare:
        assert "Żółw &amp; friends" in xmp.decode()
        # The pixels are upright, and the packet says so.
        assert b'tiff:Orientation="1"' in xmp
    again = read_photo(path)
    assert np.abs(again.pixels.astype(int) - 90).max() <= 4
    # Marking twice is marking once.
    assert source_types(mark(again.metadata).xmp or b"") == [COMPOSITE_WITH_GENERATED]


@pytest.mark.parametrize("claim", CLAIMS)
def test_an_earlier_source_type_is_replaced(claim: str) -> None:
    marks = mark(Metadata(xmp=packet(CLAIMS[claim])))
    assert marks.xmp is not None
    assert source_types(marks.xmp) == [COMPOSITE_WITH_GENERATED]
    assert ("Regatta" in marks.xmp.decode()) == (claim == "element")


def test_descriptions_have_the_same_subject() -> None:
    xmp = mark(Metadata(xmp=XMP)).xmp
    assert xmp is not None
    assert xmp.startswith(b"<?xpacket begin")
    assert xmp.endswith(b'<?xpacket end="w"?>')
    assert {d.get(f"{RDF}about") for d in ET.fromstring(xmp.decode()).iter(f"{RDF}Description")} == {"uuid:1"}


@pytest.mark.parametrize("big", [False, True], ids=["little-endian", "big-endian"])
def test_exif_values_remain_at_their_offsets(big: bool) -> None:
    before = exif_block(big)
    after = mark(Metadata(exif=before)).exif
    assert after is not None
    # Only the place of the first directory changed, in the header.
    assert after[: len(before)][14:] == before[14:]
    exif = Image.Exif()
    exif.load(after)
    assert exif[SOFTWARE] == "unblur 0.1.0, generative"
    assert exif[MAKE] == "Unblur Camera Works"
    assert exif.get_ifd(EXIF_IFD)[MAKER_NOTE] == b"notes of the camera's own"


def test_the_directory_is_sorted_and_linked_as_before() -> None:
    entry = struct.pack("<HHII", 0x9999, 4, 1, 7)
    block = b"Exif\0\0II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 1234)
    after = mark(Metadata(exif=block)).exif
    assert after is not None
    start = struct.unpack_from("<I", after, 10)[0] + 6
    count, first = struct.unpack_from("<HH", after, start)
    assert (count, first) == (2, SOFTWARE)
    assert after[start + 2 + 12 : start + 2 + 24] == entry
    assert struct.unpack_from("<I", after, start + 2 + 24) == (1234,)


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + packet("")


@pytest.mark.parametrize("xmp", [b"\xff\xfe", b"<open", b"<a/>", BOMB, packet("<rdf:Description")])
def test_damaged_packets_are_replaced(xmp: bytes) -> None:
    assert source_types(mark(Metadata(xmp=xmp)).xmp or b"") == [COMPOSITE_WITH_GENERATED]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_damaged_blocks_still_get_the_marks(noise: bytes, place: int) -> None:
    block = bytearray(exif_block())
    block[place : place + len(noise)] = noise
    after = mark(Metadata(exif=bytes(block))).exif
    assert after is not None
    order = ">" if after[6:8] == b"MM" else "<"
    start = 6 + struct.unpack_from(f"{order}I", after, 10)[0]
    count = struct.unpack_from(f"{order}H", after, start)[0]
    entries = [struct.unpack_from(f"{order}HHII", after, start + 2 + 12 * index) for index in range(count)]
    assert [after[6 + at : 6 + at + length] for tag, _, length, at in entries if tag == SOFTWARE] == [
        b"unblur 0.1.0, generative\0"
    ]
