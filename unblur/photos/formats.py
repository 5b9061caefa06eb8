"""The formats of photographs, by the suffix of the file."""

WRITABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".avif", ".jxl"})
"""Suffixes of the photographs that can be read and written, in lower case; JPEG XL only with a libvips that has it."""

READABLE_SUFFIXES = WRITABLE_SUFFIXES | {".heic", ".heif", ".hif", ".mpo"}
"""These, and those that are only read: HEIC, because its encoder is under the GPL, and MPO, several JPEGs."""

RAW_SUFFIXES = frozenset({".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw"})
"""Suffixes of raw files of cameras. Most look like TIFF inside, whose first image is a thumbnail."""

OUTPUT_SUFFIXES = WRITABLE_SUFFIXES | {".dng"}
"""Suffixes of results. A DNG file of linear light can be written for raw files only."""

RESTORABLE_SUFFIXES = READABLE_SUFFIXES | RAW_SUFFIXES
"""Suffixes of the photographs that can be restored; data sets hold no raw files."""

LARGEST_SIDE_PX = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383, ".avif": 16_384}
"""The largest side of a format or its library; the others hold any photograph."""


def choose_result_suffix(suffix: str) -> str:
    """Return the suffix of a result: the photograph's, .tif for raw files, .jpg for others that are not written."""
    if suffix.lower() in RAW_SUFFIXES:
        return ".tif"
    return ".jpg" if suffix.lower() in READABLE_SUFFIXES - WRITABLE_SUFFIXES else suffix
