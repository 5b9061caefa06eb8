"""Single weight files of other people, from a path or from the Hugging Face hub: what the metrics load."""

import re
from pathlib import Path

from unblur.errors import UnblurError


def describe_hub_error(error: Exception) -> str:
    """Describe an error of the hub in the words of its library, without error numbers of the operating system."""
    line = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"\[Errno -?\d+\] ", "", line)


def find_weights(source: str | Path) -> Path:
    """Return the file at the path `source`, or the file "owner/name/path/in/the/repository" of the hub.

    A file that lies here wins over the hub; a file that was fetched before is not fetched again. Raises UnblurError
    when neither has it.
    """
    path = Path(source)
    if path.is_file():
        return path
    owner, _, rest = str(source).partition("/")
    name, _, inside = rest.partition("/")
    if not (owner and name and inside) or owner.startswith((".", "~")):
        raise UnblurError(f"No weights at {source}; give a file here, or one on the hub as owner/name/file.")
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(f"{owner}/{name}", inside))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UnblurError(
            f"{source} is neither a file here nor one that the hub provides "
            f"({describe_hub_error(error)}); check the name and the connection."
        ) from error
