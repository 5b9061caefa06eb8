"""GLOWDeblur applied to a photograph of any size: detail is generated where blur left none.

Every tile is restored twice: without generated detail, by the pre-reconstruction or, with the bundled weights, by the
bundled network at several scales, of which the pre-reconstruction is a part; and in latent space. Latents cannot
represent everything in the pre-reconstruction: even true latents are decoded to a softer image with another texture.
Therefore only the change by generation is used: the decoded generated latents minus the decoded aligned feature. It is
added to the first restoration, whose certain detail stays. Colours and brightness are those of the first restoration
too (see `low_frequencies`), and so is the whole tile where the generated detail is implausible (see `guard`). All tiles
start from windows of one field of noise (see `latent_noise`), so that they agree where they overlap, and the same
seed gives the same photograph.

Fidelity f leads from generation (0) to the first restoration (1): a share 1 - f of the change is added to it. (The
alternative, starting with less noise and more of the aligned feature, gains less in ST-LPIPS at equal PSNR.)
"""

import copy
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from itertools import count
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models import GlowDeblur, GlowRestorer, LatentDecoder
from unblur.models.glow import Conditions
from unblur.models.latent_noise import sample_latent_noise
from unblur.models.padding import reflect_to_multiple
from unblur.models.pooling import use_local_pooling
from unblur.models.pre_reconstruction import STRIDE_PX
from unblur.models.samplers import Sampling, Solver
from unblur.models.tokens import Tokens
from unblur.names import Precision
from unblur.photos.marks import COMPOSITE_WITH_GENERATED, mark_metadata
from unblur.photos.photo import Photo
from unblur.restoration.blend import apply_strength
from unblur.restoration.device import choose_device, uses_bfloat16
from unblur.restoration.guard import is_sane, is_sane_detail
from unblur.restoration.low_frequencies import replace_low_frequencies
from unblur.restoration.picture_restorer import PictureRestorer, Restoration, describe_restorer
from unblur.restoration.restorer import compute_share_of_estimating
from unblur.restoration.shake import Shake
from unblur.restoration.shake_guidance import make_shake_guidance
from unblur.restoration.shake_solver import ShakeSolver, SolvedShake
from unblur.restoration.tiled import (
    Kind,
    Progress,
    Tile,
    TiledPixels,
    Tiling,
    Window,
    WindowResult,
    restore_in_tiles,
    scale_progress,
    split_progress,
)
from unblur.restoration.windows import to_array, to_channels, to_float, to_tensor

BYTES_PER_TILE_PX = 2000
"""Bytes for each pixel of a tile with a decoder of ours: 750 measured for `small` in float32 on a CPU, and reserve."""

BYTES_PER_TILE_PX_OF_OTHERS = 10_000
"""Bytes for each pixel of a tile with the decoder of SANA's DC-AE: 6800 measured in the same way, and reserve."""


