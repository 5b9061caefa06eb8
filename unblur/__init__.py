"""Restores motion-blurred photographs: `unblur.load().restore(photo)`.

Names are imported on first use, so that `import unblur` costs nothing. `docs/reference/python.md` describes them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur import blur, datasets, metrics
    from unblur.photos.photo import Metadata, Photo
    from unblur.photos.reading import read_photo
    from unblur.photos.writing import write_photo
    from unblur.restoration.blur_report import BlurReport
    from unblur.restoration.estimate_shake import estimate_shake
    from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings
    from unblur.restoration.inspect import inspect
    from unblur.restoration.loading import load
    from unblur.restoration.picture_restorer import Restoration
    from unblur.restoration.restorer import Restorer
    from unblur.restoration.shake import Shake

__all__ = [
    "BlurReport",
    "GenerativeRestorer",
    "GenerativeSettings",
    "Metadata",
    "Photo",
    "Restoration",
    "Restorer",
    "Shake",
    "UnblurError",
    "__version__",
    "blur",
    "datasets",
    "estimate_shake",
    "inspect",
    "load",
    "metrics",
    "read_photo",
    "write_photo",
]

_HOMES = {
    "BlurReport": "unblur.restoration.blur_report",
    "GenerativeRestorer": "unblur.restoration.generative",
    "GenerativeSettings": "unblur.restoration.generative",
    "Metadata": "unblur.photos.photo",
    "Photo": "unblur.photos.photo",
    "Restoration": "unblur.restoration.picture_restorer",
    "Restorer": "unblur.restoration.restorer",
    "Shake": "unblur.restoration.shake",
    "estimate_shake": "unblur.restoration.estimate_shake",
    "inspect": "unblur.restoration.inspect",
    "load": "unblur.restoration.loading",
    "read_photo": "unblur.photos.reading",
    "write_photo": "unblur.photos.writing",
}
_MODULES = ("blur", "datasets", "metrics")

__version__: str


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("unblur")
    if name in _MODULES:
        return import_module(f"unblur.{name}")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
