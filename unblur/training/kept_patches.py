"""Patches that GLOWDeblur's denoiser is shown again and again, with all that the parts before it see in them.

One idea: these parts are frozen and say the same whenever they are asked. A patch is simulated, looked at and encoded
once, and only read from a folder ever after; the noise is new whenever it is shown.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from unblur.atomic import write_atomically
from unblur.blur import Camera
from unblur.config import to_json
from unblur.datasets import Ingredient
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import GlowDeblur
from unblur.models.glow import Seen
from unblur.seeds import generator_for
from unblur.training.pre_reconstruction import PreReconstructionTask


@dataclass(frozen=True, kw_only=True)
class KeptOf:
    """What kept patches depend on; `settings.json` in their folder."""

    camera: Camera
    sampling: PatchSampling
    uses: int
    uses_apart: int
    mixed_in: tuple[Ingredient, ...]
    seed: int
    encoder: str
    """SHA-256 of its weights."""
    network: str
    """SHA-256 of the weights that see."""


class KeptPatch(NamedTuple):
    """One of them. Halves of float32 are kept, and the restoration in eight bits."""

    seen: Seen
    """Of one patch: tensors without the batch."""
    clean: Tensor
    """Scaled latents (C, P/32, P/32) of the sharp patch."""


class KeptPatches:
    """An endless list in which `count` patches are shuffled anew for every round. Threads may ask at the same time."""

    def __init__(
        self, source: PreReconstructionTask, network: GlowDeblur, count: int, folder: Path, of: KeptOf
    ) -> None:
        """`network`: sees, on the device that `source` encodes on. Raises UnblurError when `folder` holds others."""
        self.source, self.network, self.count, self.folder, self.seed = source, network, count, folder, of.seed
        settings, path = to_json(of), folder / "settings.json"
        if path.exists() and path.read_text(encoding="utf-8") != settings:
            raise UnblurError(f"{folder} keeps the patches of another recipe or of other weights; remove it.")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, settings.encode())
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def __getitem__(self, index: int) -> KeptPatch:
        round_, place = divmod(index, self.count)
        number = int(self._order(round_)[place])
        path = self.folder / f"{number:06d}.safetensors"
        if not path.exists():
            write_atomically(path, save_tensors(self._made(number)))
        kept = load_tensors(path.read_bytes())
        seen = Seen(
            restored=kept["restored"].float() / 255,
            coarse=kept["coarse"].float(),
            motion=kept["motion"].float(),
            regions=kept["regions"].float(),
        )
        return KeptPatch(seen, kept["clean"].float())

    @torch.no_grad()
    def _made(self, number: int) -> dict[str, Tensor]:
        blurry, _, clean = self.source.example(number)
        encoded = self.source.encoded(blurry)[None] if self.network.pre_reconstruction is None else None
        seen = self.network.look(blurry[None].to(self.source.device), encoded)
        halves = {"coarse": seen.coarse, "motion": seen.motion, "regions": seen.regions, "clean": clean[None]}
        return {
            "restored": (seen.restored[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8).contiguous(),
            **{name: tensor[0].to("cpu", torch.float16).contiguous() for name, tensor in halves.items()},
        }

    def _shuffled(self, round_: int) -> Tensor:
        return torch.randperm(self.count, generator=generator_for(self.seed, "round", round_))
