"""No-reference measures that need other people's weights, computed by the package pyiqa, which you install yourself.

pyiqa (Chen and others; adapter written for 0.1.16) is licensed PolyForm Noncommercial 1.0.0: it forbids commercial use,
so unblur neither depends on it nor installs it. It needs torchvision. The measures, as pyiqa's defaults define them:

- ILNIQE: Zhang, Zhang, Bovik, IEEE Transactions on Image Processing 24(8), 2015. Lower is better.
- NRQM: Ma, Yang, Yang, Yang, Computer Vision and Image Understanding 158, 2017. Higher is better, 0 to 10.
- PI, perceptual index: Blau, Mechrez, Timofte, Michaeli, Zelnik-Manor, ECCV Workshops 2018: ((10 - NRQM) + NIQE) / 2
  of the luma without four pixels at each border. Lower is better. Its NIQE is ours.
- MANIQA (Yang et al., CVPR Workshops 2022; weights of KonIQ-10k), LIQE (Zhang et al., CVPR 2023; KonIQ-10k), CLIP-IQA
  (Wang, Chan, Loy, AAAI 2023; without training) and MUSIQ (Ke et al., ICCV 2021; KonIQ-10k). Higher is better.

MANIQA's ViT-B/8 and LIQE's CLIP ViT-B/32 are fetched by pyiqa besides: without a network they must lie in the caches of
timm and pyiqa.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.metrics.checks import check_alone
from unblur.metrics.niqe import niqe

Measure = Literal["ilniqe", "nrqm", "pi", "maniqa", "liqe", "clipiqa", "musiq"]
NoReference = Callable[[Tensor], Tensor]

SMALLEST_PX = 224
"""The windows of MANIQA and LIQE; one bound for all, lest a table have holes."""
PI_BORDER_PX = 4

STORE = "chaofengc/IQA-PyTorch-Weights"
WEIGHTS: dict[Measure, str] = {
    "ilniqe": f"ILNIQE_templateModel.mat of the hub repository {STORE}",
    "nrqm": f"NRQM_model.mat of the hub repository {STORE}",
    "pi": f"NRQM_model.mat of the hub repository {STORE}",
    "maniqa": f"ckpt_koniq10k.pt of the hub repository {STORE}",
    "liqe": f"liqe_koniq.pt of the hub repository {STORE}",
    "clipiqa": "RN50.pt of OpenAI's CLIP",
    "musiq": f"musiq_koniq_ckpt-e95806b9.pth of the hub repository {STORE}",
}
"""The official file of each, as pyiqa names it."""


def load_with_pyiqa(measure: Measure, weights: Path) -> NoReference:
    """A function from images (B, 3, H, W), RGB in [0, 1], to their scores (B,), computed where the images lie.

    `weights` is the file that WEIGHTS names; `unblur.checkpoints.hub_files.find_weights` fetches it. Raises UnblurError
    when it is missing or pyiqa is; the function raises it for other shapes, sides below 224 pixels, and NaN.
    """
    if not weights.is_file():
        raise UnblurError(f"No weights of {measure} at {weights}; give {WEIGHTS[measure]}.")
    try:
        create_metric = import_module("pyiqa").create_metric
    except ImportError as error:
        raise UnblurError(
            f"{measure} is computed by the package pyiqa, which cannot be imported ({error}); install it with pip "
            "if its licence, PolyForm Noncommercial 1.0.0, allows what you do."
        ) from error
    model = _create(create_metric, measure, str(weights))

    def score(image: Tensor) -> Tensor:
        check_alone(image, metric=measure, smallest_px=SMALLEST_PX)
        with torch.no_grad():
            found: Tensor = model.to(image.device)(image.float().clamp(0, 1))
        found = found.reshape(len(image)).to(image)
        if measure == "pi":
            border = slice(PI_BORDER_PX, -PI_BORDER_PX)
            return ((10 - found) + niqe(image[..., border, border])) / 2
        return found

    return score


def _create(create_metric: Callable[..., Any], measure: Measure, weights: str) -> Any:
    match measure:
        case "ilniqe" | "nrqm" | "liqe" | "musiq":
            return create_metric(measure, device="cpu", pretrained_model_path=weights)
        case "pi":
            options = {"crop_border": PI_BORDER_PX, "color_space": "ycbcr"}
            return create_metric("nrqm", device="cpu", pretrained_model_path=weights, **options)
        case "maniqa":
            # Given as an option its file would have to be wrapped in a dictionary, which the official one is not.
            model = create_metric(measure, device="cpu", pretrained=False)
            model.load_weights(weights, weight_keys=None)
            return model
        case "clipiqa":
            return create_metric(measure, device="cpu", backbone=weights)
