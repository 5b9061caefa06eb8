"""Exported networks as the files that other programs open: ONNX, OpenVINO's pair of files, darktable's archive."""

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
from unblur.models.pooling import usual_window_px
from unblur.restoration.onnx_export import SIZES, TILE_PX, NetworkFacts, onnx_model

DARKTABLE_CUT_PX = 64
"""darktable throws away this much at every side of a tile, and sets what is left side by side without fading."""

_OLDEST_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
"""Of the entries of archives: equal networks make equal files."""


@dataclass(frozen=True, kw_only=True)
class DarktableConfig:
    """`config.json` of a .dtmodel, with the keys that darktable 5.6 and darktable-ai-sdk 0.1.1 read."""

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


def card_of(checkpoint: Checkpoint) -> str:
    """The model card of a checkpoint; empty where it has none."""
    card = checkpoint.folder / "README.md"
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""


def facts_of(checkpoint: Checkpoint, *, fast: bool) -> NetworkFacts:
    """What an exported file says about the network of `checkpoint`; the licence is what its card says."""
    text = card_of(checkpoint)
    licence = re.search(r"^license: *(\S+)$", text, re.MULTILINE)
    title = re.search(r"^# +(.+)$", text, re.MULTILINE)
    return NetworkFacts(
        name=title.group(1).strip() if title else checkpoint.folder.name,
        description="Restores motion-blurred photographs. It averages over what may have been and invents nothing."
        + (" It looks at half the size alone; fine blur stays." if fast else ""),
        licence=licence.group(1) if licence else "unknown",
        checkpoint_sha256=checkpoint.sha256,
    )


def openvino_files(model: bytes, facts: NetworkFacts) -> tuple[bytes, bytes]:
    """An ONNX model as OpenVINO's .xml and .bin. Raises UnblurError without the package openvino."""
    try:
        import openvino
    except ImportError:
        raise UnblurError(
            "OpenVINO's files need openvino, which is missing; run: pip install 'unblur[openvino]'"
        ) from None
    read = openvino.Core().read_model(model)
    for key, value in facts.metadata().items():
        read.set_rt_info(value, ["unblur", key])
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder) / "model.xml", Path(folder) / "model.bin"
        openvino.serialize(read, str(xml), str(weights))
        return xml.read_bytes(), weights.read_bytes()


def darktable_window_px(train_patch_px: int) -> int:
    """How far averages reach in darktable's tiles: no further than what it throws away, or seams would show."""
    return min(usual_window_px(train_patch_px), 2 * DARKTABLE_CUT_PX)


def check_darktable_id(model_id: str) -> None:
    """Raises UnblurError for an identifier that darktable refuses."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", model_id):
        raise UnblurError(
            f"darktable takes the name of the file for the model's, and {model_id!r} cannot be one; use letters, "
            "digits, dots, hyphens and underscores."
        )


def darktable_archive(network: nn.Module, facts: NetworkFacts, model_id: str, card: str) -> bytes:
    """A .dtmodel: a zip file of one folder, named `model_id`, with `config.json`, `model.onnx` and the model card.

    The task is "denoise": darktable 5.6 has none for deblurring, and asks models of this one for a picture of the same
    size. The layout is that of docs/dtmodel-format.md in darktable-ai-sdk. Raises UnblurError for an identifier that
    darktable refuses.
    """
    check_darktable_id(model_id)
    config = DarktableConfig(
        id=model_id,
        name=facts.name,
        description=facts.description,
        task="denoise",
        arch=type(network).__name__.lower(),
        backend="onnx",
        version=facts.metadata()["version"],
        tiling=True,
        spatial_dims=SIZES,
        model_card={
            "long_description": facts.description,
            "scope": "motion deblurring",
            "license": facts.licence,
            "notes": f"Weights {facts.checkpoint_sha256}. README.md in the archive says what they were trained on.",
        },
        attributes={"input_sizes": (TILE_PX,)},
    )
    files = {
        "config.json": (json.dumps(vars(config), indent=4, ensure_ascii=False) + "\n").encode(),
        "model.onnx": onnx_model(network, facts, tile_px=TILE_PX),
        "README.md": card.encode(),
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name, data in files.items():
            entry = zipfile.ZipInfo(f"{model_id}/{name}", _OLDEST_ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            packed.writestr(entry, data)
    return archive.getvalue()
