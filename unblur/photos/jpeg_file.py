"""Reads the segments of JPEG files: the image, its metadata, and the data after the image.

Telephones put more behind the picture than the picture: a gain map (Ultra HDR), other pictures (MPO), a video (motion
photo). Damage is distinguished from oddity by what a decoder needs: tables and scans. Layout: ITU-T T.81, annex B;
JFIF 1.02; Multi-Picture Format (CIPA DC-007).
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from unblur.photos.iptc import PHOTOSHOP_HEADER, find_records, wrap_as_photoshop
from unblur.photos.photo import Resolution, Text
from unblur.photos.tiff_directories import EXIF_HEADER

LARGEST_EXIF_BYTES = 65_533
"""The largest EXIF block with its header: a segment stores its length in 16 bits, which count themselves."""
LARGEST_XMP_BYTES = 65_502
_LARGEST_COMMENT_BYTES = 65_533

_XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
_RETAINED_HEADERS = (_XMP_HEADER, b"ICC_PROFILE\0")
"""Headers of the segments that libvips reads: XMP and the colour profile."""
_EXTENDED_XMP_HEADER = b"http://ns.adobe.com/xmp/extension/\0"

_SOI, _EOI, _SOS, _DNL, _COMMENT = 0xD8, 0xD9, 0xDA, 0xDC, 0xFE
_APP0, _APP1, _APP13, _APP14 = 0xE0, 0xE1, 0xED, 0xEE
_TABLES = frozenset({0xC4, 0xCC, 0xDB, 0xDC, 0xDD})
"""DHT, DAC, DQT, DNL and DRI."""
_FRAMES = {
    0xC0: "baseline",
    0xC1: "extended",
    0xC2: "progressive",
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical",
    0xC7: "hierarchical",
    0xC9: "arithmetic",
    0xCA: "arithmetic progressive",
    0xCB: "lossless arithmetic",
    0xCD: "hierarchical",
    0xCE: "hierarchical",
    0xCF: "hierarchical",
}
_READABLE_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC9, 0xCA})

MOST_SCANS, _MOST_SEGMENTS = 100, 10_000
"""A scan of a few bytes makes a decoder go through the whole picture; photographs have some ten."""

_MARKER = re.compile(rb"\xff+[^\xff]", re.DOTALL)
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_JFIF_DENSITY_PLACE = 7
_UNITS = {1: "inch", 2: "centimetre"}


@dataclass(frozen=True, kw_only=True)
class JpegContents:
    """The contents of a JPEG file."""

    picture: bytes
    """A JPEG file of the tables, scans, colour profile and XMP, with the end marker that the file may lack.

    Without EXIF, on which libvips spends seconds where its entries are hostile.
    """
    exif: bytes | None
    iptc: bytes | None
    missing_share: float
    """Share of the picture's detail whose scans are not there, by the file's own structure; 0 for a whole file."""
    missing_share_if_cut: float
    """The missing share if the last scan is cut short."""
    unreadable: str | None
    """Why decoders cannot read it though it may be whole; None for what they read."""
    resolution: Resolution | None
    texts: tuple[Text, ...]
    left_behind: tuple[str, ...]


@dataclass
class _Walk:
    """The findings on the way through the segments."""

    picture: list[bytes] = field(default_factory=lambda: [b"\xff\xd8"])
    frame: int | None = None
    precision: int = 8
    components: list[int] = field(default_factory=list)
    scans: list[bytes] = field(default_factory=list)
    exif: bytes | None = None
    resolution: Resolution | None = None
    comments: list[bytes] = field(default_factory=list)
    headers: list[bytes] = field(default_factory=list)
    """The first bytes of each application segment."""
    photoshop: list[bytes] = field(default_factory=list)


def read_jpeg_contents(data: bytes) -> JpegContents:
    """Return the contents of the JPEG file `data`, which begins with the start marker."""
    walk, end = _walk_segments(data)
    iptc, has_more = find_records(b"".join(walk.photoshop))
    extra = [*_name_extra_contents(walk, data[end:]), *(["the resources of Photoshop"] if has_more else [])]
    return JpegContents(
        picture=b"".join([*walk.picture, b"\xff\xd9"]),
        exif=walk.exif,
        iptc=iptc,
        missing_share=_compute_missing_share(walk, walk.scans),
        missing_share_if_cut=_compute_missing_share(walk, walk.scans[:-1]),
        unreadable=_explain_unreadable(walk),
        resolution=walk.resolution,
        texts=tuple(
            Text(keyword="Comment", text=_decode(comment)) for comment in walk.comments if comment.strip(b"\0 ")
        ),
        left_behind=tuple(dict.fromkeys(extra)),
    )


def insert_into_jpeg(
    jpeg: bytes,
    *,
    exif: bytes | None,
    xmp: bytes | None,
    iptc: bytes | None,
    resolution: Resolution | None,
    texts: tuple[Text, ...],
) -> bytes:
    """Return the JPEG file, which holds none of these yet, with them; each has to fit into one segment.

    JFIF's segment is first, with the resolution, then EXIF and XMP, as their specifications have it, then the others.
    """
    place = 2
    while jpeg[place : place + 2] == b"\xff\xe0":
        place += 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
    segments = [_encode_jfif(resolution)]
    if exif is not None:
        segments.append(_segment(_APP1, exif))
    if xmp is not None:
        segments.append(_segment(_APP1, _XMP_HEADER + xmp))
    if iptc is not None:
        segments.append(_segment(_APP13, wrap_as_photoshop(iptc)))
    segments += [_segment(_COMMENT, text.text.encode()) for text in select_comments(texts)]
    return jpeg[:2] + b"".join(segments) + jpeg[place:]


def select_comments(texts: tuple[Text, ...]) -> list[Text]:
    """Return the texts that a JPEG file holds as comments."""
    return [text for text in texts if text.keyword == "Comment" and len(text.text.encode()) <= _LARGEST_COMMENT_BYTES]


def _walk_segments(data: bytes) -> tuple[_Walk, int]:
    """Return the contents of the segments of the first image, and its end."""
    walk = _Walk()
    place = 2
    for _ in range(_MOST_SEGMENTS):
        # Bytes between segments, of which there should be none, are skipped as decoders do.
        found = _MARKER.search(data, place)
        if found is None:
            return walk, len(data)
        place = found.end() - 2
        marker = data[place + 1]
        if marker == _EOI:
            return walk, place + 2
        if marker in (0x00, 0x01, _SOI) or 0xD0 <= marker <= 0xD7:
            place += 2
            continue
        if place + 4 > len(data):
            return walk, len(data)
        after = place + 2 + max(2, int.from_bytes(data[place + 2 : place + 4], "big"))
        if after > len(data):
            return walk, len(data)
        body = data[place + 4 : after]
        if marker == _SOS:
            end = _END_OF_SCAN.search(data, after)
            after = end.start() if end else len(data)
            coded = _strip_padding(data[place + 4 + len(body) : after])
            walk.picture.append(_normalise_scan(walk, data[place : place + 4] + body) + coded)
            walk.scans.append(body)
            if len(walk.scans) > MOST_SCANS:
                return walk, len(data)
        else:
            _add(walk, marker, body)
        place = after
    return walk, len(data)


def _add(walk: _Walk, marker: int, body: bytes) -> None:
    """Add one segment to the picture or to the metadata."""
    if marker in _FRAMES and walk.frame is None and len(body) >= 6:
        walk.frame, walk.precision = marker, body[0]
        walk.components = list(body[6::3][: body[5]])
    if marker in _TABLES or marker in _FRAMES:
        walk.picture.append(_segment(marker, body))
    elif marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
        # Its presence alone tells a decoder how colours are stored; a revision it does not know makes it complain.
        walk.picture.append(_encode_jfif(None))
        walk.resolution = _parse_resolution(body) or walk.resolution
    elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
        # Decoders take an unknown transform of colours for the usual one, and complain.
        walk.picture.append(_segment(marker, body[:11] + (body[11:12] if body[11] in (0, 1, 2) else b"\x01")))
    elif marker == _COMMENT:
        walk.comments.append(body)
    elif marker == _APP1 and body.startswith(EXIF_HEADER):
        walk.exif = walk.exif or body
    elif _APP1 <= marker <= 0xEF:
        walk.headers.append(body[:64])
        if body.startswith(PHOTOSHOP_HEADER):
            walk.photoshop.append(body.removeprefix(PHOTOSHOP_HEADER))
        if body.startswith(_RETAINED_HEADERS):
            walk.picture.append(_segment(marker, body))


def _strip_padding(coded: bytes) -> bytes:
    """Return coded data without the zeros behind them, of which a decoder of progressive pictures warns.

    Two stay: encoders may fill up their last bits with zeros, and a zero follows every 255.
    """
    bare = coded.rstrip(b"\0")
    return coded[: len(bare) + 2]


def _normalise_scan(walk: _Walk, start_of_scan: bytes) -> bytes:
    """Return the beginning of a scan with the fields that only progressive pictures have set to their fixed values."""
    return start_of_scan[:-3] + b"\0\x3f\0" if walk.frame in (0xC0, 0xC1, 0xC9) else start_of_scan


def _compute_missing_share(walk: _Walk, scans: list[bytes]) -> float:
    """Return the share of coefficients (of components, if not progressive) that none of `scans` completes."""
    components = set(walk.components) or {0}
    if walk.frame not in (0xC2, 0xCA):
        there = {component for scan in scans for component in _read_components(scan)}
        return len(components - there) / len(components)
    bits_left: dict[tuple[int, int], int] = {}
    for scan in scans:
        if len(scan) >= 4:
            places = range(scan[-3], min(scan[-2], 63) + 1)
            bits_left |= {(c, k): scan[-1] & 0x0F for c in _read_components(scan) if c in components for k in places}
    # The first of a coefficient's bits count half, the others the other half.
    there_share = sum(0.5 if left else 1.0 for left in bits_left.values())
    return 1 - there_share / (64 * len(components))


def _read_components(scan: bytes) -> bytes:
    return scan[1 : 1 + 2 * scan[0] : 2] if scan else b""


def _explain_unreadable(walk: _Walk) -> str | None:
    if walk.frame is not None and walk.frame not in _READABLE_FRAMES:
        return f"it is a {_FRAMES[walk.frame]} JPEG"
    if walk.precision != 8:
        return f"it is a JPEG of {walk.precision} bits a channel"
    if len(walk.scans) > MOST_SCANS:
        return f"it has more than {MOST_SCANS} scans"
    return None


def _name_extra_contents(walk: _Walk, rest: bytes) -> Iterator[str]:
    """Yield the contents of the file besides the image."""
    headers = walk.headers
    has_gain_map = any(header.startswith(b"urn:iso:std:iso:ts:21496:-1") for header in headers)
    if has_gain_map or b"http://ns.adobe.com/hdr-gain-map/1.0/" in rest:
        yield "the gain map"
    if any(header.startswith(_EXTENDED_XMP_HEADER) for header in headers):
        yield "the extended XMP packet"
    if rest[4:8] == b"ftyp" or b"MotionPhoto_Data" in rest or re.search(rb"....ftyp(?:mp4|isom|qt  )", rest, re.DOTALL):
        yield "the video"
    has_pictures = any(header.startswith(b"MPF\0") for header in headers) and b"\xff\xd8\xff" in rest
    if has_pictures and not has_gain_map and b"http://ns.adobe.com/hdr-gain-map/1.0/" not in rest:
        yield "the other pictures"


def _parse_resolution(jfif: bytes) -> Resolution | None:
    unit, x, y = struct.unpack_from(">BHH", jfif, _JFIF_DENSITY_PLACE)
    if not x or not y or (unit not in _UNITS and x == y):
        return None
    return Resolution(x=x, y=y, unit=_UNITS.get(unit, "none"))  # type: ignore[arg-type]


def _encode_jfif(resolution: Resolution | None) -> bytes:
    unit, x, y = 0, 1, 1
    if resolution is not None:
        unit = {"none": 0, "inch": 1, "centimetre": 2}[resolution.unit]
        x, y = (min(max(1, round(value)), 65_535) for value in (resolution.x, resolution.y))
    return _segment(_APP0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, x, y, 0, 0))


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def _decode(comment: bytes) -> str:
    """Decode a comment, whose encoding the format does not define."""
    text = comment.rstrip(b"\0")
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")
