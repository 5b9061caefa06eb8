"""Errors for options that have another name now."""

from collections.abc import Iterable

from unblur.errors import UnblurError

RENAMED = {
    "--denoiser-from": "--init-denoiser",
    "--encoder": "--latent-encoder",
    "--hourglass-from": "--init-nafnet",
    "--kept": "--cache-size",
    "--motion-from": "--init-motion",
    "--prior-from": "--init-prior",
    "--start-from": "--init",
}
"""Former options, and their current names."""


def refuse_renamed(arguments: Iterable[str]) -> None:
    """Raise UnblurError with the current name if one of `arguments` is a former option."""
    for argument in arguments:
        if argument == "--":
            return
        option = argument.partition("=")[0].replace("_", "-")
        if option in RENAMED:
            raise UnblurError(f"The option {option} is {RENAMED[option]} now; use that.")
