"""Suffixes for tests: JPEG XL needs a libvips with libjxl, and Pillow does not read it."""

import pytest

from unblur.photos.formats import WRITABLE_SUFFIXES
from unblur.photos.libvips import can_read_jpeg_xl, can_write_jpeg_xl

HAS_JPEG_XL = can_read_jpeg_xl() and can_write_jpeg_xl()

needs_jpeg_xl = pytest.mark.skipif(not HAS_JPEG_XL, reason="this libvips was built without libjxl")

WRITTEN_HERE = sorted(WRITABLE_SUFFIXES if HAS_JPEG_XL else WRITABLE_SUFFIXES - {".jxl"})
WRITTEN_FOR_PILLOW = sorted(WRITABLE_SUFFIXES - {".jxl"})