@dataclass(frozen=True, kw_only=True)
class GenerativeSettings:
    """Settings of a generative restoration, besides the networks and the photograph.

    Raises UnblurError for values out of range.
    """

    seed: int = 0
    """Seed of the noise: another one generates other detail."""
    steps: int = 4
    """Denoising steps: more of them generate more detail, no better at equal PSNR (docs/results/benchmarks.md)."""
    solver: Solver = "dpm"
    fidelity: float = 0.5
    """Share of the change by generation that is left out: at 0 most detail is generated, at 1 none. The default is
    measured (docs/results/benchmarks.md)."""
    samples: int = 1
    """Number of seeds, counted up from `seed`, that are compared for the uncertainty; 1 compares none."""
    mark: bool = True
    """Whether the metadata of photographs state that detail was generated; False is for research."""
    returns_first: bool = False
    """Whether results also have the first restoration, with which their fidelity can be changed later."""
    pooling_window_px: int | None = None
    """Reach of averages inside the networks; None averages over the tile."""
    overlap_px: int = 128
    feather_px: int = 64
    """Feather as in a faithful restoration. A latent represents 32 px, and low frequencies reach 31."""
    precision: Precision = "auto"
    """Precision as in a faithful restoration."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UnblurError(f"A restoration in {self.steps} steps is impossible; use 1 or more, 4 for instance.")
        if not 0 <= self.fidelity <= 1:
            raise UnblurError(
                f"A fidelity of {self.fidelity} is out of range; use 0 (most generated detail) to 1 (none)."
            )
        if self.samples < 1:
            raise UnblurError(f"{self.samples} samples are out of range; use 1, or 2 and more to compare them.")


class GenerativeRestorer(PictureRestorer):
    """Restorer of photographs with generated detail. It never changes after construction: threads may share it."""

    def __init__(
        self,
        network: GlowDeblur,
        decoder: nn.Module,
        settings: GenerativeSettings | None = None,
        *,
        first: nn.Module | None = None,
        shake_solver: ShakeSolver | None = None,
        caption: Tokens | None = None,
        device: str = "auto",
        checkpoint_sha256: str | None = None,
        decoder_sha256: str | None = None,
    ) -> None:
        """Take over the networks: move them to `device` and set the pooling of `network`.

        `first`: the network that restores without generation, (B, 3, H, W) in [0, 1] -> same, or None for the
        pre-reconstruction.
        `shake_solver`: joins a deconvolution of camera shake with that restoration; None solves no shake.
        `decoder`: scaled latents (B, C, h, w) -> (B, 3, 32 h, 32 w) in [0, 1]. `caption`: (1, N, C), used for
        every tile.
        """
        self.settings = settings or GenerativeSettings()
        self.device = choose_device(device)
        self.checkpoint_sha256, self.decoder_sha256 = checkpoint_sha256, decoder_sha256
        glow = GlowRestorer(network, decoder, caption=caption)
        self._glow = glow.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        use_local_pooling(self._glow, self.settings.pooling_window_px)
        if first is not None:
            first = first.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self._first = first
        self._shake_solver = shake_solver
        self._bytes_per_px = BYTES_PER_TILE_PX if isinstance(decoder, LatentDecoder) else BYTES_PER_TILE_PX_OF_OTHERS

    def __repr__(self) -> str:
        """Return the network, the device and the checkpoint."""
        return describe_restorer(self, self._glow.network)

    def with_fidelity(self, fidelity: float) -> "GenerativeRestorer":
        """Return a restorer with the same networks and another fidelity, from 0 (most generated detail) to 1 (none).

        Raises UnblurError for a fidelity outside [0, 1].
        """
        other = copy.copy(self)
        other.settings = replace(self.settings, fidelity=fidelity)
        return other

    def restore_photo(
        self, photo: Photo, strength: float = 1.0, tile: Tile = "auto", progress: Progress | None = None
    ) -> Restoration:
        """Restore `photo` as every restorer does, and mark it in its metadata where detail was generated."""
        restoration = super().restore_photo(photo, strength, tile, progress)
        if not (self.settings.mark and restoration.generated_share):
            return restoration
        return replace(restoration, photo=_mark_as_generated(restoration.photo))

    def _restore_pixels(
        self,
        pixels: NDArray[Any],
        alpha: NDArray[Any] | None,
        strength: float,
        tile: Tile,
        progress: Progress | None,
    ) -> tuple[TiledPixels, Shake | None]:
        """Restore (H, W, C) -> same, with the disagreement of the samples where there is more than one.

        Raises UnblurError for a strength or tile out of range, without enough memory, and when diffusers is not
        installed.
        """
        first_channels = pixels.shape[2] if self.settings.returns_first else 0
        solved = None
        if self._shake_solver is not None and self._first is not None and strength > 0:
            share = compute_share_of_estimating(pixels)
            estimating, progress = split_progress(progress, (share, 1 - share))
            solved = self._shake_solver.solve(pixels, self._restore_first, estimating)
        result = restore_in_tiles(
            pixels,
            alpha,
            partial(self._restore_window, solved),
            strength=strength,
            tile=tile,
            tiling=Tiling(
                overlap_px=self.settings.overlap_px,
                feather_px=self.settings.feather_px,
                bytes_per_px=self._bytes_per_px,
            ),
            device=self.device,
            extra_channels=first_channels + int(self.settings.samples > 1),
            progress=progress,
        )
        if first_channels:
            first = apply_strength(pixels, result.extras[..., :first_channels], strength)
            if alpha is not None:
                # Extra channels have no values where a photograph is transparent.
                hidden = alpha.reshape(alpha.shape[:2]) == 0
                first[hidden] = pixels[hidden]
            result = replace(result, first=first, extras=result.extras[..., first_channels:])
        return result, None if solved is None else solved.shake

    def _restore_first(self, blurry: Tensor) -> Tensor:
        """Restore a whole image without generated detail. (1, 3, h, w) on the CPU -> same."""
        assert self._first is not None
        image = blurry.to(self.device, memory_format=torch.channels_last)
        bfloat16 = uses_bfloat16(self.settings.precision, self.device, np.dtype(np.uint8))
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            restored: Tensor = self._first(image)
        return restored.float().cpu()

    def _restore_window(self, solved: SolvedShake | None, window: Window, progress: Progress | None) -> WindowResult:
        values = to_float(window.pixels)
        height, width, channels = values.shape
        blurry = to_tensor(values, self.device)
        bfloat16 = uses_bfloat16(self.settings.precision, self.device, window.pixels.dtype)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
            padded = reflect_to_multiple(blurry, STRIDE_PX)
            conditions = self._glow.compute_conditions(padded)
            first = conditions.restored if self._first is None else self._first(blurry)
            restored = first[..., :height, :width].float()
            if not is_sane(restored, blurry):
                return WindowResult(self._append_extras(values, values), "unchanged")
            if solved is not None:
                restored = solved.fuse(blurry, restored, window.left_px, window.top_px)
                sides = padded.shape[3], padded.shape[2]
                motion = make_shake_guidance(solved.shake.path, window.left_px, window.top_px, *sides)
                conditions = replace(conditions, motion=motion.to(conditions.motion))
            first = to_array(to_channels(restored, channels))
            if self.settings.fidelity == 1:
                return WindowResult(self._append_extras(first, first), "restored")
            painted = self._glow.decoder(conditions.aligned.float()).float()[..., :height, :width]
            samples = []
            for index in range(self.settings.samples):
                part = scale_progress(progress, index, self.settings.samples)
                samples.append(self._sample(conditions, painted, restored, window, self.settings.seed + index, part))
            pictures = [to_channels(restored if sample is None else sample, channels) for sample in samples]
            disagreement = _compute_disagreement(pictures) if len(pictures) > 1 else None
            kind: Kind = "restored" if samples[0] is None else "generated"
            return WindowResult(self._append_extras(to_array(pictures[0]), first, disagreement), kind)

    def _sample(
        self,
        conditions: Conditions,
        painted: Tensor,
        restored: Tensor,
        window: Window,
        seed: int,
        progress: Progress | None,
    ) -> Tensor | None:
        """Restore with generated detail, (1, 3, h, w), not clipped; None when the detail is implausible.

        `painted` is the decoded aligned feature.
        """
        height, width = restored.shape[2:]
        _, channels, rows, columns = conditions.aligned.shape
        top, left = window.top_px // STRIDE_PX, window.left_px // STRIDE_PX
        noise = sample_latent_noise(seed, channels, range(top, top + rows), range(left, left + columns))
        sampling = Sampling(solver=self.settings.solver, steps=self.settings.steps)
        steps = count(1)

        def on_step() -> None:
            if progress:
                progress(next(steps) / sampling.steps)

        latents = self._glow.network.denoise(noise, conditions, sampling, on_step)
        generated: Tensor = self._glow.decoder(latents).float()[..., :height, :width]
        # Colours need more digits than detail does.
        with torch.autocast(self.device.type, enabled=False):
            # An error that a broken decoder makes in both images would cancel out, but the difference means nothing.
            if not is_sane_detail(generated, restored):
                return None
            change = (1 - self.settings.fidelity) * (generated - painted)
            result = replace_low_frequencies(restored, restored + change)
            return result if is_sane_detail(result, restored) else None

    def _append_extras(
        self, picture: NDArray[np.float32], first: NDArray[np.float32], disagreement: Tensor | None = None
    ) -> NDArray[np.float32]:
        """Append the first restoration, if it is returned, and the disagreement of the samples, if they are compared.

        Shape: (h, w, C) both -> (h, w, C + extra channels). A disagreement of None counts as 0.
        """
        parts = [picture]
        if self.settings.returns_first:
            parts.append(first)
        if self.settings.samples > 1:
            parts.append(np.zeros_like(picture[..., :1]) if disagreement is None else to_array(disagreement))
        return np.concatenate(parts, axis=2)


def _mark_as_generated(photo: Photo) -> Photo:
    """Return `photo` with metadata that state that this program generated part of it."""
    software = f"unblur {version('unblur')}, generative"
    metadata = mark_metadata(photo.metadata, software=software, source_type=COMPOSITE_WITH_GENERATED)
    return replace(photo, metadata=metadata)


def _compute_disagreement(pictures: list[Tensor]) -> Tensor:
    """Return the standard deviation over images (1, C, h, w), root mean square of the colours: (1, 1, h, w)."""
    return torch.stack(pictures).clamp(0, 1).std(dim=0).square().mean(dim=1, keepdim=True).sqrt()
