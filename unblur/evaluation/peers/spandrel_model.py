"""Checkpoints of other people's networks, recognised and loaded by the package spandrel: what chaiNNer loads.

Written against spandrel 0.4.2. It needs torchvision, which is why it is an extra of its own.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from unblur.errors import UnblurError
from unblur.evaluation.peers.planes import to_pixels, to_planes
from unblur.regular_files import read_regular

SUFFIXES = (".pth", ".pt", ".ckpt", ".safetensors")


class SpandrelModel:
    """A network from RGB to RGB of the same size. Raises UnblurError for a file that spandrel cannot load."""

    def __init__(self, path: Path, device: torch.device) -> None:
        try:
            import spandrel
        except ImportError as error:
            raise UnblurError(
                f"{path} needs the package spandrel ({error}); run: pip install 'unblur[spandrel]'"
            ) from error
        self.name = path.name
        self.runtime = f"spandrel {spandrel.__version__}"
        self._device = device
        try:
            self.sha256 = hashlib.sha256(read_regular(path)).hexdigest()
            model = spandrel.ModelLoader(device).load_from_file(path)
        except OSError as error:
            raise UnblurError(f"{path} cannot be read: {error.strerror or error}; check the name.") from error
        except Exception as error:  # Damaged files and unknown networks fail in many ways.
            raise UnblurError(
                f"{self.runtime} cannot load {path}: {type(error).__name__}: {error}; give a checkpoint of a network "
                "that it knows, or export yours as ONNX."
            ) from error
        if not isinstance(model, spandrel.ImageModelDescriptor):
            raise UnblurError(f"{path} holds a network that needs a mask beside the picture; give one that restores.")
        kinds = (model.input_channels, model.output_channels, model.scale)
        if kinds != (3, 3, 1):
            raise UnblurError(
                f"{path} takes {kinds[0]} channels and gives {kinds[1]}, {kinds[2]} times as large; a method must make "
                "RGB of RGB in the same size."
            )
        self._model = model.float().eval()

    def restore(self, blurry: NDArray[Any]) -> NDArray[Any]:
        """Restore (H, W, 3) uint8 -> same; spandrel pads the picture as the network needs."""
        return to_pixels(self._model(to_planes(blurry).to(self._device)))
