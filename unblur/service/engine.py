"""The restorer as the service uses it: three stages for each photograph."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from unblur.names import Mode
from unblur.service.options import Format, Options


class Report(BaseModel):
    """The report about a restoration, with the names and the meanings of `unblur restore --json`."""

    model_config = ConfigDict(frozen=True)

    summary: Annotated[
        str,
        Field(
            description="The report in words, as the command line prints it.",
            examples=["640x448  1.2 s  shake: 12 px, 71 degrees, solved"],
        ),
    ]
    mode: Mode
    width: int
    height: int
    seconds: Annotated[float, Field(description="Seconds of the restoration, without reading and writing.")]
    tile: int | None = None
    strength: float
    change: Annotated[float, Field(description="Mean absolute difference to the input, as a share of full scale.")]
    hardly_changed: bool
    unchanged_because: Annotated[
        str | None, Field(description="Why the result is hardly changed, if it is.", examples=["it is sharp"])
    ] = None
    blur: Annotated[str | None, Field(description="The kind of blur; none for very small photographs.")] = None
    blur_confidence: float | None = None
    blur_px: float | None = None
    blur_deg: float | None = None
    noise_level: float | None = None
    blur_sentence: str | None = None
    suggestion: str | None = None
    fallback_share: float
    checkpoint: Annotated[str | None, Field(description="SHA-256 of the weights.")] = None
    shake_px: Annotated[float | None, Field(description="Length of the camera shake that was solved.")] = None
    shake_deg: int | None = None
    shake_confidence: float | None = None
    generated_share: Annotated[float | None, Field(description="Share whose detail was generated.")] = None
    marked: bool | None = None
    left_behind: Annotated[tuple[str, ...], Field(description="Contents of the file that the result lacks.")] = ()
    seed: int | None = None
    steps: int | None = None
    solver: str | None = None
    fidelity: float | None = None
    decoder: str | None = None


@dataclass(frozen=True, kw_only=True)
class RestoredFile:
    """The content of a restored photograph's file, and the report."""

    content: bytes
    report: Report


class Decoded(Protocol):
    """A photograph in memory. Each stage is called once, in any thread."""

    @property
    def pixels(self) -> int:
        """Number of pixels."""

    def restore(self, progress: Callable[[float], None]) -> None:
        """Restore the photograph; what `progress` raises ends this. Raises UnblurError."""

    def encode(self) -> RestoredFile:
        """Encode the restored photograph. Raises UnblurError."""


class Engine(Protocol):
    """Restorer of photographs in stages. `Decoded.restore` is called by one thread at a time."""

    def load(self) -> None:
        """Load the networks, and restore a picture so that they are warm. Raises UnblurError."""

    def identify(self, content: bytes) -> Format:
        """Return the format of results for a file. Raises UnblurError for files that are not photographs."""

    def decode(self, content: bytes, options: Options, result_format: Format) -> Decoded:
        """Decode a file. Raises UnblurError, TooManyPixelsError and MemoryShortageError among them."""


class Answer(BaseModel):
    """The answer in JSON."""

    media_type: Literal["image/jpeg", "image/png", "image/webp", "image/tiff", "image/avif", "image/jxl"]
    photograph: Annotated[str, Field(description="The content of the restored photograph's file in Base64.")]
    report: Report


class Problem(BaseModel):
    """The reason why a request gets no photograph."""

    detail: Annotated[str, Field(description="One sentence: what was wrong, with what, what to do.")]

    @classmethod
    def describe(cls, meaning: str, example: str, *, retry: bool = False) -> dict[str, Any]:
        """Return the description of an error response for OpenAPI."""
        response: dict[str, Any] = {
            "model": cls,
            "description": meaning,
            "content": {"application/json": {"example": {"detail": example}}},
        }
        if retry:
            seconds = {"schema": {"type": "integer"}, "description": "Seconds, from the measured throughput."}
            response["headers"] = {"Retry-After": seconds}
        return response
