"""GLOWDeblur, joined as in its paper's figure.

    blurry -> pre-reconstruction and domain alignment -> aligned feature --+
    blurry -> motion guidance --------------------------> motion map ------+-> concatenated -> linear DiT -> latents
    in training: sharp -> encoder -> latents + noise; in use: noise -------+         ^                         |
    blurry -> caption, or semantic prior ---------------> tokens -----> cross attention                     decoder
                                                                                                               |
                                                                                                            restored

One idea: a generative network restores the image in a latent space, where each position stands for 32 x 32 pixels, and
conditions on a first restoration, on motion and on semantics limit what it can invent.

Source: "Toward Generalizable Deblurring: Leveraging Massive Blur Priors with Linear Attention for Real-World
Scenarios" (GLOWDeblur, Gao et al. 2026, arXiv 2601.06525). `docs/explain/glowdeblur.md` says which parts are the
paper's, which are inferred and which are ours. Photographs have sides that are multiples of 32 here, except in
`GlowRestorer`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from unblur.errors import UnblurError
from unblur.models.latent_noise import sample_latent_noise
from unblur.models.linear_dit import LinearDiT, LinearDiTConfig
from unblur.models.motion_estimator import MotionEstimatorConfig
from unblur.models.motion_guidance import MOTION_CHANNELS, MotionGuidance
from unblur.models.padding import reflect_to_multiple
from unblur.models.pre_reconstruction import STRIDE_PX, PreReconstruction, PreReconstructionConfig
from unblur.models.samplers import Sampling, sample
from unblur.models.semantic_guidance import SemanticGuidance, SemanticGuidanceConfig
from unblur.models.tokens import Tokens

TokenSource = Literal["regions", "captions", "both"]
"""Source of the tokens: regions of the photograph, its caption, or either of them in each training example."""


@dataclass(frozen=True, kw_only=True)
class GlowConfig:
    """Sizes of GLOWDeblur's parts, without the autoencoder, which is trained earlier and frozen."""

    denoiser: LinearDiTConfig
    pre_reconstruction: PreReconstructionConfig | None = PreReconstructionConfig()
    """None, an ablation, conditions the denoiser on the latents of the blurry image instead of the aligned feature."""
    motion: MotionEstimatorConfig = MotionEstimatorConfig()
    semantics: SemanticGuidanceConfig = SemanticGuidanceConfig()
    tokens: TokenSource = "regions"
    """Tokens that the denoiser was trained with."""

    def __post_init__(self) -> None:
        expected = self.denoiser.latent_channels + MOTION_CHANNELS
        if self.denoiser.condition_channels != expected:
            raise ValueError(
                f"the denoiser needs {expected} condition channels, not {self.denoiser.condition_channels}: {self}"
            )
        first = self.pre_reconstruction
        if first is not None and first.latent_channels != self.denoiser.latent_channels:
            raise ValueError(f"the denoiser and pre-reconstruction must agree on latents: {self}")


@dataclass(frozen=True)
class FrozenFeatures:
    """Outputs of the frozen parts, which are trained before the denoiser."""

    restored: Tensor
    """(B, 3, H, W) sRGB in [0, 1], not clipped: the pre-reconstruction; without one the blurry photograph."""
    coarse: Tensor
    """(B, C, H/32, W/32): the NAFNet's coarsest features; without one the blurry photograph's scaled latents."""
    motion: Tensor
    """(B, 6, H/32, W/32), see `motion_guidance`."""
    regions: Tensor
    """(B, regions squared, C), see `SemanticGuidance.average_regions`."""


@dataclass(frozen=True)
class Conditions:
    """Conditions of the denoiser, and the first restoration."""

    restored: Tensor
    """(B, 3, H, W) sRGB in [0, 1], not clipped: the pre-reconstruction; without one the blurry photograph."""
    aligned: Tensor
    """(B, latents, H/32, W/32): the guess of the sharp photograph's scaled latents; without one the blurry one's."""
    motion: Tensor
    """(B, 6, H/32, W/32), see `motion_guidance`."""
    tokens: Tokens
    """Tokens of a caption or of regions."""


