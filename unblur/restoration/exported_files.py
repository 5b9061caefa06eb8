"""Packs exported networks for other programs: OpenVINO's pair of files and darktable's archive."""

import io
import json
import re
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from unblur.checkpoints.folder import Checkpoint
from unblur.errors import UnblurError
from unblur.models.pooling import choose_window_px
from unblur.restoration.onnx_export import SIDES, TILE_PX, NetworkDescription, build_onnx_model

DARKTABLE_CUT_PX = 64
"""Margin of a tile that darktable discards at every side. It joins the rest of the tiles without blending."""

_OLDEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""The time of all entries of an archive, so that equal networks give equal files."""

_COMPRESSION_LEVEL = 1
"""Level of zlib. The default of 6 takes five times as long for weights, and saves 5 % of the size."""


@dataclass(frozen=True, kw_only=True)
class DarktableConfig:
    """Content of `config.json` in a .dtmodel, with the keys that darktable 5.6 and darktable-ai-sdk 0.1.1 read."""

    id: str
    name: str
    description: str
    task: str
    arch: str
    backend: str
    version: str
    tiling: bool
    spatial_dims: tuple[str, str]
    model_card: Mapping[str, str]
    attributes: Mapping[str, tuple[int, ...]]


def read_model_card(checkpoint: Checkpoint) -> str:
    """Return the model card of `checkpoint`, or an empty string if it has none."""
    card = checkpoint.folder / "README.md"
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""


def describe_network(checkpoint: Checkpoint, *, fast: bool) -> NetworkDescription:
    """Return the description of the network of `checkpoint`, with the title and the licence of its model card.

    `fast`: whether the network restores at half the size only.
    """
    text = read_model_card(checkpoint)
    licence = re.search(r"^license: *(\S+)$", text, re.MULTILINE)
    title = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return NetworkDescription(
        name=title.group(1).strip() if title else checkpoint.folder.name,
        summary="Restores motion-blurred photographs by regression, without generated detail."
        + (" It restores at half the size only; fine blur stays." if fast else ""),
        licence=licence.group(1) if licence else "unknown",
        checkpoint_sha256=checkpoint.sha256,
    )


def build_openvino_files(model: bytes, description: NetworkDescription) -> tuple[bytes, bytes]:
    """Convert an ONNX model to OpenVINO's .xml and .bin. Raises UnblurError if openvino is not installed."""
    try:
        import openvino
    except ImportError:
        raise UnblurError(
            "Exporting for OpenVINO needs openvino, which is not installed; run: pip install 'unblur[openvino]'"
        ) from None
    converted = openvino.Core().read_model(model)
    for key, value in description.metadata().items():
        converted.set_rt_info(value, ["unblur", key])
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino.serialize(converted, str(xml), str(weights))
        return xml.read_bytes(), weights.read_bytes()


def choose_darktable_window_px(train_patch_px: int) -> int:
    """Return the window of local pooling for darktable's tiles, in px.

    A window that reaches beyond the discarded margin would make seams visible.
    """
    return min(choose_window_px(train_patch_px), 2 * DARKTABLE_CUT_PX)


def check_darktable_id(model_id: str) -> None:
    """Raise UnblurError for an identifier that darktable rejects."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", model_id):
        raise UnblurError(
            f"darktable identifies a model by the name of its file and rejects {model_id!r}; use letters, digits, "
            "dots, hyphens and underscores."
        )


def build_darktable_archive(network: nn.Module, description: NetworkDescription, model_id: str, card: str) -> bytes:
    """Build a .dtmodel: a zip file of one folder, `model_id`, with `config.json`, `model.onnx` and the model card.

    The task is "denoise", because darktable 5.6 has no task for deblurring and a denoiser also returns a picture of
    the same size. Source of the layout: docs/dtmodel-format.md in darktable-ai-sdk. Raises UnblurError for an
    identifier that darktable rejects.
    """
    check_darktable_id(model_id)
    config = DarktableConfig(
        id=model_id,
        name=description.name,
        description=description.summary,
        task="denoise",
        arch=type(network).__name__.lower(),
        backend="onnx",
        version=description.metadata()["version"],
        tiling=True,
        spatial_dims=SIDES,
        model_card={
            "long_description": description.summary,
            "scope": "motion deblurring",
            "license": description.licence,
            "notes": f"Weights {description.checkpoint_sha256}. README.md in the archive names the training data.",
        },
        attributes={"input_sizes": (TILE_PX,)},
    )
    files = {
        "config.json": (json.dumps(vars(config), indent=4, ensure_ascii=False) + "\n").encode(),
        "model.onnx": build_onnx_model(network, description, tile_px=TILE_PX),
        "README.md": card.encode(),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{model_id}/{name}", _OLDEST_ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, data, compresslevel=_COMPRESSION_LEVEL)
    return archive.getvalue()
