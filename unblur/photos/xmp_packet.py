"""XMP packets: read into a document, changed, and written again.

The document model keeps every prefix as it is, which other programs, and ours, look for by their usual names.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from xml.dom.minidom import Document, Element, parseString
from xml.parsers.expat import ExpatError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

_GOOGLE = "http://ns.google.com/photos/1.0/"
_NOTE = "http://ns.adobe.com/xmp/note/"
_CAMERA_VIDEO = re.compile(r"MotionPhoto|MicroVideo|OnePlusMotion")
_CLAIMS: dict[str, str] = {
    "http://ns.adobe.com/hdr-gain-map/1.0/": "the gain map",
    "http://ns.apple.com/HDRGainMap/1.0/": "the gain map",
    f"{_GOOGLE}container/": "",
    f"{_GOOGLE}depthmap/": "the depth map",
    "http://ns.google.com/photos/dd/1.0/device/": "the depth map",
    f"{_GOOGLE}image/": "another picture",
    f"{_GOOGLE}audio/": "the sound",
}
"""Namespaces whose statements are all about what lies beside the photograph in its file, and what that is. The
container's directory names what other namespaces describe."""

_SEMANTICS = {"GainMap": "the gain map", "MotionPhoto": "the video", "Depth": "the depth map"}
"""Contents of a container, keyed by their name in XMP."""

_LARGEST_BYTES, _DEEPEST = 4_000_000, 100
"""Packets that are larger or nest deeper are left as they are."""

_EMPTY_PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    f'<rdf:RDF xmlns:rdf="{RDF}"></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
).encode()


def parse(xmp: bytes | None) -> tuple[Document, Element]:
    """Parse the packet and its rdf:RDF; return those of an empty packet if it cannot be parsed."""
    return _read(xmp or b"") or _parse_empty()


def serialise(document: Document) -> bytes:
    """Serialise the packet."""
    # Not of the whole document, which would begin with a declaration where the packet's must be.
    return "".join(node.toxml() for node in document.childNodes).encode()


def set_upright(xmp: bytes) -> bytes:
    """Set the orientation in the packet to upright; viewers that obey it would else turn the upright pixels again."""
    attribute = re.sub(rb'(tiff:Orientation\s*=\s*["\'])\d(["\'])', rb"\g<1>1\g<2>", xmp)
    return re.sub(rb"(<tiff:Orientation>)\s*\d\s*(</tiff:Orientation>)", rb"\g<1>1\g<2>", attribute)


def remove_other_claims(xmp: bytes | None) -> tuple[bytes | None, tuple[str, ...]]:
    """Remove claims of a gain map, a video, a depth map or another packet in the file; return their names too.

    Unchanged where there are none, or where it cannot be read.
    """
    document_and_rdf = _read(xmp or b"")
    if document_and_rdf is None:
        return xmp, ()
    document, rdf = document_and_rdf
    removed: list[str] = []
    for element in list(_iterate_elements(rdf)):
        for name in list(element.attributes.keys()):
            attribute = element.attributes[name]
            claim = _read_claim(attribute.namespaceURI, attribute.localName)
            if claim is not None:
                removed.append(claim)
                element.removeAttribute(name)
        claim = _read_claim(element.namespaceURI, element.localName)
        if claim is not None and element.parentNode is not None:
            removed.append(claim)
            removed += [name for word, name in _SEMANTICS.items() if f'Semantic="{word}"' in element.toxml()]
            element.parentNode.removeChild(element)
    if not removed:
        return xmp, ()
    return serialise(document), tuple(dict.fromkeys(name for name in removed if name))


def _read_claim(namespace: str | None, name: str | None) -> str | None:
    """Return the content that a statement claims; "" where others state it; None for any other statement."""
    if namespace == f"{_GOOGLE}camera/" and _CAMERA_VIDEO.match(name or ""):
        return "the video"
    if namespace == _NOTE and name == "HasExtendedXMP":
        return "the extended XMP packet"
    return _CLAIMS.get(namespace or "")


def _iterate_elements(root: Element) -> Iterator[Element]:
    """Yield `root` and the elements inside it, the outer before the inner. Raises ValueError if too deep."""
    waiting = [(root, 0)]
    while waiting:
        element, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(f"elements nest more than {_DEEPEST} deep")
        yield element
        waiting += [(child, depth + 1) for child in element.childNodes if isinstance(child, Element)]


def _read(xmp: bytes) -> tuple[Document, Element] | None:
    """Parse the document and its rdf:RDF; None if the packet is damaged, or larger or deeper than those of cameras."""
    # Packets have no document type; the entities of one could be made to unfold without end. The zeros of UTF-16 are
    # left out to find it there too.
    if len(xmp) > _LARGEST_BYTES or b"<!DOCTYPE" in xmp.replace(b"\0", b""):
        return None
    with suppress(ExpatError, ValueError, LookupError):
        document = parseString(xmp.strip(b"\0 \t\r\n"))
        root = document.documentElement
        for element in _iterate_elements(root) if root is not None else ():
            if (element.namespaceURI, element.localName) == (RDF, "RDF"):
                return document, element
    return None


def _parse_empty() -> tuple[Document, Element]:
    document = parseString(_EMPTY_PACKET)
    rdf: Element = document.getElementsByTagNameNS(RDF, "RDF")[0]
    return document, rdf
