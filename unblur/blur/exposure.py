"""One exposure, written down completely: rendering it again gives the same photograph bit for bit."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Everything that happened between opening and closing the shutter, and after. JSON-serialisable."""

    poses: tuple[tuple[float, float, float, float, float, float], ...]
    """Camera poses at equal steps of time, as in `unblur.blur.trajectory`."""
    focal_px: float
    """Focal length in pixels."""
    principal_px: tuple[float, float]
    """Where the optical axis meets the picture, (x, y) from its top left pixel; may lie outside of a crop."""
    highlight_gain: float
    """How much brighter than white the brightest pixels really were (linear light); 0 for none."""
    shot_noise: float
    """Variance of the linear signal per unit of signal (photon noise)."""
    read_noise: float
    """Standard deviation of the linear signal in the dark."""
    noise_seed: int
    """Names the noise drawn."""
    jpeg_quality: int | None
    """1 to 100, or None for an uncompressed photograph."""
    jpeg_subsample_chroma: bool
    """Whether the JPEG file stores colour at half resolution, as most cameras do."""

    def cropped(self, left_px: int, top_px: int) -> "Exposure":
        """The same exposure seen by a crop that starts at (left, top) of the picture."""
        x, y = self.principal_px
        return replace(self, principal_px=(x - left_px, y - top_px))
