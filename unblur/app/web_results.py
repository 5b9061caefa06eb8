"""The results of the web page: a photograph is restored once, then written at any strength without waiting.

Every visitor has a folder, which is removed when the page is closed, with the uploads, and with the copies that the
server made for downloading.
"""

import contextvars
import math
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from unblur.app.jobs import RESULT_SUFFIXES, make_result_name
from unblur.app.report import GENERATED_MEANS, describe_error, describe_fallback, describe_left_behind, printable
from unblur.errors import UnblurError
from unblur.names import Mode, ShakeChoice
from unblur.photos.files import check_format, left_behind, read_photo, write_photo
from unblur.photos.formats import choose_result_suffix
from unblur.photos.photo import Metadata, Photo
from unblur.restoration.blend import apply_strength, check_strength
from unblur.restoration.generative import GenerativeRestorer
from unblur.restoration.loading import load
from unblur.restoration.picture_restorer import Restoration
from unblur.restoration.restorer import Restorer
from unblur.restoration.windows import to_float

SHOWN_PX = 16_000_000
"""Largest preview in pixels: browsers are slow to move larger ones. The file to download has every pixel."""

MOST_PIXELS = 150_000_000
"""Largest photograph of the page in pixels: a larger one would block the page for all visitors for an hour."""

STOP_S = 1.0
"""Longest time in seconds from pressing Stop to the end of the call."""

WHY_HARDLY_CHANGED = "What hardly changed is sharp already, or blurred in a way these weights cannot undo."
ABOUT_GENERATED = f"Detail was generated: {GENERATED_MEANS}"


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The visitor pressed Stop."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One restored photograph of a visitor."""

    source: Path
    output: Path
    """The file to download, in the photograph's own format where that can be written."""
    before: Path
    after: Path
    """Previews in formats that browsers can show."""
    full: Path
    """Pixels at full strength, as NumPy saves them."""
    metadata: Metadata
    """Metadata of the result, with the mark of generated detail where there is some."""
    strength: float
    text: str
    """One line about the result."""
    hardly_changed: bool
    generated: bool
    left_behind: tuple[str, ...]
    """Contents of the photograph's file that the result does not have."""


class Restorers:
    """The networks, each loaded when it is first used and shared by all visitors."""

    def __init__(self, checkpoint: str | None, device: str) -> None:
        """Take other weights for the modes that invent nothing in `checkpoint`, or None for the bundled ones."""
        self._checkpoint, self._device = checkpoint, device
        self._loaded: dict[tuple[Mode, ShakeChoice], Restorer | GenerativeRestorer] = {}
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    @contextmanager
    def turn(self, check: Callable[[], None]) -> Iterator[None]:
        """Exclude other restorations in this context; `check`, which may raise, is called while waiting for them."""
        while not self._turn.acquire(timeout=0.1):
            check()
        try:
            yield
        finally:
            self._turn.release()

    def get(
        self, mode: Mode, fidelity: float | None = None, shake: ShakeChoice = "auto"
    ) -> Restorer | GenerativeRestorer:
        """Return the restorer of a mode, with this fidelity of generated detail; None is the default fidelity.

        `fidelity` has no effect in other modes. `shake` selects whether camera shake is solved. Raises UnblurError when
        weights or a package are missing, and for a fidelity outside [0, 1].
        """
        with self._lock:
            if (mode, shake) not in self._loaded:
                checkpoint = None if mode == "generative" else self._checkpoint
                self._loaded[mode, shake] = load(checkpoint, self._device, mode=mode, shake=shake)
            restorer = self._loaded[mode, shake]
        if isinstance(restorer, GenerativeRestorer) and fidelity is not None:
            return restorer.with_fidelity(fidelity)
        return restorer


