"""Loss weights and condition dropout of GLOWDeblur's training."""

from dataclasses import dataclass

RESTORATION_EPSILON = 1e-3
"""Epsilon of the Charbonnier distance of the first restoration: smaller errors count by their square."""


@dataclass(frozen=True, kw_only=True)
class GlowTraining:
    """Loss weights relative to the velocity's mean squared error; the paper gives none."""

    alignment: float = 1.0
    """Weight of the mean squared error between the aligned feature and the sharp image's latents."""
    restoration: float = 1.0
    """Weight of the Charbonnier distance between the pre-reconstruction and the sharp image."""
    motion_dropout: float = 0.1
    """Share of examples whose motion condition is dropped; 1 trains without motion."""
    semantics_dropout: float = 0.1
    """Share of examples whose tokens are dropped, as SANA drops captions."""
    cache_size: int | None = None
    """Number of training patches whose frozen-backbone features are cached on disk and reused in every epoch. None
    disables the cache and trains the NAFNet on fresh patches."""

    def __post_init__(self) -> None:
        if min(self.alignment, self.restoration) < 0:
            raise ValueError(f"weights of losses cannot be negative: {self}")
        if self.cache_size is not None and self.cache_size < 1:
            raise ValueError(f"at least one patch must be cached: {self}")
        if not (0 <= self.motion_dropout <= 1 and 0 <= self.semantics_dropout <= 1):
            raise ValueError(f"shares of examples must be in [0, 1]: {self}")
