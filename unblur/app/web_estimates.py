"""How long a restoration will take, by those that this program has measured since it started."""

import threading
from dataclasses import dataclass, field

from unblur.names import Mode, ShakeChoice


@dataclass
class Speeds:
    """Measured times of restorations, by mode and shake; shared by all visitors."""

    _seconds_per_px: dict[tuple[Mode, ShakeChoice], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, mode: Mode, shake: ShakeChoice, pixels: int, seconds: float) -> None:
        """Record that `pixels` took `seconds`; the latest measurement counts."""
        with self._lock:
            self._seconds_per_px[mode, shake] = seconds / pixels

    def estimate_s(self, mode: Mode, shake: ShakeChoice, pixels: int) -> float | None:
        """Return the expected seconds for so many pixels; None before the first measurement of the mode."""
        with self._lock:
            rate = self._seconds_per_px.get((mode, shake))
        return None if rate is None else rate * pixels


def describe_duration(seconds: float) -> str:
    """Return a rounded duration: "1 s", "40 s", "3 min", "1 h 20 min"."""
    if seconds < 60:
        # Above ten seconds, estimates are no more exact than that.
        return f"{max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
