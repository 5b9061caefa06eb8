"""GLOWDeblur, joined as in its paper's figure.

    blurry -> pre-reconstruction and domain alignment -> aligned feature --+
    blurry -> motion guidance --------------------------> motion map ------+-> concatenated -> linear DiT -> latents
    in training: sharp -> encoder -> latents + noise; in use: noise -------+         ^                         |
    blurry -> caption, or semantic prior ---------------> tokens -----> cross attention                     decoder
                                                                                                               |
                                                                                                            restored

One idea: a photograph is restored among latents, where a pixel is the square of 32 pixels that it stands for, by a
network that learnt what photographs look like; what it may not invent is told to it from all sides.

Source: "Toward Generalizable Deblurring: Leveraging Massive Blur Priors with Linear Attention for Real-World
Scenarios" (GLOWDeblur, Gao et al. 2026, arXiv 2601.06525). `docs/explain/glowdeblur.md` says what of it is the paper's,
what is inferred and what is ours. Photographs have sides that are multiples of 32 here, except in `GlowRestorer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.latent_noise import latent_noise
from unblur.models.linear_dit import LinearDiT, LinearDiTConfig
from unblur.models.motion_estimator import MotionEstimatorConfig
from unblur.models.motion_guidance import MOTION_CHANNELS, MotionGuidance
from unblur.models.padding import reflected_to_multiple
from unblur.models.pre_reconstruction import STRIDE_PX, PreReconstruction, PreReconstructionConfig
from unblur.models.samplers import Sampling, sample
from unblur.models.semantic_guidance import SemanticGuidance, SemanticGuidanceConfig
from unblur.models.tokens import Tokens


@dataclass(frozen=True, kw_only=True)
class GlowConfig:
    """Sizes of GLOWDeblur's parts. The autoencoder is no part of it: it is trained before, and frozen."""

    denoiser: LinearDiTConfig
    pre_reconstruction: PreReconstructionConfig | None = PreReconstructionConfig()
    """None, an ablation: in place of the aligned feature the denoiser is told the latents of the blurry photograph."""
    motion: MotionEstimatorConfig = MotionEstimatorConfig()
    semantics: SemanticGuidanceConfig = SemanticGuidanceConfig()

    def __post_init__(self) -> None:
        expected = self.denoiser.latent_channels + MOTION_CHANNELS
        if self.denoiser.condition_channels != expected:
            raise ValueError(
                f"the denoiser is told {expected} channels, not {self.denoiser.condition_channels}: {self}"
            )
        first = self.pre_reconstruction
        if first is not None and first.latent_channels != self.denoiser.latent_channels:
            raise ValueError(f"the denoiser and pre-reconstruction must agree on latents: {self}")


