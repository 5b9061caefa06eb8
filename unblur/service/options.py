"""The options of a request, which have the names and the meanings of the command line's, and the formats of answers."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from unblur.names import Mode, ShakeChoice
from unblur.service.refusals import Refusal

Format = Literal["jpg", "png", "webp", "tif", "avif", "jxl"]
"""Formats of restored photographs, by their suffix without the dot."""

MEDIA_TYPES: dict[Format, str] = {
    "jpg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "tif": "image/tiff",
    "avif": "image/avif",
    "jxl": "image/jxl",
}
JSON = "application/json"
LOSSLESS: tuple[Format, ...] = ("png", "tif")


class Options(BaseModel):
    """Options of a request; other names and values are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Annotated[
        Mode,
        Field(
            description="faithful: best quality, adds nothing. fast: several times faster, but fine blur stays. "
            "generative: may invent detail where blur destroyed it.",
            examples=["fast"],
        ),
    ] = "faithful"
    strength: Annotated[
        float,
        Field(ge=0, le=1, description="How much of the restoration to apply, from 0 to 1.", examples=[1.0, 0.5]),
    ] = 1.0
    shake: Annotated[
        ShakeChoice,
        Field(description="Camera shake: estimate and remove it where that helps, never, or always.", examples=["off"]),
    ] = "auto"
    restore_sharp: Annotated[bool, Field(description="Also restore photographs that are sharp already.")] = False
    format: Annotated[
        Literal["same", Format],
        Field(
            description="Format of the result; same is that of the photograph, or what the Accept header asks for.",
            examples=["png"],
        ),
    ] = "same"
    quality: Annotated[
        int | None,
        Field(
            ge=1,
            le=100,
            description="Quality of JPEG, WebP, AVIF and JPEG XL; by default 90 for AVIF and 95 for the others.",
            examples=[80],
        ),
    ] = None
    fidelity: Annotated[
        float | None,
        Field(
            ge=0,
            le=1,
            description="Only with mode=generative: inventing detail (0) to staying faithful (1).",
            examples=[0.5],
        ),
    ] = None

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        if self.fidelity is not None and self.mode != "generative":
            raise ValueError("fidelity has a meaning only with mode=generative; add that, or leave it out")
        if self.quality is not None and self.format in LOSSLESS:
            raise ValueError(f"quality has no meaning with format={self.format}, which loses nothing; leave it out")
        return self


def choose_answer(accept: str | None, requested: Literal["same", Format], own: Format) -> tuple[Format, bool]:
    """Return the format of the result, and whether it is sent inside of JSON.

    `accept` is the Accept header, `requested` the option `format`, and `own` the format that results for this
    photograph have by default. The option decides over the header, and among what the header likes equally, the
    photograph's own format comes first. Raises Refusal where the header accepts nothing that can be sent.
    """
    ranges = _parse_accept(accept or "*/*")
    allowed: list[Format] = [own, *MEDIA_TYPES] if requested == "same" else [requested]
    candidates = {MEDIA_TYPES[name]: name for name in allowed}
    weights = {media_type: _weigh(media_type, ranges) for media_type in [*candidates, JSON]}
    # `max` returns the first of equals; JSON only where the header names it.
    best = max(weights, key=lambda media_type: weights[media_type])
    if weights[best] == 0:
        raise Refusal(406, f"No answer has a type of the Accept header; accept one of {', '.join(weights)}.")
    return (candidates.get(best) or allowed[0]), best == JSON


def _parse_accept(accept: str) -> list[tuple[str, float]]:
    """Return the media ranges of an Accept header and their weights, RFC 9110, section 12.5.1."""
    ranges = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(1.0, max(0.0, float(parameter[2:])))
                except ValueError:
                    weight = 0.0
        if name:
            ranges.append((name, weight))
    return ranges


def _weigh(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """Return the weight of the most specific range that holds `media_type`; 0 where none does."""
    wildcards = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    for wanted in wildcards:
        found = [weight for name, weight in ranges if name == wanted]
        if found:
            return found[0]
    return 0.0
