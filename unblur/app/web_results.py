"""What the web page makes of a photograph: restored once, then written again at any strength without waiting.

Every visitor has a folder, which is removed when the page is closed. Uploads, and copies that the server made for
downloading, are the server's to remove.
"""

import math
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unblur.app.jobs import RESULT_SUFFIXES
from unblur.app.report import GENERATED_MEANS, left_as_it_was, printable, reason_of
from unblur.app.restore_command import with_mark
from unblur.names import Mode
from unblur.photos.files import read_photo, refuse_what_the_format_cannot_hold, write_photo
from unblur.photos.formats import suffix_of_result
from unblur.photos.photo import Metadata, Photo
from unblur.restoration.blend import blend
from unblur.restoration.generative import GenerativeRestorer, load_generative
from unblur.restoration.restorer import Restoration, Restorer, load
from unblur.restoration.windows import shares_of_white

SHOWN_PX = 16_000_000
"""Larger photographs are shown smaller: browsers are slow to move them. What is downloaded has every pixel."""

WHY_HARDLY_CHANGED = "What hardly changed is sharp already, or blurred in a way these weights cannot undo."
ABOUT_GENERATED = f"Detail was generated: {GENERATED_MEANS}"


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The visitor pressed Stop."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One restored photograph of a visitor."""

    source: Path
    output: Path
    """To be downloaded, in the photograph's own format where that can be written."""
    before: Path
    after: Path
    """Pictures that browsers show."""
    full: Path
    """Pixels at full strength, as NumPy saves them."""
    metadata: Metadata
    """Of the result, with the mark of generated detail where there is some."""
    strength: float
    text: str
    """What there is to say about it, in a line."""
    hardly_changed: bool
    generated: bool


class Restorers:
    """The networks, each loaded when it is first asked for; visitors share them."""

    def __init__(self, checkpoint: str | None, device: str) -> None:
        """`checkpoint`: other weights for modes that invent nothing, or None for the bundled."""
        self._checkpoint, self._device = checkpoint, device
        self._loaded: dict[Mode, Restorer | GenerativeRestorer] = {}
        self._lock = threading.Lock()

    def of(self, mode: Mode, fidelity: float | None = None) -> Restorer | GenerativeRestorer:
        """`fidelity`: of generated detail, None for the usual; nothing to the modes that invent nothing.

        Raises UnblurError when weights or a package are missing, and for a fidelity that makes no sense.
        """
        with self._lock:
            if mode not in self._loaded:
                self._loaded[mode] = (
                    load_generative(device=self._device)
                    if mode == "generative"
                    else load(self._checkpoint, self._device, fast=mode == "fast")
                )
            restorer = self._loaded[mode]
        if isinstance(restorer, GenerativeRestorer) and fidelity is not None:
            return restorer.at_fidelity(fidelity)
        return restorer


