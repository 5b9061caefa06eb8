"""The kind of blur of a photograph, how strong it is, in which direction and where."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from unblur.config import to_json
from unblur.restoration.shake import Shake

Kind = Literal["sharp", "shaken", "moved subject", "out of focus"]
"""Kinds of photographs: nothing is blurred; the camera moved; something moved before a sharp scene; the lens was not
focused on the scene."""

KINDS: tuple[Kind, ...] = ("sharp", "shaken", "moved subject", "out of focus")

ReportedKind = Literal["sharp", "shaken", "moved subject", "out of focus", "uncertain"]

PlaceKind = Literal["sharp", "motion", "out of focus", "unclear"]
"""Kinds of places; "unclear" has too little texture, or is between the others."""

EVERYWHERE = 0.75
"""Share of the textured places from which on a sentence says "everywhere"."""

LEAST_CONFIDENCE = 0.7
"""Probability below which the kind of a photograph is reported as uncertain."""

SURE = 0.95
"""Probability from which a photograph that is sharp is left alone."""

NOISY_LEVEL = 2.0
"""Noise level from which a photograph is called noisy, in 8-bit grey levels."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A rectangle of the photograph and its blur."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int
    kind: PlaceKind
    length_px: float
    """Length of the path of motion, or diameter of the disk out of focus; 0 for other places."""
    direction_deg: float | None
    """0 is horizontal, 90 vertical, 0 to 180, counter-clockwise; None without motion."""


@dataclass(frozen=True, kw_only=True)
class BlurReport:
    """The blur of one photograph. `str` gives a sentence, `to_json` everything."""

    kind: ReportedKind
    """The kind, "uncertain" where the most probable one has a probability below LEAST_CONFIDENCE."""
    likeliest: Kind
    """The most probable kind; length, direction and share are those of this kind."""
    confidence: float
    """Probability of the most probable kind, in [0, 1], as learned from simulated photographs."""
    second: Kind
    """The second most probable kind."""
    length_px: float
    """Length of the path of motion in pixels of the photograph, median over the places that moved; for photographs out
    of focus the diameter of the disk that a point becomes. 0 for sharp photographs."""
    direction_deg: float | None
    """Main direction of the motion: 0 is horizontal, 90 vertical, 0 to 180, counter-clockwise; None without motion."""
    share: float
    """Share of the places with texture that have the blur of this kind, in [0, 1]; 0 for sharp photographs."""
    noisy: bool
    """True if the noise is visible."""
    noise_level: float
    """Standard deviation of the noise of the luminance, in 8-bit grey levels."""
    solved: bool
    """True if length and direction are those of a solved camera path, and not estimates of the classifier."""
    width: int
    height: int
    places: tuple[Place, ...]
    """A coarse map, row by row from the top left."""

    @property
    def is_surely_sharp(self) -> bool:
        """Whether restoration can be left out: sharp with a probability of at least SURE, and no place shows motion."""
        moved = any(place.kind == "motion" for place in self.places)
        return self.kind == "sharp" and self.confidence >= SURE and not moved

    def with_shake(self, shake: Shake) -> Self:
        """Return the report with length and direction of a solved camera path.

        A path that could be solved decides for "shaken" where the kind was uncertain. Reports of other certain kinds
        stay as they are.
        """
        if self.kind not in ("shaken", "uncertain"):
            return self
        return replace(
            self,
            kind="shaken",
            likeliest="shaken",
            length_px=round(shake.length_px, 2),
            direction_deg=round(shake.direction_deg, 1),
            solved=True,
        )

    def to_json(self) -> str:
        """Return the report as indented JSON; `unblur.config.from_json` reads it."""
        return to_json(self)

    def __str__(self) -> str:
        noise = f", noisy ({self.noise_level:.0f} grey levels)" if self.noisy else ""
        return f"{self._describe_blur()}{noise}"

    def _describe_blur(self) -> str:
        everywhere = self.solved or self.share >= EVERYWHERE
        where = "everywhere" if everywhere else f"in {max(self.share, 0.01):.0%} of the frame"
        motion = f"about {self.length_px:.0f} px at {self.direction_deg or 0:.0f} degrees"
        match self.kind:
            case "sharp":
                return "sharp"
            case "shaken":
                return f"shaken: {motion}, {where}"
            case "moved subject":
                return f"moved subject: {motion}, {where}"
            case "out of focus":
                return f"out of focus: a point is about {self.length_px:.0f} px wide, {where}"
            case "uncertain":
                return f"uncertain: {self.likeliest} or {self.second}"
