"""A cache of training patches with the features that GLOWDeblur's frozen parts compute from them.

A patch is simulated, encoded and passed through the frozen parts once, and then read from a folder; its noise is drawn
anew each time it is used.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from unblur.atomic import write_atomically
from unblur.blur import Camera
from unblur.checkpoints.old_names import modernize_json
from unblur.config import from_json, to_json
from unblur.datasets import DataSource
from unblur.datasets.simulated import PatchSampling
from unblur.errors import UnblurError
from unblur.models import GlowDeblur
from unblur.models.glow import FrozenFeatures
from unblur.regular_files import read_regular
from unblur.seeds import make_generator
from unblur.training.objective_settings import CaptionSettings
from unblur.training.objectives.patch_captions import PatchCaptions
from unblur.training.objectives.pre_reconstruction import PreReconstructionObjective

RELEASE_AFTER = 2048
"""Examples of the second round after which all processes and threads have finished the first."""


@dataclass(frozen=True, kw_only=True)
class CacheKey:
    """Everything that cached features depend on; stored as settings.json in their folder."""

    camera: Camera
    sampling: PatchSampling
    repeats: int
    repeat_gap: int
    extra_sources: tuple[DataSource, ...]
    seed: int
    encoder: str
    """SHA-256 of the encoder."""
    network: str
    """SHA-256 of the frozen weights."""
    captions: CaptionSettings | None = None


class CachedExample(NamedTuple):
    """One example. Features are stored in float16, and the restoration in eight bits."""

    features: FrozenFeatures
    """Features of one patch, without the batch dimension."""
    clean: Tensor
    """Scaled latents (C, P/32, P/32) of the sharp patch."""
    caption: tuple[Tensor, ...]
    """Tokens of its caption and their mask, (N, C) and (N,), or nothing without captions."""


class FeatureCache:
    """An endless list in which `count` examples are shuffled anew for every epoch. It is safe to use from threads."""

    def __init__(
        self,
        source: PreReconstructionObjective,
        network: GlowDeblur,
        count: int,
        folder: Path,
        key: CacheKey,
        former_key: CacheKey | None = None,
        captions: PatchCaptions | None = None,
    ) -> None:
        """Compute features with `network` on the device of `source`, or read them from `folder`.

        `former_key` is the key of the same features under the former names of parameters. Raises UnblurError if
        `folder` holds features of another key.
        """
        self.source, self.network, self.count, self.folder, self.seed = source, network, count, folder, key.seed
        self.captions = captions
        path = folder / "settings.json"
        if path.exists() and _read_key(path) not in (key, former_key):
            raise UnblurError(f"{folder} has features of another recipe or of other weights; remove it.")
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(path, to_json(key).encode())
        self._order = lru_cache(maxsize=2)(self._shuffle)

    def __getitem__(self, index: int) -> CachedExample:
        round_, place = divmod(index, self.count)
        number = int(self._order(round_)[place])
        path = self.folder / f"{number:06d}.safetensors"
        if self.captions is not None and index >= self.count + RELEASE_AFTER:
            self.captions.release()
        if not path.exists():
            write_atomically(path, save_tensors(self._compute(number)))
        try:
            cached = load_tensors(read_regular(path))
            features = FrozenFeatures(
                restored=cached["restored"].float() / 255,
                coarse=cached["coarse"].float(),
                motion=cached["motion"].float(),
                regions=cached["regions"].float(),
            )
            caption = () if self.captions is None else self.captions.pad(cached["caption"].float())
            return CachedExample(features, cached["clean"].float(), caption)
        except (SafetensorError, KeyError, ValueError) as error:
            raise UnblurError(
                f"{path} is damaged ({type(error).__name__}); remove it, and the same command makes it again."
            ) from error

    @torch.no_grad()
    def _compute(self, number: int) -> dict[str, Tensor]:
        patch = self.source.patches[number]
        blurry, _, clean = self.source.make_example(patch)
        encoded = self.source.encode(blurry)[None] if self.network.pre_reconstruction is None else None
        features = self.network.encode_frozen(blurry[None].to(self.source.device), encoded)
        halves = {
            "coarse": features.coarse,
            "motion": features.motion,
            "regions": features.regions,
            "clean": clean[None],
        }
        caption = {}
        if self.captions is not None:
            caption = {"caption": self.captions.encode(patch.upright).to(torch.float16)}
        return {
            **caption,
            "restored": (features.restored[0].clamp(0, 1) * 255).round().to("cpu", torch.uint8).contiguous(),
            **{name: tensor[0].to("cpu", torch.float16).contiguous() for name, tensor in halves.items()},
        }

    def _shuffle(self, round_: int) -> Tensor:
        return torch.randperm(self.count, generator=make_generator(self.seed, "round", round_))


def _read_key(path: Path) -> CacheKey:
    return from_json(modernize_json(path.read_text(encoding="utf-8")), CacheKey, path)
