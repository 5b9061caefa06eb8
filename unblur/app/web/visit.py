"""One visitor of the web page: the photographs, their results, and the restoration under way.

Every visitor has a folder, which is removed when the page is closed, with the uploads.
"""

import shutil
import tempfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from unblur.app.report import describe_error, printable
from unblur.app.restorers import Restorers
from unblur.app.web.results import MOST_PIXELS, Choices, Part, Result, make_preview, restore
from unblur.errors import UnblurError
from unblur.photos.reading import read_photo
from unblur.photos.writing import write_photo

TICK_S = 0.25
"""Seconds between two reports of the progress."""

STOP_S = 1.0
"""Longest time in seconds from pressing Stop to the end of the call."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The visitor pressed Stop."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The state of a restoration under way."""

    name: str
    number: int
    count: int
    share: float
    """Share of the present photograph that is done."""
    seconds: float
    """Time since the present photograph was begun."""
    expected_s: float | None
    """Expected time of the present photograph; None before anything was measured."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A photograph before it is restored, as the page shows it."""

    preview: Path
    width: int
    height: int


@dataclass
class _Run:
    """The restoration of some photographs, in a thread of its own: the visitor's call may end before it does."""

    sources: list[Path]
    part: Part | None
    choices: Choices
    restorers: Restorers
    folder: Path
    stop: threading.Event
    sizes: dict[Path, Shown]
    results: list[Result] = field(default_factory=list)
    problems: dict[Path, str] = field(default_factory=dict)
    stopped_at: Path | None = None
    error: UnblurError | None = None
    """Error because of which nothing could be restored."""
    is_abandoned: threading.Event = field(default_factory=threading.Event)
    _number: int = 0
    _share: float = 0.0
    _began: float | None = None

    def check(self) -> None:
        """Raise Stopped once the visitor has pressed Stop or gone."""
        if self.is_abandoned.is_set() or self.stop.is_set():
            raise Stopped

    @property
    def present(self) -> Path:
        """The photograph that is being restored."""
        return self.sources[self._number]

    def measure_progress(self) -> Progress | None:
        """Return the state of the restoration; None while it waits for its turn."""
        if self._began is None:
            return None
        size = self.sizes.get(self.present)
        expected_s = None
        if size is not None and self.part is None:
            pixels = size.width * size.height
            expected_s = self.restorers.speeds.estimate_s(self.choices.mode, self.choices.shake, pixels)
        return Progress(
            name=printable(self.present.name),
            number=self._number + 1,
            count=len(self.sources),
            share=self._share,
            seconds=time.monotonic() - self._began,
            expected_s=expected_s,
        )

    def restore(self) -> None:
        """Restore the photographs one after the other, and record the outcome of each."""
        try:
            # One at a time: each takes all cores, also one whose visitor has gone.
            with self.restorers.turn(self.check):
                self._began = time.monotonic()
                self.restorers.get(self.choices.mode, self.choices.shake)
                for number, source in enumerate(self.sources):
                    self._number, self._began, self._share = number, time.monotonic(), 0.0
                    try:
                        self._on_tile(0.0)
                        self.results.append(
                            restore(source, self.part, self.choices, self.restorers, self.folder, self._on_tile)
                        )
                    except Stopped:
                        raise
                    except Exception as error:
                        # One bad file never stops the others, not even by a defect of this program.
                        self.problems[source] = describe_problem(source, error)
        except Stopped:
            self.stopped_at = self.present
        except UnblurError as error:
            self.error = error

    def _on_tile(self, share: float) -> None:
        self.check()
        self._share = share


