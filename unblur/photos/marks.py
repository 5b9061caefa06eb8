"""Marks in a photograph's metadata: the program that processed it, and that part of it was generated.

EXIF says which program (tag Software); XMP says how the picture came about (the Digital Source Type of the IPTC Photo
Metadata Standard, whose values are IPTC NewsCodes). Whatever else the blocks say stays as it is.
"""

from dataclasses import replace
from xml.dom.minidom import Element

from unblur.photos.exif_block import with_entries
from unblur.photos.photo import Metadata
from unblur.photos.tiff_directories import ASCII
from unblur.photos.xmp_packet import RDF, parse, serialise

COMPOSITE_WITH_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""A photograph in which part was made by a trained network."""

_SOFTWARE = 0x0131

_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = "DigitalSourceType"


def mark_metadata(metadata: Metadata, *, software: str, source_type: str) -> Metadata:
    """Return `metadata` with the `software`, in ASCII, that made the photograph, and its `source_type`.

    A block that is so damaged that nobody can read it is replaced.
    """
    return replace(
        metadata, exif=_set_exif_software(metadata.exif, software), xmp=_set_xmp_source_type(metadata.xmp, source_type)
    )


def _set_exif_software(exif: bytes | None, software: str) -> bytes:
    """Return the EXIF block with another Software."""
    text = software.encode("ascii") + b"\0"
    return with_entries(exif, {_SOFTWARE: (ASCII, len(text), text)})


def _set_xmp_source_type(xmp: bytes | None, source_type: str) -> bytes:
    """Return the XMP packet with another Digital Source Type, in a description of its own.

    The document model keeps every prefix as it is, which other programs, and ours, look for by their usual names.
    """
    document, rdf = parse(xmp)
    descriptions = [
        child for child in rdf.childNodes if isinstance(child, Element) and child.localName == "Description"
    ]
    for description in descriptions:
        _remove_source_type(description)
    prefix = f"{rdf.prefix}:" if rdf.prefix else ""
    # All descriptions in a packet are of the same thing, and must say so alike.
    about = next((d.getAttributeNS(RDF, "about") for d in descriptions), "")
    mark = document.createElementNS(RDF, f"{prefix}Description")
    mark.setAttribute("rdf:about", about)
    mark.setAttribute("xmlns:rdf", RDF)
    mark.setAttribute("xmlns:Iptc4xmpExt", _IPTC_EXTENSION)
    mark.setAttribute(f"Iptc4xmpExt:{_SOURCE_TYPE}", source_type)
    rdf.appendChild(mark)
    return serialise(document)


def _remove_source_type(description: Element) -> None:
    if description.hasAttributeNS(_IPTC_EXTENSION, _SOURCE_TYPE):
        description.removeAttributeNS(_IPTC_EXTENSION, _SOURCE_TYPE)
    for child in list(description.childNodes):
        if isinstance(child, Element) and (child.namespaceURI, child.localName) == (_IPTC_EXTENSION, _SOURCE_TYPE):
            description.removeChild(child)
