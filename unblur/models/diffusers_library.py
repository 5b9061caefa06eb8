"""The library diffusers (Hugging Face, Apache-2.0; our extra `generative`), imported only when it is needed."""

from typing import Any

from unblur.errors import UnblurError


def import_diffusers() -> Any:
    """Import the library. Raises UnblurError when it is not installed."""
    try:
        import diffusers
    except ImportError as error:
        raise UnblurError(
            "Generative restoration needs the library diffusers, which is not installed: "
            "pip install 'unblur[generative]'."
        ) from error
    return diffusers