class Visit:
    """One visitor's photographs and results, in a folder that is made for the first and that `close` removes."""

    def __init__(self, parent: Path) -> None:
        self.photos: list[Path] = []
        self.chosen = 0
        """Number of the photograph that the page shows."""
        self.results: list[Result] = []
        self.trial: Result | None = None
        """The part of a photograph that was tried last, while it is shown."""
        self.problems: dict[Path, str] = {}
        """Why photographs could not be read or restored, in sentences that name the file."""
        self.stopped_at: Path | None = None
        """The photograph that was being restored when the visitor pressed Stop."""
        self.error: str | None = None
        """Why no photograph could be restored, in a sentence."""
        self.stop = threading.Event()
        self.is_busy = False
        """True while photographs are being restored."""
        self.copies: set[Path] = set()
        """Folders of the server with the visitor's uploads."""
        self._shown: dict[Path, Shown] = {}
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

    def bring(self, photos: list[Path]) -> None:
        """Take `photos` in place of those before; results of photographs that are among them stay."""
        self.photos = list(dict.fromkeys(photos))
        self.results = [result for result in self.results if result.source in self.photos]
        self.problems = {photo: problem for photo, problem in self.problems.items() if photo in self.photos}
        self.trial = self.stopped_at = self.error = None

    def show(self, photo: Path) -> Shown | None:
        """Return the preview of a photograph; None, with a problem noted, where it cannot be read."""
        if photo not in self._shown:
            try:
                pixels = read_photo(photo, most_pixels=MOST_PIXELS)
                preview = Path(tempfile.mkdtemp(dir=self._make_folder())) / "photo.jpg"
                write_photo(make_preview(pixels), preview)
            except Exception as error:
                self.problems[photo] = describe_problem(photo, error)
                return None
            self._shown[photo] = Shown(preview=preview, width=pixels.width, height=pixels.height)
        return self._shown[photo]

    def find_result(self, photo: Path) -> Result | None:
        """Return the result of a photograph; None where there is none."""
        return next((result for result in self.results if result.source == photo), None)

    def restore(
        self, sources: list[Path], choices: Choices, restorers: Restorers, part: Part | None = None
    ) -> Iterator[Progress | None]:
        """Restore `sources` one after the other into `results`, in place of those before, and yield the progress.

        It is None while another restoration has to end first. With a `part`, that part of the first is restored into
        `trial` instead. A photograph that fails has its entry in `problems`, and the others are restored. `stop` may
        have been set before, while the visitor waited; once it is set, this ends within `STOP_S`, and steps that cannot
        be interrupted end by themselves. Raises UnblurError when the mode's network cannot be loaded.
        """
        self.trial = self.stopped_at = self.error = None
        if part is None:
            self._remove_results()
            self.problems = {}
        run = _Run(sources, part, choices, restorers, self._make_folder(), self.stop, self._shown)
        self.is_busy = True
        try:
            thread = threading.Thread(target=run.restore, daemon=True)
            thread.start()
            next_report = time.monotonic()
            while thread.is_alive() and not self.stop.is_set():
                thread.join(0.05)
                if time.monotonic() >= next_report:
                    yield run.measure_progress()
                    next_report = time.monotonic() + TICK_S
            thread.join(STOP_S if self.stop.is_set() else None)
            if thread.is_alive():
                run.stopped_at = run.present
        finally:
            run.is_abandoned.set()
            self.is_busy = False
            self.stop.clear()
        if run.error is not None:
            raise run.error
        self.stopped_at = run.stopped_at
        self.problems.update(run.problems)
        if part is None:
            self.results = list(run.results)
        else:
            self.trial = run.results[0] if run.results else None

    def blend(self, result: Result, strength: float, fidelity: float) -> Result:
        """Write a result, or the trial, again. Raises UnblurError for a strength or fidelity outside [0, 1]."""
        earlier = result.choices
        choices = Choices(mode=earlier.mode, shake=earlier.shake, strength=strength, fidelity=fidelity)
        blended = result.blend(choices)
        if self.trial is result:
            self.trial = blended
        self.results = [blended if other is result else other for other in self.results]
        return blended

    def pack(self) -> Path:
        """Write all results into one zip file, and return it. Raises UnblurError where there are none."""
        if not self.results:
            raise UnblurError("There is no result yet; press Restore first.")
        packed = Path(tempfile.mkdtemp(dir=self._make_folder())) / "unblurred.zip"
        used: Counter[str] = Counter()
        # Photographs are compressed already.
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for result in self.results:
                name = result.output.name
                used[name] += 1
                if used[name] > 1:
                    name = f"{result.output.stem} ({used[name]}){result.output.suffix}"
                archive.write(result.output, name)
        return packed

    def _make_folder(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(dir=self._parent))
        return self._folder

    def _remove_results(self) -> None:
        """Remove all files except the previews of photographs."""
        previews = {shown.preview.parent for shown in self._shown.values()}
        self.results = []
        if self._folder is not None:
            for earlier in self._folder.iterdir():
                if earlier not in previews:
                    shutil.rmtree(earlier, ignore_errors=True)


def describe_problem(photo: Path, error: Exception) -> str:
    """Return why a photograph failed, in a sentence that has the name of its file once."""
    name = printable(photo.name)
    why = printable(describe_error(error).replace(str(photo), name))
    return why if why.startswith(name) else f"{name}: {why}"
