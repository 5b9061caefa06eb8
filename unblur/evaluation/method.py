"""Methods to measure: our network, or a peer in the same table."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.evaluation.peers.identity import identity
from unblur.evaluation.peers.onnx_model import OnnxModel
from unblur.evaluation.peers.outputs import OutputFolder
from unblur.evaluation.peers.python_function import PythonFunction, is_function_name
from unblur.evaluation.peers.spandrel_model import SUFFIXES, SpandrelModel
from unblur.evaluation.peers.unsharp import unsharp_mask
from unblur.photos.photo import Photo
from unblur.restoration.device import choose_device, uses_bfloat16
from unblur.restoration.generative import GenerativeRestorer, GenerativeSettings
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer

Pixels = NDArray[Any]
"""(H, W, 3) uint8."""

EIGHT_BITS = np.dtype(np.uint8)

NAMES = ("faithful", "network", "fast", "generative", "identity", "unsharp")
"""Names of the methods that are not named by a file."""

MOVED = {
    "maxim": "experiments.baselines.maxim:load",
    "polyblur": "experiments.baselines.polyblur:restore",
    "richardson-lucy": "experiments.baselines.richardson_lucy:restore",
}
"""Former names of methods, and the functions that they have become."""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A restored picture and the size of its tiles."""

    pixels: Pixels
    tile_px: int = 0
    """Largest side of the tiles, 0 for one piece."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A function that restores one picture after the other, and its description for tables."""

    name: str
    apply: Callable[[Pixels, str], Restored]
    """Restores an image, given with its name."""
    checkpoint: str = ""
    """SHA-256 of the weights, or of what stands for them; empty where nothing does."""
    device: str = ""
    precision: str = ""
    pooling_window_px: str = ""
    runtime: str = ""
    """The runtime, if not torch alone, and its settings."""


@dataclass(frozen=True, kw_only=True)
class MethodSpec:
    """The specification of a method, from which any process can open the same `Method`."""

    method: str = "network"
    """One of NAMES, an ONNX model, a checkpoint for spandrel, module:function of Python, or a folder of pictures that
    another program restored."""
    checkpoint: str | None = None
    """Checkpoint of the network, of GLOWDeblur, or for a Python function that loads weights."""
    decoder: str | None = None
    """The decoder that GLOWDeblur was trained with, a folder or a hub id."""
    generative: GenerativeSettings = field(default_factory=GenerativeSettings)
    """Settings of GLOWDeblur."""
    device: str = "auto"
    pooling_window_px: int | None = None
    multiple_px: int = 1
    """Number that both sides of the images of an ONNX model must be multiples of."""


def open_method(choice: MethodSpec) -> Method:
    """Open the chosen method. Raises UnblurError when there is none of that name."""
    match choice.method:
        case "faithful" | "network" | "fast":
            restorer = load(
                choice.checkpoint,
                choice.device,
                pooling_window_px=choice.pooling_window_px,
                mode="fast" if choice.method == "fast" else "faithful",
                shake="auto" if choice.method == "faithful" else "off",
                # Tables compare networks, and must not depend on the runtimes that are installed.
                runtime="torch",
            )
            return network(restorer, name=choice.method)
        case "generative":
            return _generative(choice)
        case "identity":
            return from_function("identity", identity)
        case "unsharp":
            return from_function("unsharp", unsharp_mask)
        case path if path.lower().endswith(".onnx"):
            return _onnx(choice)
        case path if path.lower().endswith(SUFFIXES):
            return _spandrel(choice)
        case path if Path(path).is_dir():
            outputs = OutputFolder(Path(path))
            return Method(
                name=outputs.name,
                apply=lambda _, image: Restored(pixels=outputs.picture(image)),
                checkpoint=outputs.fingerprint,
            )
        case name if is_function_name(name):
            device = choose_device(choice.device)
            function = PythonFunction(name, choice.checkpoint, device)
            return from_function(function.name, function.restore, checkpoint=function.sha256, device=device.type)
        case name if name in MOVED:
            raise UnblurError(
                f"The method {name} has moved to {MOVED[name]}, which is found in a clone of the repository; give that."
            )
    raise UnblurError(
        f"There is no method {choice.method}; give {', '.join(NAMES)}, a file .onnx or {', '.join(SUFFIXES)}, "
        "module:function, or a folder of pictures that were restored elsewhere, named like the blurry ones."
    )


def network(restorer: Restorer, *, name: str = "network") -> Method:
    """Return the method of our network, with the settings of `restorer`."""
    return _ours(name, restorer, restorer.settings.pooling_window_px, half=restorer.uses_bfloat16(EIGHT_BITS))


def _generative(choice: MethodSpec) -> Method:
    settings = replace(choice.generative, pooling_window_px=choice.pooling_window_px)
    restorer = load(choice.checkpoint, choice.device, mode="generative", generative=settings, decoder=choice.decoder)
    settings = restorer.settings
    half = uses_bfloat16(settings.precision, restorer.device, EIGHT_BITS)
    method = _ours(f"generative-{settings.fidelity:g}", restorer, settings.pooling_window_px, half=half)
    decoder = (restorer.decoder_sha256 or "")[:12]
    how = f"{settings.solver}, {settings.steps} steps, seed {settings.seed}, decoder {decoder}"
    return replace(method, runtime=how)


def _ours(name: str, restorer: Restorer | GenerativeRestorer, window_px: int | None, *, half: bool) -> Method:
    def apply(blurry: Pixels, image: str) -> Restored:  # noqa: ARG001
        done = restorer.restore_photo(Photo(pixels=blurry))
        return Restored(pixels=done.photo.pixels, tile_px=done.tile_px)

    return Method(
        name=name,
        apply=apply,
        checkpoint=restorer.checkpoint_sha256 or "",
        device=restorer.device.type,
        precision="bfloat16" if half else "float32",
        pooling_window_px="" if window_px is None else str(window_px),
    )


def from_function(
    name: str, restore: Callable[[Pixels], Pixels], *, checkpoint: str = "", device: str = "cpu"
) -> Method:
    """Return the method of a Python function from (H, W, 3) uint8 to the same."""
    return Method(
        name=name, apply=lambda blurry, _: Restored(pixels=restore(blurry)), checkpoint=checkpoint, device=device
    )


def _spandrel(choice: MethodSpec) -> Method:
    device = choose_device(choice.device)
    model = SpandrelModel(Path(choice.method), device)
    method = from_function(model.name, model.restore, checkpoint=model.sha256, device=device.type)
    return replace(method, runtime=model.runtime)


def _onnx(choice: MethodSpec) -> Method:
    model = OnnxModel(Path(choice.method), device=choice.device, multiple_px=choice.multiple_px)
    return Method(
        name=model.name,
        apply=lambda blurry, _: Restored(pixels=model.restore(blurry), tile_px=model.tile_px(blurry)),
        checkpoint=model.sha256,
        device=model.device,
        runtime=model.runtime,
    )
