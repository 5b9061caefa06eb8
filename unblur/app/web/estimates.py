"""Estimates of the time of restorations, from those measured since the program was started."""

import threading
from dataclasses import dataclass, field

from unblur.names import Mode, ShakeChoice
from unblur.restoration.restorer import ESTIMATING_MEGAPIXELS


@dataclass
class Speeds:
    """Measured times of restorations, by mode and shake; shared by all visitors."""

    _seconds_per_work: dict[tuple[Mode, ShakeChoice], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, mode: Mode, shake: ShakeChoice, pixels: int, seconds: float) -> None:
        """Record that `pixels` took `seconds`; the latest measurement counts."""
        with self._lock:
            self._seconds_per_work[mode, shake] = seconds / _measure_work(mode, shake, pixels)

    def estimate_s(self, mode: Mode, shake: ShakeChoice, pixels: int) -> float | None:
        """Return the expected seconds for so many pixels; None before the first measurement of the mode."""
        with self._lock:
            rate = self._seconds_per_work.get((mode, shake))
        return None if rate is None else rate * _measure_work(mode, shake, pixels)


def _measure_work(mode: Mode, shake: ShakeChoice, pixels: int) -> float:
    """Return the megapixels of a network run that take as long as restoring so many pixels."""
    megapixels = pixels / 1e6
    if shake == "off" or mode == "fast":
        return megapixels
    # The shake is estimated in a region of at most a megapixel. A third of that time does not depend on its size.
    return megapixels + ESTIMATING_MEGAPIXELS * (1 + 2 * min(1.0, megapixels)) / 3


def describe_duration(seconds: float) -> str:
    """Return a rounded duration: "1 s", "40 s", "3 min", "1 h 20 min", with spaces that do not break lines."""
    if seconds < 60:
        # Above ten seconds, estimates are no more exact than that.
        return f"{max(1, round(seconds)) if seconds < 10 else 5 * round(seconds / 5)}\N{NO-BREAK SPACE}s"
    minutes = round(seconds / 60)
    text = f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
    return text.replace(" ", "\N{NO-BREAK SPACE}")
