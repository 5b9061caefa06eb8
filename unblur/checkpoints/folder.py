"""A checkpoint folder: `config.json`, `model.safetensors` and the model card `README.md`, nothing hidden."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from unblur.atomic import write_atomically
from unblur.checkpoints.checksums import CONFIG, WEIGHTS, compute_checksums
from unblur.checkpoints.eight_bits import from_eight_bits, to_eight_bits
from unblur.checkpoints.hub_repository import fetch_checkpoint
from unblur.checkpoints.model_card import state_checksums
from unblur.checkpoints.old_names import modernize_json, modernize_state_dict
from unblur.checkpoints.plausible import check_fit, refuse_absurd_numbers
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.models import ModelConfig, build
from unblur.regular_files import read_regular

_WEIGHTS = Path(__file__).parent.parent / "weights"

BUNDLED_FAITHFUL = _WEIGHTS / "faithful"
"""The restoring network at one scale of the image, trained by regression: no generated detail."""

BUNDLED_RESTORER = _WEIGHTS / "multiscale"
"""The network that restores photographs by default: the faithful one at several scales."""

BUNDLED_MOTION_ESTIMATOR = _WEIGHTS / "motion"
"""The motion estimator."""

BUNDLED_KERNEL_ESTIMATOR = _WEIGHTS / "kernel"
"""The estimator of the kernel of camera shake."""

BUNDLED_SHAKE_FUSION = _WEIGHTS / "shake"
"""The network that fuses a restoration with deconvolutions of camera shake."""

BUNDLED_BLUR_CLASSIFIER = _WEIGHTS / "blur"
"""The classifier of the kind of blur."""

BUNDLED_PRIOR = _WEIGHTS / "prior"
"""The semantic prior."""

BUNDLED_GENERATOR = _WEIGHTS / "generative"
"""The generative network, GLOWDeblur."""

BUNDLED_DECODER = _WEIGHTS / "decoder"
"""The decoder of the generator's latents."""


_DAMAGED = (
    SafetensorError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    MemoryError,
)
"""Exceptions that damaged weights, or numbers that describe no network, may raise."""

SharedSource = Literal["faithful", "motion", "prior"]

BUNDLED: dict[SharedSource, Path] = {
    "faithful": BUNDLED_FAITHFUL,
    "motion": BUNDLED_MOTION_ESTIMATOR,
    "prior": BUNDLED_PRIOR,
}
"""Folders whose weights other checkpoints may share."""


@dataclass(frozen=True, kw_only=True)
class SharedPart:
    """A part of a network whose weights are those of another bundled folder and are not stored twice."""

    part: str
    """The name of the module in the network: pre_reconstruction.nafnet."""
    source: SharedSource
    """The bundled folder that holds the weights."""
    sha256: str
    """SHA-256 of the source's `model.safetensors`."""


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """The contents of `config.json`."""

    model: ModelConfig
    """The configuration of the network."""
    train_patch_px: int
    """Side of the training patches, which sets the window of local pooling at test time."""
    shared_parts: tuple[SharedPart, ...] = ()
    """Parts whose weights `model.safetensors` does not hold."""


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A network ready to use, in float32 and evaluation mode."""

    model: nn.Module
    config: ModelConfig
    train_patch_px: int
    sha256: str
    """SHA-256 of `model.safetensors`; tables quote its first twelve digits."""
    folder: Path


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    config: ModelConfig,
    *,
    train_patch_px: int,
    card: str,
    dtype: torch.dtype = torch.float16,
    shared_parts: tuple[SharedPart, ...] = (),
) -> None:
    """Write `model` as a checkpoint folder, each file atomically, without the weights of `shared_parts`.

    `card` is the text of the model card; the hashes of the other files are added to its header. With torch.int8 as
    `dtype`, weights are stored as `eight_bits` describes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = to_json(CheckpointConfig(model=config, train_patch_px=train_patch_px, shared_parts=shared_parts))
    elsewhere = tuple(f"{one.part}." for one in shared_parts)
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith(elsewhere)}
    on_cpu = {name: tensor.detach().cpu() for name, tensor in own.items()}
    if dtype == torch.int8:
        tensors = to_eight_bits(on_cpu)
    else:
        tensors = {name: tensor.to(dtype).contiguous() for name, tensor in on_cpu.items()}
    # The configuration travels inside the weights too, so that a lone file still says what it is. One entry
    # only: safetensors writes several in random order, and equal weights must make equal files.
    weights = save_tensors(tensors, metadata={"unblur_config": text})
    checksums = compute_checksums({CONFIG: text.encode(), WEIGHTS: weights})
    write_atomically(folder / "model.safetensors", weights)
    write_atomically(folder / "config.json", text.encode())
    write_atomically(folder / "README.md", state_checksums(card, checksums).encode())


def check_no_checkpoint(folder: Path) -> None:
    """Raise UnblurError where `save_checkpoint` would replace existing files."""
    if (folder / "model.safetensors").exists():
        raise UnblurError(f"{folder} holds a checkpoint already; give another folder.")
    for name in ("config.json", "README.md"):
        if (folder / name).exists():
            raise UnblurError(f"{folder} holds a {name} already, which would be replaced; give another folder.")


def load_checkpoint(source: str | Path) -> Checkpoint:
    """Load the checkpoint in a folder, or on the Hugging Face hub ("owner/name", "owner/name@revision").

    Former names are translated.

    Raises UnblurError when it is missing, damaged, or does not fit its own configuration.
    """
    folder = Path(source)
    if not folder.is_dir():
        folder = fetch_checkpoint(str(source)) if is_hub_id(str(source)) else folder
    try:
        text = read_regular(folder / "config.json").decode()
        weights = read_regular(folder / "model.safetensors")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnblurError(
            f"No checkpoint at {folder}: {reason or error}; "
            "give a folder with config.json and model.safetensors, or a hub id like owner/name."
        ) from error
    config = from_json(modernize_json(text), CheckpointConfig, source=folder / "config.json")
    refuse_absurd_numbers(config, folder / "config.json")
    shared = {
        f"{one.part}.{name}": tensor
        for one in config.shared_parts
        for name, tensor in _load_shared_tensors(one, folder).items()
    }
    try:
        tensors = modernize_state_dict(from_eight_bits(load_tensors(weights))) | shared
        check_fit(config.model, tensors)
        model = build(config.model)
        model.load_state_dict(tensors)
    except _DAMAGED as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UnblurError(
            f"{folder / 'model.safetensors'} is damaged or does not fit its config.json; get it again. ({reason})"
        ) from error
    return Checkpoint(
        model=model.float().eval().requires_grad_(False),
        config=config.model,
        train_patch_px=config.train_patch_px,
        sha256=hashlib.sha256(weights).hexdigest(),
        folder=folder,
    )


def _load_shared_tensors(part: SharedPart, folder: Path) -> dict[str, torch.Tensor]:
    """Load the tensors of a shared part. Raises UnblurError when the bundled weights are others by now."""
    weights = (BUNDLED[part.source] / "model.safetensors").read_bytes()
    if hashlib.sha256(weights).hexdigest() != part.sha256:
        raise UnblurError(
            f"{folder} shares weights of {part.source} that this version of unblur does not have; "
            "use the version that it came with."
        )
    return from_eight_bits(load_tensors(weights))


def is_hub_id(source: str) -> bool:
    """Return whether `source` has the form "owner/name" or "owner/name@revision", and is not a path."""
    parts = source.partition("@")[0].split("/")
    return len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)
