"""The results of the web page: a photograph is restored once, then blended at any strength without waiting.

The browser shows the photograph, the restoration and the generated detail as layers, so that it can blend them by
itself while a slider moves; the file to download is written when the slider rests.
"""

import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np

from unblur.app.jobs import RESULT_SUFFIXES, make_result_name
from unblur.app.previews import shrink_pixels
from unblur.app.report import describe_fallback
from unblur.app.restorers import Restorers
from unblur.errors import UnblurError
from unblur.names import Mode, ShakeChoice
from unblur.photos.formats import choose_result_suffix
from unblur.photos.photo import Metadata, Photo
from unblur.photos.reading import read_photo
from unblur.photos.writing import check_format, list_left_behind, write_photo
from unblur.restoration.blend import apply_strength, check_strength
from unblur.restoration.generative import GenerativeSettings
from unblur.restoration.picture_restorer import Restoration
from unblur.restoration.windows import to_float

SHOWN_PX = 50_000_000
"""Largest preview in pixels: browsers are slow to move larger ones. The file to download has every pixel."""

MOST_PIXELS = 150_000_000
"""Largest photograph of the page in pixels: a larger one would block the page for all visitors for an hour."""

PART_PX = 640
"""Side in pixels of the part of a photograph that can be tried before the whole."""

USUAL_FIDELITY = GenerativeSettings().fidelity

BLENDED = GenerativeSettings(fidelity=0, returns_first=True)
"""Settings of the page's generative mode: most detail is generated, and the page blends it with the restoration
without generated detail."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Choices of a visitor besides the photographs. Raises UnblurError for other modes, and values outside [0, 1]."""

    mode: Mode = "faithful"
    shake: ShakeChoice = "auto"
    strength: float = 1.0
    fidelity: float = USUAL_FIDELITY

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise UnblurError(f"There is no mode {self.mode!r}; choose one of {', '.join(get_args(Mode))}.")
        check_strength(self.strength)
        GenerativeSettings(fidelity=self.fidelity)


