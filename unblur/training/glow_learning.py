"""What GLOWDeblur's training minimises beside the error of its velocity, and how often it is told nothing."""

from dataclasses import dataclass

RESTORATION_EPSILON = 1e-3
"""Of the Charbonnier distance of the first restoration: smaller errors count by their square."""


@dataclass(frozen=True, kw_only=True)
class GlowLearning:
    """Weights beside the 1 of the velocity's mean squared error; the paper tells none."""

    alignment: float = 1.0
    """Of the mean squared error of the aligned feature, which should be the sharp photograph's latents."""
    restoration: float = 1.0
    """Of the Charbonnier distance of the pre-reconstruction from the sharp photograph."""
    motion_withheld: float = 0.1
    """Share of the examples whose denoiser is not told the motion; 1 trains it without."""
    semantics_withheld: float = 0.1
    """Share of those whose denoiser is not told what the photograph shows; SANA's for captions."""

    def __post_init__(self) -> None:
        if min(self.alignment, self.restoration) < 0:
            raise ValueError(f"weights of losses cannot be negative: {self}")
        if not (0 <= self.motion_withheld <= 1 and 0 <= self.semantics_withheld <= 1):
            raise ValueError(f"shares of examples must be in [0, 1]: {self}")
