"""Restores motion-blurred photographs: `unblur.load().restore(photo)`.

Names are imported on first use, so that `import unblur` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.photos.files import read_photo, write_photo
    from unblur.photos.photo import Photo
    from unblur.restoration.blur_report import BlurReport
    from unblur.restoration.estimate_shake import estimate_shake
    from unblur.restoration.inspect import inspect
    from unblur.restoration.restorer import load
    from unblur.restoration.shake import Shake

__all__ = [
    "BlurReport",
    "Photo",
    "Shake",
    "UnblurError",
    "__version__",
    "estimate_shake",
    "inspect",
    "load",
    "read_photo",
    "write_photo",
]

_HOMES = {
    "BlurReport": "unblur.restoration.blur_report",
    "Photo": "unblur.photos.photo",
    "Shake": "unblur.restoration.shake",
    "estimate_shake": "unblur.restoration.estimate_shake",
    "inspect": "unblur.restoration.inspect",
    "load": "unblur.restoration.restorer",
    "read_photo": "unblur.photos.files",
    "write_photo": "unblur.photos.files",
}

__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("unblur")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