class GlowDeblur(nn.Module):
    """The network between the encoder and the decoder of an autoencoder.

    `forward` computes the conditions once; `predict_velocity` runs once in each training step and several times in
    `sample_latents`.
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
        """Compute the conditions of `blurry`, (B, 3, H, W) sRGB in [0, 1]. Without `captions`, regions are the tokens.

        `encoded`, the scaled latents of `blurry`, is needed by a network without pre-reconstruction only.
        """
        return self.compute_conditions(self.encode_frozen(blurry, encoded), captions)

    def encode_frozen(self, blurry: Tensor, encoded: Tensor | None = None) -> FrozenFeatures:
        """Run the parts that may be frozen while the rest is trained; arguments as in `forward`."""
        if self.pre_reconstruction is not None:
            restored, coarse = self.pre_reconstruction.restore(blurry)
        elif encoded is not None:
            restored, coarse = blurry, encoded
        else:
            raise ValueError("a network without pre-reconstruction needs the latents of the blurry photograph")
        return FrozenFeatures(
            restored=restored,
            coarse=coarse,
            motion=self.motion_guidance(blurry),
            regions=self.semantic_guidance.average_regions(blurry, restored),
        )

    def compute_conditions(self, features: FrozenFeatures, captions: Tokens | None = None) -> Conditions:
        """Turn frozen features into conditions: align the latents and compute tokens."""
        first = self.pre_reconstruction
        return Conditions(
            restored=features.restored,
            aligned=features.coarse if first is None else first.align(features.restored, features.coarse),
            motion=features.motion,
            tokens=self.semantic_guidance.project_tokens(features.regions) if captions is None else captions,
        )

    def drop_conditions(self, conditions: Conditions, keep_motion: Tensor, keep_tokens: Tensor) -> Conditions:
        """Drop motion and tokens of all but the examples where `keep_motion` and `keep_tokens`, (B,) bool, are true.

        Training uses it as condition dropout; restoration uses it to switch a condition off.
        """
        return replace(
            conditions,
            motion=torch.where(keep_motion[:, None, None, None], conditions.motion, 0.0),
            tokens=self.semantic_guidance.drop_tokens(conditions.tokens, keep_tokens),
        )

    def predict_velocity(self, noisy: Tensor, sigma: Tensor, conditions: Conditions) -> Tensor:
        """Predict the velocity, noise - clean. Shape: (B, C, h, w), (B,) in [0, 1] -> same.

        In training `noisy` is `flow.add_noise` of the sharp image's scaled latents, and the target is
        `flow.velocity_target`.
        """
        joined = torch.cat((noisy, conditions.aligned, conditions.motion), dim=1)
        velocity: Tensor = self.denoiser(joined, sigma, conditions.tokens)
        return velocity

    @torch.no_grad()
    def sample_latents(self, conditions: Conditions, sampling: Sampling, seed: int) -> Tensor:
        """Sample scaled latents of the restored image, (B, C, h, w) float32, starting from `latent_noise`.

        Raises UnblurError when diffusers is not installed.
        """
        _, channels, rows, columns = conditions.aligned.shape
        noise = sample_latent_noise(seed, channels, range(rows), range(columns))
        return self.denoise(noise, conditions, sampling)

    @torch.no_grad()
    def denoise(
        self, noise: Tensor, conditions: Conditions, sampling: Sampling, on_step: Callable[[], None] = lambda: None
    ) -> Tensor:
        """Sample latents from the given noise, (1, C, h, w); `on_step` is called after each step of the denoiser."""

        def velocity(noisy: Tensor, sigma: Tensor) -> Tensor:
            output = self.predict_velocity(noisy, sigma, conditions)
            on_step()
            return output

        return sample(velocity, noise.to(conditions.aligned.device).expand_as(conditions.aligned), sampling)


class GlowRestorer(nn.Module):
    """Network that restores a blurry image generatively. Shape: (B, 3, H, W) sRGB in [0, 1] -> same, any H and W.

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
        """Take the decoder of the latents, scaled (B, C, h, w) -> (B, 3, 32 h, 32 w) in [0, 1].

        `encoder` is its other half, for a network without pre-reconstruction, and `caption`, (1, N, C), is used for
        every image. `motion` and `semantics` can be switched off. Raises UnblurError when the encoder is needed and
        missing.
        """
        super().__init__()
        if network.pre_reconstruction is None and encoder is None:
            raise UnblurError("A GLOWDeblur without pre-reconstruction needs the encoder it was trained with; give it.")
        self.network, self.decoder, self.encoder = network, decoder, encoder
        self.sampling = sampling or Sampling()
        # A network that knows captions alone gets its null token without one.
        has_tokens = caption is not None or network.config.tokens != "captions"
        self.caption, self.motion, self.semantics, self.seed = caption, motion, semantics and has_tokens, seed

    @torch.no_grad()
    def forward(self, blurry: Tensor) -> Tensor:
        height, width = blurry.shape[2:]
        conditions = self.compute_conditions(reflect_to_multiple(blurry, STRIDE_PX))
        restored: Tensor = self.decoder(self.network.sample_latents(conditions, self.sampling, self.seed))
        return restored[..., :height, :width]

    def compute_conditions(self, blurry: Tensor) -> Conditions:
        """Compute the conditions. Shape: (B, 3, H, W), multiples of 32."""
        everywhere = torch.ones(len(blurry), dtype=torch.bool, device=blurry.device)
        captions = None
        if self.caption is not None:
            caption = self.caption.to(blurry.device)
            captions = Tokens(caption.values.expand(len(blurry), -1, -1), caption.mask.expand(len(blurry), -1))
        encoded = None
        if self.encoder is not None and self.network.pre_reconstruction is None:
            encoded = self.encoder(blurry)
        conditions: Conditions = self.network(blurry, captions, encoded)
        return self.network.drop_conditions(conditions, everywhere & self.motion, everywhere & self.semantics)