@dataclass(frozen=True, kw_only=True)
class Part:
    """The square of `PART_PX` around a point of a photograph, given as shares of its width and height."""

    x: float
    y: float

    def cut(self, photo: Photo) -> Photo:
        """Return the pixels of the part, of a smaller one where the photograph is smaller."""
        top, left = (
            min(max(round(share * side - PART_PX / 2), 0), max(side - PART_PX, 0))
            for share, side in ((self.y, photo.height), (self.x, photo.width))
        )
        inside = np.s_[top : top + PART_PX, left : left + PART_PX]
        return Photo(
            pixels=np.ascontiguousarray(photo.pixels[inside]),
            alpha=None if photo.alpha is None else np.ascontiguousarray(photo.alpha[inside]),
            metadata=photo.metadata,
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """One restored photograph of a visitor, or a part of one."""

    source: Path
    part: Part | None
    folder: Path
    output: Path
    """The file to download, in the photograph's own format where that can be written."""
    before: Path
    after: Path
    generated: Path | None
    """Previews that browsers can show, at full strength: with fidelity 1 and, where detail was generated, 0."""
    width: int
    height: int
    seconds: float
    metadata: Metadata
    """Metadata of the result, with the mark of generated detail where there is some."""
    choices: Choices
    version: int
    """Number of the times that the file to download was written."""
    facts: tuple[str, ...]
    """Facts about the restoration besides size and time, such as the shake that was solved."""
    hardly_changed: bool
    left_behind: tuple[str, ...]
    """Contents of the photograph's file that the result does not have."""

    @property
    def has_generated_detail(self) -> bool:
        """True if the file to download has generated detail."""
        return self.generated is not None and self.choices.strength > 0 and self.choices.fidelity < 1

    def blend(self, choices: Choices) -> "Result":
        """Write the file to download again with other strength and fidelity."""
        result = replace(self, choices=choices, version=self.version + 1)
        result.write(result.read())
        return result

    def read(self) -> Photo:
        """Read what was restored: the photograph, or the part."""
        photo = read_photo(self.source, most_pixels=MOST_PIXELS)
        return photo if self.part is None else self.part.cut(photo)

    def write(self, photo: Photo) -> None:
        """Write the file to download; `photo` is the blurry photograph."""
        restored = photo
        if self.choices.strength > 0:
            pixels = np.load(self.folder / "first.npy")
            if self.generated is not None:
                generated = to_float(np.load(self.folder / "generated.npy"))
                pixels = apply_strength(pixels, generated, 1 - self.choices.fidelity)
            pixels = apply_strength(photo.pixels, to_float(pixels), self.choices.strength)
            metadata = self.metadata if self.has_generated_detail else photo.metadata
            restored = replace(photo.with_pixels(pixels), metadata=metadata)
        write_photo(restored, self.output)


def restore(
    source: Path,
    part: Part | None,
    choices: Choices,
    restorers: Restorers,
    parent: Path,
    on_tile: Callable[[float], None],
) -> Result:
    """Restore one photograph into a new folder in `parent`. `on_tile` gets the share done and may raise.

    Raises UnblurError when the photograph cannot be restored.
    """
    photo = read_photo(source, most_pixels=MOST_PIXELS)
    on_tile(0.0)
    folder = Path(tempfile.mkdtemp(dir=parent))
    ending = choose_result_suffix(source.suffix)
    output = folder / make_result_name(source.stem, f"{RESULT_SUFFIXES[choices.mode]}{ending}")
    if part is not None:
        photo = part.cut(photo)
    # Reported here, not after minutes of work.
    check_format(photo, output)
    restoration = restorers.get(choices.mode, choices.shake).restore_photo(photo, progress=on_tile)
    pixels = photo.width * photo.height
    restorers.speeds.note(choices.mode, choices.shake, pixels, restoration.seconds)
    has_detail = restoration.first is not None and restoration.generated_share > 0
    first = restoration.first if has_detail and restoration.first is not None else restoration.photo
    np.save(folder / "first.npy", first.pixels)
    write_photo(make_preview(photo), folder / "before.jpg")
    write_photo(make_preview(first), folder / "after.jpg")
    if has_detail:
        np.save(folder / "generated.npy", restoration.photo.pixels)
        write_photo(make_preview(restoration.photo), folder / "generated.jpg")
    result = Result(
        source=source,
        part=part,
        folder=folder,
        output=output,
        before=folder / "before.jpg",
        after=folder / "after.jpg",
        generated=folder / "generated.jpg" if has_detail else None,
        width=photo.width,
        height=photo.height,
        seconds=restoration.seconds,
        metadata=restoration.photo.metadata,
        choices=choices,
        version=1,
        facts=_list_facts(restoration),
        hardly_changed=restoration.hardly_changed,
        left_behind=list_left_behind(restoration.photo, output),
    )
    on_tile(1.0)
    result.write(photo)
    return result


def make_preview(photo: Photo) -> Photo:
    """Return `photo` for a browser: opaque, of a size that it can move, without metadata except the colour profile."""
    step = find_preview_step(photo.width, photo.height)
    pixels = shrink_pixels(photo.pixels, step)
    if photo.alpha is not None:
        # On white: the browser lays several previews over each other.
        alpha = shrink_pixels(photo.alpha[..., None], step)
        white = np.full_like(pixels, np.iinfo(pixels.dtype).max)
        share = to_float(alpha)
        pixels = np.rint(pixels * share + white * (1 - share)).astype(pixels.dtype)
    return Photo(pixels=pixels, metadata=Metadata(icc=photo.metadata.icc))


def find_preview_step(width: int, height: int) -> int:
    """Return the number of pixels, along each side, that one pixel of a preview stands for."""
    return math.ceil(math.sqrt(width * height / SHOWN_PX))


def _list_facts(restoration: Restoration) -> tuple[str, ...]:
    facts = []
    if restoration.shake is not None:
        facts.append(f"{restoration.shake}, solved")
    if restoration.fallback_share:
        facts.append(describe_fallback(restoration.fallback_share))
    elif restoration.hardly_changed:
        facts.append("hardly changed")
    return tuple(facts)


def check_part(x: object, y: object) -> Part:
    """Return the part around a point that a browser names. Raises UnblurError for anything but shares."""
    if not all(isinstance(share, int | float) and 0 <= share <= 1 for share in (x, y)):
        raise UnblurError("This names no part of the photograph; click on the part that you want to try.")
    return Part(x=float(x), y=float(y))  # type: ignore[arg-type]