@dataclass
class _Run:
    """The restoration of some photographs, in a thread of its own: the visitor's call may end before it does."""

    is_stopped: Callable[[], bool]
    results: list[Result] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    present: str = ""
    """Name of the photograph that is being restored."""
    error: UnblurError | None = None
    """Error because of which nothing could be restored."""
    is_abandoned: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise Stopped once the visitor has pressed Stop or gone."""
        if self.is_abandoned.is_set() or self.is_stopped():
            raise Stopped


class Visit:
    """One visitor's photographs, in a folder that is made for the first of them and that `close` removes."""

    def __init__(self, parent: Path) -> None:
        self.results: list[Result] = []
        self.stop = threading.Event()
        self.is_busy = False
        """True while photographs are being restored."""
        self.copies: set[Path] = set()
        """Folders of the server with the visitor's uploads, and with copies of the results that were shown."""
        self._parent = parent
        self._folder: Path | None = None

    @property
    def folders(self) -> set[Path]:
        """Every folder with files of this visitor."""
        return self.copies | ({self._folder} if self._folder is not None else set())

    def close(self) -> None:
        """Stop a restoration under way and remove the photographs."""
        self.stop.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def restore(
        self,
        sources: list[Path],
        mode: Mode,
        restorers: Restorers,
        progress: Callable[[float, str], None],
        fidelity: float | None = None,
        shake: ShakeChoice = "auto",
    ) -> list[str]:
        """Restore `sources` one after the other into `results`, in place of those before, and return a text about them.

        `progress` gets the share done and the present photograph's name. A photograph that fails has its line, and
        the others are restored. `stop` may have been set before, while the visitor waited; once it is set, this returns
        within `STOP_S`, and steps that cannot be interrupted end by themselves. Raises UnblurError when the mode's
        network cannot be loaded, and for a fidelity outside [0, 1].
        """
        run = _Run(is_stopped=self.stop.is_set)
        self.is_busy = True
        try:
            self.results.clear()
            folder = self._empty_folder()
            # In the context of the caller, by which Gradio assigns the progress to a visitor.
            work = partial(_restore, run, sources, mode, fidelity, shake, restorers, folder, progress)
            thread = threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True)
            thread.start()
            while thread.is_alive() and not self.stop.is_set():
                thread.join(0.05)
            thread.join(STOP_S if self.stop.is_set() else None)
            if thread.is_alive():
                run.is_abandoned.set()
                run.lines.append(_describe_stop(run.present))
        finally:
            self.is_busy = False
            self.stop.clear()
        if run.error is not None:
            raise run.error
        self.results[:] = run.results
        return [*run.lines, *self._make_remarks()]

    def _empty_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(dir=self._parent))
        for earlier in self._folder.iterdir():
            shutil.rmtree(earlier, ignore_errors=True)
        return self._folder

    def set_strength(self, index: int, strength: float) -> Result:
        """Write the result `index` again at another strength. Raises UnblurError for one outside [0, 1]."""
        check_strength(strength)
        earlier = self.results[index]
        # A browser would show its cached copy of a picture at the same address.
        after = earlier.after.with_name(f"after_{strength:.6f}{earlier.after.suffix}")
        result = self.results[index] = replace(earlier, strength=strength, after=after)
        restored = photo = read_photo(result.source, most_pixels=MOST_PIXELS)
        if strength > 0:
            pixels = apply_strength(photo.pixels, to_float(np.load(result.full)), strength)
            restored = replace(photo.with_pixels(pixels), metadata=result.metadata)
        _write(result, restored)
        if earlier.after != after:
            earlier.after.unlink(missing_ok=True)
        return result

    def _make_remarks(self) -> list[str]:
        """Return a text about all results together."""
        remarks = []
        if any(result.hardly_changed for result in self.results):
            remarks.append(WHY_HARDLY_CHANGED)
        if any(result.generated for result in self.results):
            remarks.append(ABOUT_GENERATED)
        names = dict.fromkeys(name for result in self.results for name in result.left_behind)
        if names:
            remarks.append(describe_left_behind(names))
        return remarks


