"""What is measured: our network, or a peer that stands in the same table."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.evaluation.peers.identity import leave_alone
from unblur.evaluation.peers.outputs import OutputFolder
from unblur.evaluation.peers.unsharp import unsharp_mask
from unblur.photos.photo import Photo
from unblur.restoration.restorer import Restorer, load

Pixels = NDArray[Any]
"""(H, W, 3) uint8."""

NAMES = ("network", "identity", "unsharp")
"""What a method is called that needs no file."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A restored picture and how it was cut for it."""

    pixels: Pixels
    tile_px: int = 0
    """Largest side of the tiles, 0 for one piece."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """Restores one picture after the other, and says what a table must say of it."""

    name: str
    apply: Callable[[Pixels, str], Restored]
    """From the blurry picture and its name."""
    checkpoint: str = ""
    """SHA-256 of the weights, or of what stands for them; empty where nothing does."""
    device: str = ""
    precision: str = ""
    pooling_window_px: str = ""


@dataclass(frozen=True, kw_only=True)
class MethodChoice:
    """From which any process can make the same `Method`."""

    method: str = "network"
    """One of NAMES, or a folder of pictures that another program restored."""
    checkpoint: str | None = None
    device: str = "auto"
    pooling_window_px: int | None = None


def open_method(choice: MethodChoice) -> Method:
    """The method that was chosen, ready to use. Raises UnblurError when there is none of that name."""
    match choice.method:
        case "network":
            return network(load(choice.checkpoint, choice.device, pooling_window_px=choice.pooling_window_px))
        case "identity":
            return called("identity", leave_alone)
        case "unsharp":
            return called("unsharp", unsharp_mask)
        case path if Path(path).is_dir():
            outputs = OutputFolder(Path(path))
            return Method(
                name=outputs.name,
                apply=lambda _, image: Restored(pixels=outputs.picture(image)),
                checkpoint=outputs.fingerprint,
            )
    raise UnblurError(
        f"There is no method {choice.method}; give {', '.join(NAMES)}, or a folder of pictures that were restored "
        "elsewhere, named like the blurry ones."
    )


def network(restorer: Restorer) -> Method:
    """Our network, with the settings of `restorer`."""

    def apply(blurry: Pixels, image: str) -> Restored:  # noqa: ARG001
        done = restorer.restore_photo(Photo(pixels=blurry))
        return Restored(pixels=done.photo.pixels, tile_px=done.tile_px)

    window_px = restorer.settings.pooling_window_px
    return Method(
        name="network",
        apply=apply,
        checkpoint=restorer.checkpoint_sha256 or "",
        device=restorer.device.type,
        precision="bfloat16" if restorer.uses_bfloat16(np.dtype(np.uint8)) else "float32",
        pooling_window_px="" if window_px is None else str(window_px),
    )


def called(name: str, restore: Callable[[Pixels], Pixels]) -> Method:
    """Any Python function from (H, W, 3) uint8 to the same."""
    return Method(name=name, apply=lambda blurry, _: Restored(pixels=restore(blurry)), device="cpu")
