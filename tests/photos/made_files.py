"""Small files built by hand: segments of JPEG, chunks of PNG, directories of TIFF, boxes of HEIF."""

import io
import struct
import zlib

import numpy as np
from PIL import Image
from smooth_picture import smooth

XMP_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"


def jpeg(pixels: np.ndarray | None = None, **more: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(smooth() if pixels is None else pixels).save(file, "JPEG", quality=90, **more)
    return file.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", 2 + len(body)) + body


def with_segments(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def claiming(data: bytes, width: int, height: int) -> bytes:
    """Return the JPEG with a header that claims another size."""
    place = next(data.index(bytes([0xFF, sof])) for sof in (0xC0, 0xC2) if bytes([0xFF, sof]) in data)
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 :]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(*chunks: bytes, pixels: np.ndarray | None = None) -> bytes:
    """Return a PNG with these chunks before its pixels."""
    file = io.BytesIO()
    Image.fromarray(smooth() if pixels is None else pixels).save(file, "PNG")
    return file.getvalue()[:33] + b"".join(chunks) + file.getvalue()[33:]


def blank_png(width: int, height: int, bits: int = 8) -> bytes:
    """Return an empty PNG, made without its pixels in memory."""
    compressor = zlib.compressobj(9)
    row = bytes(1 + 3 * width * bits // 8)
    data = b"".join(compressor.compress(row) for _ in range(height)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def entry(tag: int, kind: int, count: int, value: int | bytes) -> bytes:
    packed = struct.pack("<I", value) if isinstance(value, int) else value.ljust(4, b"\0")
    return struct.pack("<HHI", tag, kind, count) + packed


def directory(*entries: bytes) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def exif(*entries: bytes, more: bytes = b"") -> bytes:
    """Return an EXIF block; `more` begins at offset 8 + 2 + 12 * entries + 4."""
    return b"Exif\0\0II*\0" + struct.pack("<I", 8) + directory(*entries) + more


def fan(count: int, at: int) -> bytes:
    """Return a directory that refers to itself `count` times."""
    return directory(*[entry(0x8769, 4, 1, at)] * count)


def tiff(extra: tuple[tuple[int, int, int, bytes], ...] = (), pixels: np.ndarray | None = None) -> bytes:
    """Return a TIFF of one strip; `extra` has tag, type, count and bytes, and replaces entries of the same tag."""
    pixels = smooth() if pixels is None else pixels
    height, width, bands = pixels.shape
    data = pixels.tobytes()
    tags = {
        256: (4, 1, struct.pack("<I", width)),
        257: (4, 1, struct.pack("<I", height)),
        258: (3, bands, struct.pack("<H", pixels.itemsize * 8) * bands),
        259: (3, 1, struct.pack("<H", 1)),
        262: (3, 1, struct.pack("<H", 2 if bands >= 3 else 1)),
        273: (4, 1, struct.pack("<I", 8)),
        277: (3, 1, struct.pack("<H", bands)),
        278: (4, 1, struct.pack("<I", height)),
        279: (4, 1, struct.pack("<I", len(data))),
    } | {tag: (kind, count, value) for tag, kind, count, value in extra}
    values_at = 8 + len(data)
    start = values_at + sum(len(value) for _, _, value in tags.values() if len(value) > 4)
    values, entries = b"", []
    for tag, (kind, count, value) in sorted(tags.items()):
        if len(value) > 4:
            entries.append(entry(tag, kind, count, values_at + len(values)))
            values += value
        else:
            entries.append(entry(tag, kind, count, value))
    return b"II*\0" + struct.pack("<I", start) + data + values + directory(*entries)


def packet(attributes: str, inside: str = "") -> bytes:
    """Return an XMP packet of one description."""
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        f'xmlns:rdf="{RDF}"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" '
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" '
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/" '
        f'dc:format="image/jpeg" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def full_box(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags) + body)


def coded_picture(file: bytes, kind: bytes) -> tuple[bytes, bytes]:
    """Return the decoder's configuration box and the coded data of a HEIC or AVIF file of one picture."""
    config = b"hvcC" if kind == b"hvc1" else b"av1C"
    place = file.index(config) - 4
    size = struct.unpack_from(">I", file, place)[0]
    data = file.index(b"mdat") + 4
    return file[place : place + size], file[data:]


def heif(
    brand: bytes,
    items: list[tuple[bytes, bytes, list[bytes], bytes]],
    references: tuple[tuple[bytes, int, list[int]], ...] = (),
    primary: int = 1,
    groups: bytes = b"",
    hidden: bool = False,
) -> bytes:
    """Return a HEIF file of these items: type, data, properties (boxes), content type; references are numbers from 1.

    All but the primary are hidden, if asked for. Items of type `grid` and `tmap` have their data in the
    metadata, as is usual, and all others behind.
    """
    properties = list(dict.fromkeys(p for _, _, own, _ in items for p in own))
    infe = b"".join(
        full_box(b"infe", struct.pack(">HH4s", number, 0, kind) + b"\0" + content, 2, hidden and number != primary)
        for number, (kind, _, _, content) in enumerate(items, 1)
    )
    iref = b"".join(
        box(kind, struct.pack(">HH", source, len(targets)) + struct.pack(f">{len(targets)}H", *targets))
        for kind, source, targets in references
    )
    ipma = struct.pack(">I", len(items)) + b"".join(
        struct.pack(">HB", number, len(own)) + bytes(0x80 | (properties.index(p) + 1) for p in own)
        for number, (_, _, own, _) in enumerate(items, 1)
    )
    idat = b"".join(data for kind, data, _, _ in items if kind in (b"grid", b"tmap"))
    fixed = [
        full_box(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        full_box(b"pitm", struct.pack(">H", primary)),
        full_box(b"iinf", struct.pack(">H", len(items)) + infe),
        full_box(b"iref", iref) if iref else b"",
        box(b"iprp", box(b"ipco", b"".join(properties)) + full_box(b"ipma", ipma)),
        box(b"idat", idat) if idat else b"",
        groups,
    ]
    ftyp = box(b"ftyp", brand + bytes(4) + brand + b"mif1")
    # Size, version, flags, sizes of numbers, count, and 16 bytes for each item.
    iloc_bytes = 8 + 4 + 4 + 16 * len(items)
    data_at = len(ftyp) + 12 + sum(map(len, fixed)) + iloc_bytes + 8
    in_file: dict[bytes, int] = {}
    mdat, in_idat, places = b"", 0, b""
    for number, (kind, data, _, _) in enumerate(items, 1):
        if kind in (b"grid", b"tmap"):
            place, method = in_idat, 1
            in_idat += len(data)
        else:
            if data not in in_file:
                in_file[data] = data_at + len(mdat)
                mdat += data
            place, method = in_file[data], 0
        places += struct.pack(">HHHHII", number, method, 0, 1, place, len(data))
    iloc = full_box(b"iloc", b"\x44\0" + struct.pack(">H", len(items)) + places, version=1)
    assert len(iloc) == iloc_bytes
    return ftyp + full_box(b"meta", b"".join(fixed) + iloc) + box(b"mdat", mdat)


def size_property(width: int, height: int) -> bytes:
    return full_box(b"ispe", struct.pack(">II", width, height))


def grid(rows: int, columns: int, width: int, height: int) -> bytes:
    return struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