class Visit:
    """One visitor's photographs, in a folder that `close` removes."""

    def __init__(self, parent: Path) -> None:
        self.results: list[Result] = []
        self.stop = threading.Event()
        self._folder = Path(tempfile.mkdtemp(dir=parent))

    def close(self) -> None:
        """Stops what is under way and forgets the photographs."""
        self.stop.set()
        shutil.rmtree(self._folder, ignore_errors=True)

    def restore(
        self,
        sources: list[Path],
        mode: Mode,
        restorers: Restorers,
        progress: Callable[[float, str], None],
        fidelity: float | None = None,
    ) -> list[str]:
        """Restore `sources` one after the other into `results`, in place of those before. What to say, line by line.

        `progress` is told the share done and the present photograph's name. A photograph that fails has its line, and
        the others are restored. `stop` may have been set before, while the visitor waited. Raises UnblurError when the
        mode's network cannot be loaded, and for a fidelity that makes no sense.
        """
        try:
            return self._restore(sources, mode, restorers.of(mode, fidelity), progress)
        finally:
            self.stop.clear()

    def _restore(
        self,
        sources: list[Path],
        mode: Mode,
        restorer: Restorer | GenerativeRestorer,
        progress: Callable[[float, str], None],
    ) -> list[str]:
        self.results.clear()
        for earlier in self._folder.iterdir():
            shutil.rmtree(earlier, ignore_errors=True)
        lines: list[str] = []
        for index, source in enumerate(sources):
            name = printable(source.name)

            def on_tile(share: float, index: int = index, name: str = name) -> None:
                if self.stop.is_set():
                    raise Stopped
                progress((index + share) / len(sources), name)

            try:
                on_tile(0.0)
                result = self._restored(source, mode, restorer, on_tile)
            except Stopped:
                lines.append(f"Stopped before {name} was done.")
                break
            except Exception as error:
                # One bad file never stops the others, also not through a mistake of ours.
                lines.append(f"{name}: {printable(reason_of(error).replace(str(source), name))}")
            else:
                self.results.append(result)
                lines.append(result.text)
        return [*lines, *self._remarks()]

    def set_strength(self, index: int, strength: float) -> Result:
        """Write the result `index` again at another strength."""
        result = self.results[index] = replace(self.results[index], strength=strength)
        restored = photo = read_photo(result.source)
        if strength > 0:
            pixels = blend(photo.pixels, shares_of_white(np.load(result.full)), strength)
            restored = replace(photo.with_pixels(pixels), metadata=result.metadata)
        _write(result, restored)
        return result

    def _remarks(self) -> list[str]:
        """What there is to say about all of them together."""
        remarks = []
        if any(result.hardly_changed for result in self.results):
            remarks.append(WHY_HARDLY_CHANGED)
        if any(result.generated for result in self.results):
            remarks.append(ABOUT_GENERATED)
        return remarks

    def _restored(
        self, source: Path, mode: Mode, restorer: Restorer | GenerativeRestorer, on_tile: Callable[[float], None]
    ) -> Result:
        photo = read_photo(source)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        output = folder / f"{source.stem}{RESULT_SUFFIXES[mode]}{suffix_of_result(source.suffix)}"
        # Now, not after minutes of work.
        refuse_what_the_format_cannot_hold(photo, output)
        restoration = restorer.restore_photo(photo, progress=on_tile)
        restored = with_mark(restoration.photo) if restoration.generated_share else restoration.photo
        full = folder / "full.npy"
        np.save(full, restored.pixels)
        ending = ".jpg" if photo.alpha is None else ".png"
        result = Result(
            source=source,
            output=output,
            before=folder / f"before{ending}",
            after=folder / f"after{ending}",
            full=full,
            metadata=restored.metadata,
            strength=1.0,
            text=_text(source, restoration),
            hardly_changed=restoration.hardly_changed,
            generated=restoration.generated_share > 0,
        )
        write_photo(shown(photo), result.before)
        _write(result, restored)
        return result


def _write(result: Result, restored: Photo) -> None:
    """What is downloaded, and what is shown of it."""
    write_photo(restored, result.output)
    write_photo(shown(restored), result.after)


def shown(photo: Photo) -> Photo:
    """`photo` for a browser: of a size that it can move, without metadata but for the colour profile."""
    step = math.ceil(math.sqrt(photo.width * photo.height / SHOWN_PX))
    return Photo(
        pixels=_smaller(photo.pixels, step),
        alpha=None if photo.alpha is None else _smaller(photo.alpha[..., None], step)[..., 0],
        metadata=Metadata(icc=photo.metadata.icc),
    )


def _smaller(pixels: np.ndarray, step: int) -> np.ndarray:
    """Means of `step` x `step` squares; rows and columns that fill none are left out. Shape: (H, W, C)."""
    if step == 1 or min(pixels.shape[:2]) < step:
        return pixels
    height, width = (side // step for side in pixels.shape[:2])
    squares = pixels[: height * step, : width * step].reshape(height, step, width, step, -1)
    # By rows of squares: a copy of everything in float would be several times as large as the photograph.
    return np.stack([np.rint(row.mean(axis=(0, 2))).astype(pixels.dtype) for row in squares])


def _text(source: Path, restoration: Restoration) -> str:
    photo = restoration.photo
    line = f"{printable(source.name)}: {photo.width} x {photo.height}, {restoration.seconds:.1f} s"
    if restoration.shake is not None:
        line += f", {restoration.shake}, solved"
    if restoration.kept_share:
        return f"{line}, {left_as_it_was(restoration.kept_share)}"
    return f"{line}, hardly changed" if restoration.hardly_changed else line