def _restore(
    run: _Run,
    sources: list[Path],
    mode: Mode,
    fidelity: float | None,
    shake: ShakeChoice,
    restorers: Restorers,
    folder: Path,
    progress: Callable[[float, str], None],
) -> None:
    """Restore `sources` into `folder`, and record the outcome of each in `run`."""
    try:
        # One at a time: each takes all cores, also one whose visitor has gone.
        with restorers.turn(run.check):
            restorer = restorers.get(mode, fidelity, shake)
            for index, source in enumerate(sources):
                run.present = printable(source.name)

                def on_tile(share: float, index: int = index) -> None:
                    run.check()
                    progress((index + share) / len(sources), run.present)
                    run.check()

                try:
                    on_tile(0.0)
                    result = _restore_one(source, mode, restorer, folder, on_tile)
                except Stopped:
                    run.lines.append(_describe_stop(run.present))
                    break
                except Exception as error:
                    # One bad file never stops the others, not even by a defect of this program.
                    why = printable(describe_error(error).replace(str(source), run.present))
                    run.lines.append(why if why.startswith(run.present) else f"{run.present}: {why}")
                else:
                    run.results.append(result)
                    run.lines.append(result.text)
    except Stopped:
        run.lines.append(_describe_stop(printable(sources[0].name)))
    except UnblurError as error:
        run.error = error


def _describe_stop(name: str) -> str:
    return f"Stopped before {name} was done."


def _restore_one(
    source: Path, mode: Mode, restorer: Restorer | GenerativeRestorer, parent: Path, on_tile: Callable[[float], None]
) -> Result:
    photo = read_photo(source, most_pixels=MOST_PIXELS)
    on_tile(0.0)
    folder = Path(tempfile.mkdtemp(dir=parent))
    ending = choose_result_suffix(source.suffix)
    output = folder / make_result_name(source.stem, f"{RESULT_SUFFIXES[mode]}{ending}")
    # Reported here, not after minutes of work.
    check_format(photo, output)
    restoration = restorer.restore_photo(photo, progress=on_tile)
    restored = restoration.photo
    full = folder / "full.npy"
    np.save(full, restored.pixels)
    shown_as = ".jpg" if photo.alpha is None else ".png"
    result = Result(
        source=source,
        output=output,
        before=folder / f"before{shown_as}",
        after=folder / f"after{shown_as}",
        full=full,
        metadata=restored.metadata,
        strength=1.0,
        text=_describe_result(source, restoration),
        hardly_changed=restoration.hardly_changed,
        generated=restoration.generated_share > 0,
        left_behind=left_behind(restored, output),
    )
    write_photo(make_preview(photo), result.before)
    on_tile(1.0)
    _write(result, restored)
    return result


def _write(result: Result, restored: Photo) -> None:
    """Write the file to download and the preview."""
    write_photo(restored, result.output)
    write_photo(make_preview(restored), result.after)


def make_preview(photo: Photo) -> Photo:
    """Return `photo` for a browser: of a size that it can move, without metadata except the colour profile."""
    step = math.ceil(math.sqrt(photo.width * photo.height / SHOWN_PX))
    return Photo(
        pixels=_shrink(photo.pixels, step),
        alpha=None if photo.alpha is None else _shrink(photo.alpha[..., None], step)[..., 0],
        metadata=Metadata(icc=photo.metadata.icc),
    )


def _shrink(pixels: np.ndarray, step: int) -> np.ndarray:
    """Return means of `step` x `step` squares; incomplete ones are left out. Shape: (H, W, C) -> (h, w, C)."""
    if step == 1 or min(pixels.shape[:2]) < step:
        return pixels
    height, width = (side // step for side in pixels.shape[:2])
    squares = pixels[: height * step, : width * step].reshape(height, step, width, step, -1)
    # By rows of squares: a copy of everything in float would be several times as large as the photograph.
    return np.stack([np.rint(row.mean(axis=(0, 2))).astype(pixels.dtype) for row in squares])


def _describe_result(source: Path, restoration: Restoration) -> str:
    photo = restoration.photo
    line = f"{printable(source.name)}: {photo.width} x {photo.height}, {restoration.seconds:.1f} s"
    if restoration.shake is not None:
        line += f", {restoration.shake}, solved"
    if restoration.fallback_share:
        return f"{line}, {describe_fallback(restoration.fallback_share)}"
    return f"{line}, hardly changed" if restoration.hardly_changed else line
