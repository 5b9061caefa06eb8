"""Fingerprints sets of images without reading them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def compute_fingerprint(pictures: Iterable[tuple[str, Iterable[Path]]]) -> str:
    """Return 64 digits that depend on the names of pictures, the sizes in bytes of their files, and the order."""
    digest = hashlib.sha256()
    for name, paths in pictures:
        # Missing files are reported when they are read.
        sizes = [path.stat().st_size if path.is_file() else 0 for path in paths]
        digest.update(f"{name}\0{sizes}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
