"""The formats of photographs, by the suffix of the file."""

READABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif"})
"""Suffixes of the photographs that can be read and written, in lower case."""

LARGEST_SIDE_PX = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383, ".avif": 16_384}
"""Where a format or its library ends; the others hold any photograph."""
