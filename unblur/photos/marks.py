"""Marks in a photograph's metadata: which program made it what it is, and that part of it was generated.

EXIF says which program (tag Software); XMP says how the picture came about (the Digital Source Type of the IPTC Photo
Metadata Standard, whose values are IPTC NewsCodes). Whatever else the blocks say stays as it is.
"""

import struct
from contextlib import suppress
from dataclasses import replace
from xml.dom.minidom import Document, Element, parseString
from xml.parsers.expat import ExpatError

from unblur.photos.photo import Metadata
from unblur.photos.tiff_exif import EXIF_HEADER, byte_order

COMPOSITE_WITH_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""A photograph in which part was made by a trained network."""

_SOFTWARE, _ASCII = 0x0131, 2
_ENTRY_BYTES = 12

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = "DigitalSourceType"
_EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{_RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()


def marked(metadata: Metadata, *, software: str, source_type: str) -> Metadata:
    """`metadata` that also says which `software`, in ASCII, made the photograph, and of which `source_type` it is.

    A block that is so damaged that nobody can read it is replaced.
    """
    return replace(metadata, exif=_exif_with(metadata.exif, software), xmp=_xmp_with(metadata.xmp, source_type))


def _exif_with(exif: bytes | None, software: str) -> bytes:
    """The EXIF block with another Software.

    The first directory is written anew at the end, so that nothing else moves: cameras keep notes of their own whose
    places in the block are absolute.
    """
    block, order, entries, link = _first_directory((exif or b"").removeprefix(EXIF_HEADER))
    text = software.encode("ascii") + b"\0"
    text_at = len(block) + len(block) % 2
    directory_at = text_at + len(text) + len(text) % 2
    entries = [entry for entry in entries if struct.unpack_from(f"{order}H", entry)[0] != _SOFTWARE]
    entries.append(struct.pack(f"{order}HHII", _SOFTWARE, _ASCII, len(text), text_at))
    entries.sort(key=lambda entry: int(struct.unpack_from(f"{order}H", entry)[0]))
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + link
    block = block[:4] + struct.pack(f"{order}I", directory_at) + block[8:]
    return EXIF_HEADER + block.ljust(text_at, b"\0") + text.ljust(directory_at - text_at, b"\0") + directory


def _first_directory(block: bytes) -> tuple[bytes, str, list[bytes], bytes]:
    """The block, its byte order, the entries of its first directory, and the link to the next directory.

    Those of an empty block where none can be read.
    """
    with suppress(struct.error, ValueError):
        order = byte_order(block)
        start = struct.unpack_from(f"{order}I", block, 4)[0]
        count = struct.unpack_from(f"{order}H", block, start)[0]
        end = start + 2 + _ENTRY_BYTES * count
        if end + 4 <= len(block):
            places = range(start + 2, end, _ENTRY_BYTES)
            return block, order, [block[place : place + _ENTRY_BYTES] for place in places], block[end : end + 4]
    return b"II*\0" + bytes(4), "<", [], bytes(4)


def _xmp_with(xmp: bytes | None, source_type: str) -> bytes:
    """The XMP packet with another Digital Source Type, in a description of its own.

    The document model keeps every prefix as it is, which other programs, and ours, look for by their usual names.
    """
    document, rdf = _parsed(xmp or _EMPTY_PACKET)
    descriptions = [
        child for child in rdf.childNodes if isinstance(child, Element) and child.localName == "Description"
    ]
    for description in descriptions:
        _remove_source_type(description)
    prefix = f"{rdf.prefix}:" if rdf.prefix else ""
    # All descriptions in a packet are of the same thing, and must say so alike.
    about = next((d.getAttributeNS(_RDF, "about") for d in descriptions), "")
    mark = document.createElementNS(_RDF, f"{prefix}Description")
    mark.setAttribute("rdf:about", about)
    mark.setAttribute("xmlns:rdf", _RDF)
    mark.setAttribute("xmlns:Iptc4xmpExt", _IPTC_EXTENSION)
    mark.setAttribute(f"Iptc4xmpExt:{_SOURCE_TYPE}", source_type)
    rdf.appendChild(mark)
    # Not of the whole document, which would begin with a declaration where the packet's must be.
    return "".join(node.toxml() for node in document.childNodes).encode()


def _parsed(xmp: bytes) -> tuple[Document, Element]:
    """The packet and its rdf:RDF; those of an empty packet where none can be read."""
    with suppress(ExpatError, ValueError, LookupError):
        # Packets have no document type; the entities of one could be made to unfold without end.
        if b"<!DOCTYPE" not in xmp:
            document = parseString(xmp.strip(b"\0 \t\r\n"))
            return document, document.getElementsByTagNameNS(_RDF, "RDF")[0]
    return _parsed(_EMPTY_PACKET)


def _remove_source_type(description: Element) -> None:
    if description.hasAttributeNS(_IPTC_EXTENSION, _SOURCE_TYPE):
        description.removeAttributeNS(_IPTC_EXTENSION, _SOURCE_TYPE)
    for child in list(description.childNodes):
        if isinstance(child, Element) and (child.namespaceURI, child.localName) == (_IPTC_EXTENSION, _SOURCE_TYPE):
            description.removeChild(child)
