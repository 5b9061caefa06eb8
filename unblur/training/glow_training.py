"""What GLOWDeblur's training minimises beside the error of its velocity, and how often it is told nothing."""

from dataclasses import dataclass

RESTORATION_EPSILON = 1e-3
"""Of the Charbonnier distance of the first restoration: smaller errors count by their square."""


@dataclass(frozen=True, kw_only=True)
class GlowTraining:
    """Weights beside the 1 of the velocity's mean squared error; the paper tells none."""

    alignment: float = 1.0
    """Of the mean squared error of the aligned feature, which should be the sharp photograph's latents."""
    restoration: float = 1.0
    """Of the Charbonnier distance of the pre-reconstruction from the sharp photograph."""
    motion_dropout: float = 0.1
    """Share of the examples whose denoiser is not told the motion; 1 trains it without."""
    semantics_dropout: float = 0.1
    """Share of those whose denoiser is not told what the photograph shows; SANA's for captions."""
    cache_size: int | None = None
    """With a number the hourglass does not learn, and so many patches are shown again and again: what the frozen parts
    see in them is kept. None trains it too, on patches that are always new."""

    def __post_init__(self) -> None:
        if min(self.alignment, self.restoration) < 0:
            raise ValueError(f"weights of losses cannot be negative: {self}")
        if self.cache_size is not None and self.cache_size < 1:
            raise ValueError(f"at least one patch must be kept: {self}")
        if not (0 <= self.motion_dropout <= 1 and 0 <= self.semantics_dropout <= 1):
            raise ValueError(f"shares of examples must be in [0, 1]: {self}")