@dataclass(frozen=True)
class Seen:
    """What the parts that are trained before the denoiser see in a blurry photograph."""

    restored: Tensor
    """(B, 3, H, W) sRGB in [0, 1], not clipped: the pre-reconstruction; without one the blurry photograph."""
    coarse: Tensor
    """(B, C, H/32, W/32): the hourglass's coarsest features; without one the blurry photograph's scaled latents."""
    motion: Tensor
    """(B, 6, H/32, W/32), see `motion_guidance`."""
    regions: Tensor
    """(B, regions squared, C), see `SemanticGuidance.seen`."""


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told of a blurry photograph, and the first restoration."""

    restored: Tensor
    """(B, 3, H, W) sRGB in [0, 1], not clipped: the pre-reconstruction; without one the blurry photograph."""
    aligned: Tensor
    """(B, latents, H/32, W/32): the guess of the sharp photograph's scaled latents; without one the blurry one's."""
    motion: Tensor
    """(B, 6, H/32, W/32), see `motion_guidance`."""
    tokens: Tokens
    """What it shows."""


class GlowDeblur(nn.Module):
    """Everything that is learnt between the two halves of an autoencoder.

    `forward` looks at the blurry photograph once; `velocity` is then asked once in each step of training, and a few
    times in restoration, by `restored_latents`.
    """

    def __init__(self, config: GlowConfig) -> None:
        super().__init__()
        self.config = config
        first = config.pre_reconstruction
        self.pre_reconstruction = None if first is None else PreReconstruction(first)
        self.motion_guidance = MotionGuidance(config.motion)
        self.semantic_guidance = SemanticGuidance(config.semantics, config.denoiser.token_channels)
        self.denoiser = LinearDiT(config.denoiser)

    def forward(self, blurry: Tensor, captions: Tokens | None = None, encoded: Tensor | None = None) -> Conditions:
        """`blurry`: (B, 3, H, W) sRGB in [0, 1]. Without `captions`, regions of the photograph are its tokens.

        `encoded`, the scaled latents of `blurry`, is asked of a network without pre-reconstruction alone.
        """
        return self.conditions(self.look(blurry, encoded), captions)

    def look(self, blurry: Tensor, encoded: Tensor | None = None) -> Seen:
        """As `forward`, what the parts see that may be frozen while the rest learns."""
        if self.pre_reconstruction is not None:
            restored, coarse = self.pre_reconstruction.restore(blurry)
        elif encoded is not None:
            restored, coarse = blurry, encoded
        else:
            raise ValueError("a network without pre-reconstruction is told the latents of the blurry photograph")
        return Seen(
            restored=restored,
            coarse=coarse,
            motion=self.motion_guidance(blurry),
            regions=self.semantic_guidance.seen(blurry, restored),
        )

    def conditions(self, seen: Seen, captions: Tokens | None = None) -> Conditions:
        """What the denoiser makes of them: latents aligned, and tokens."""
        first = self.pre_reconstruction
        return Conditions(
            restored=seen.restored,
            aligned=seen.coarse if first is None else first.align(seen.restored, seen.coarse),
            motion=seen.motion,
            tokens=self.semantic_guidance.tokens(seen.regions) if captions is None else captions,
        )

    def told(self, conditions: Conditions, motion: Tensor, semantics: Tensor) -> Conditions:
        """`conditions` with motion and tokens told only where `motion` and `semantics`, (B,) bool, say so.

        For training, where a tenth of each is withheld at random, and for restoring without them.
        """
        return replace(
            conditions,
            motion=torch.where(motion[:, None, None, None], conditions.motion, 0.0),
            tokens=self.semantic_guidance.told(conditions.tokens, semantics),
        )

    def velocity(self, noisy: Tensor, sigma: Tensor, conditions: Conditions) -> Tensor:
        """Velocity from the clean latents to the noise, noise - clean. Shape: (B, C, h, w), (B,) in [0, 1] -> same.

        In training `noisy` is `flow.noised` of the sharp photograph's scaled latents, and the answer is compared with
        `flow.true_velocity`.
        """
        joined = torch.cat((noisy, conditions.aligned, conditions.motion), dim=1)
        velocity: Tensor = self.denoiser(joined, sigma, conditions.tokens)
        return velocity

    @torch.no_grad()
    def restored_latents(self, conditions: Conditions, sampling: Sampling, seed: int) -> Tensor:
        """Scaled latents of the restored photograph, (B, C, h, w) float32.

        Begins with `latent_noise`. Raises UnblurError when diffusers is not installed.
        """
        _, channels, rows, columns = conditions.aligned.shape
        noise = latent_noise(seed, channels, range(rows), range(columns))
        return self.latents_from(noise, conditions, sampling)

    @torch.no_grad()
    def latents_from(
        self, noise: Tensor, conditions: Conditions, sampling: Sampling, on_step: Callable[[], None] = lambda: None
    ) -> Tensor:
        """The same from noise that is given, (1, C, h, w); `on_step` is called after each step of the denoiser."""

        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            answer = self.velocity(noisy, sigma, conditions)
            on_step()
            return answer

        return sample(velocity, noise.to(conditions.aligned.device).expand_as(conditions.aligned), sampling)


class GlowRestorer(nn.Module):
    """Blurry photograph in, restored photograph out. Shape: (B, 3, H, W) sRGB in [0, 1] -> same, any H and W.

    The output is not clipped. Its details are generated: plausible, not certain.
    """

    def __init__(
        self,
        network: GlowDeblur,
        decoder: nn.Module,
        sampling: Sampling | None = None,
        *,
        encoder: nn.Module | None = None,
        caption: Tokens | None = None,
        motion: bool = True,
        semantics: bool = True,
        seed: int = 0,
    ) -> None:
        """`decoder`: scaled latents (B, C, h, w) -> (B, 3, 32 h, 32 w) in [0, 1], of the autoencoder trained with.

        `encoder`: its other half, for a network without pre-reconstruction. `caption`: (1, N, C), told of every
        photograph. Without `motion` or `semantics` the denoiser is told neither motion nor tokens. Raises UnblurError
        when the encoder is needed and missing.
        """
        super().__init__()
        if network.pre_reconstruction is None and encoder is None:
            raise UnblurError("A GLOWDeblur without pre-reconstruction needs the encoder it was trained with; give it.")
        self.network, self.decoder, self.encoder = network, decoder, encoder
        self.sampling = sampling or Sampling()
        self.caption, self.motion, self.semantics, self.seed = caption, motion, semantics, seed

    @torch.no_grad()
    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        conditions = self.conditions(reflected_to_multiple(blurry, STRIDE_PX))
        restored: Tensor = self.decoder(self.network.restored_latents(conditions, self.sampling, self.seed))
        return restored[..., :height, :width]

    def conditions(self, blurry: Tensor) -> Conditions:
        """What the denoiser is told. Shape: (B, 3, H, W), multiples of 32."""
        everywhere = torch.ones(len(blurry), dtype=torch.bool, device=blurry.device)
        captions = None
        if self.caption is not None:
            caption = self.caption.to(blurry.device)
            captions = Tokens(caption.values.expand(len(blurry), -1, -1), caption.mask.expand(len(blurry), -1))
        encoded = None
        if self.encoder is not None and self.network.pre_reconstruction is None:
            encoded = self.encoder(blurry)
        conditions: Conditions = self.network(blurry, captions, encoded)
        return self.network.told(conditions, everywhere & self.motion, everywhere & self.semantics)
