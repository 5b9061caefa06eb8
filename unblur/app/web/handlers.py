"""Handlers of the web page's events: photographs are brought, buttons pressed and sliders moved."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr  # noqa: TID253 - this module is imported by `unblur web` alone, once the package is known to be there

from unblur.app.restorers import Restorers
from unblur.app.web import views
from unblur.app.web.results import USUAL_FIDELITY, Choices, Result, check_part
from unblur.app.web.visit import Progress, Visit
from unblur.app.web.visits import Visits
from unblur.errors import UnblurError
from unblur.names import Mode, ShakeChoice

SAMPLE = Path(__file__).parent / "sample_photograph.jpg"
"""The photograph for visitors who have none at hand; NOTICE names its source."""

Updates = tuple[Any, ...]
"""New values of components of the page, in the order of the event's outputs."""


class Handlers:
    """The functions that the page's events call. Each returns updates of the event's outputs."""

    def __init__(self, restorers: Restorers, visits: Visits) -> None:
        self._restorers, self._visits = restorers, visits

    def bring(self, files: Any, mode: Mode, solve_shake: bool, request: gr.Request, event: gr.EventData) -> Updates:
        """Take the files in the list of the upload area, and show the one that the event names."""
        visit = self._get(request)
        try:
            self._bring(visit, files)
        except UnblurError as error:
            visit.error = str(error)
        # First, because it notes photographs that cannot be read.
        index = visit.chosen = _read_index(event)
        shown = self._show(visit, index, mode, solve_shake)
        return index, *shown, views.render_report(visit), _make_ready(visit), gr.skip()

    def bring_sample(self, request: gr.Request) -> list[dict[str, Any]]:
        """Return the list of the upload area with the sample photograph alone."""
        visit = self._get(request)
        folder = Path(tempfile.mkdtemp(dir=self._visits.parent))
        self._visits.note_copies(visit, [folder])
        sample = Path(shutil.copy(SAMPLE, folder))
        return [
            {
                "path": str(sample),
                "orig_name": sample.name,
                "size": sample.stat().st_size,
                "meta": {"_type": "gradio.FileData"},
            }
        ]

    def choose(self, mode: Mode, solve_shake: bool, request: gr.Request, event: gr.EventData) -> Updates:
        """Show the photograph that the event names."""
        index = _read_index(event)
        return index, *self.show_whole(index, mode, solve_shake, request)

    def show_whole(self, index: int | None, mode: Mode, solve_shake: bool, request: gr.Request) -> Updates:
        """Show a whole photograph, in place of a part or another."""
        visit = self._find(request)
        if visit is not None:
            visit.trial, visit.chosen = None, index or 0
        return self._show(visit, index, mode, solve_shake)

    def change_settings(self, index: int | None, mode: Mode, solve_shake: bool, request: gr.Request) -> Updates:
        """Show the estimated time of other settings."""
        shake = gr.Checkbox(interactive=mode != "fast")
        return *self._show(self._find(request), index, mode, solve_shake), shake

    def begin(self, request: gr.Request) -> Updates:
        """Show that the page is busy, before the restoration's turn has come."""
        self._get(request).stop.clear()
        return (
            views.render_waiting(for_others=self._restorers.is_busy),
            gr.Button("Restoring…", interactive=False),
            gr.Button("Stop", visible=True, interactive=True),
        )

    def end(self, request: gr.Request) -> Updates:
        """Make the page ready for the next restoration, however the last one ended."""
        visit = self._get(request)
        if visit.is_busy:
            return _skip(3)
        return views.render_report(visit), _make_ready(visit), gr.Button("Stop", visible=False)

    def stop(self, request: gr.Request) -> Updates:
        """Stop the restoration under way, or the one that waits for its turn."""
        visit = self._find(request)
        if visit is None:
            return _skip(2)
        visit.stop.set()
        return views.render_stopping(), gr.Button("Stopping…", interactive=False)

    def restore(
        self,
        files: Any,
        mode: Mode,
        solve_shake: bool,
        strength: float,
        fidelity: float,
        index: int | None,
        request: gr.Request,
    ) -> Iterator[Updates]:
        """Restore all photographs; yields the progress, and at last the results."""
        visit = self._get(request)
        visit.chosen = index or 0
        try:
            self._bring(visit, files)
            if not visit.photos:
                raise UnblurError("There is no photograph yet; choose one first.")
            choices = Choices(mode=mode, shake=_choose_shake(solve_shake), strength=strength, fidelity=fidelity)
            for progress in visit.restore(visit.photos, choices, self._restorers):
                yield *_skip(3), _render_progress(progress), *_skip(2)
        except UnblurError as error:
            visit.error = str(error)
        # The visitor may have chosen another photograph meanwhile.
        yield *self._show(visit, visit.chosen, mode, solve_shake), views.render_report(visit), *_skip(2)

    def restore_part(
        self, index: int | None, mode: Mode, solve_shake: bool, request: gr.Request, event: gr.EventData
    ) -> Iterator[Updates]:
        """Restore the part of a photograph that the event names; yields the progress, and at last the result."""
        visit = self._get(request)
        photo = _find_photo(visit, index)
        if photo is None:
            return
        try:
            choices = Choices(mode=mode, shake=_choose_shake(solve_shake))
            place = _read_event(event)
            part = check_part(place.get("x"), place.get("y"))
            for progress in visit.restore([photo], choices, self._restorers, part):
                yield *_skip(3), _render_progress(progress), *_skip(2)
        except UnblurError as error:
            visit.error = str(error)
        yield *self._show(visit, index, mode, solve_shake), views.render_report(visit), *_skip(2)

    def blend(self, strength: float, fidelity: float, index: int | None, request: gr.Request) -> Updates:
        """Write a result with another strength and fidelity."""
        visit = self._find(request)
        result = _find_result(visit, index)
        if visit is None or result is None:
            return _skip(2)
        try:
            visit.blend(result, strength, fidelity)
        except UnblurError as error:
            return gr.skip(), views.render_problem(str(error))
        return self._render(visit, index, result.choices.mode, result.choices.shake), views.render_report(visit)

    def pack(self, request: gr.Request) -> str:
        """Return a link to a zip file with all results."""
        visit = self._find(request)
        return views.render_link(visit.pack()) if visit is not None and visit.results else ""

    def leave(self, request: gr.Request) -> None:
        """Delete everything of a visitor who has closed the page."""
        self._visits.close(_get_session(request))

    def _get(self, request: gr.Request) -> Visit:
        return self._visits.get(_get_session(request))

    def _find(self, request: gr.Request) -> Visit | None:
        return self._visits.find(_get_session(request))

    def _bring(self, visit: Visit, files: Any) -> None:
        """Take the files of the upload area. Raises UnblurError for anything but uploads of this server."""
        photos = [_find_upload(file, self._visits.parent) for file in files or []]
        if photos != visit.photos:
            visit.bring(photos)
            self._visits.note_copies(visit, (photo.parent for photo in photos))

    def _show(self, visit: Visit | None, index: int | None, mode: Mode, solve_shake: bool) -> Updates:
        """Return the view of a photograph, and the strength and fidelity of its result."""
        view = self._render(visit, index, mode, _choose_shake(solve_shake))
        result = _find_result(visit, index)
        if result is None:
            return view, gr.Slider(value=1, visible=False), gr.Slider(value=USUAL_FIDELITY, visible=False)
        strength = gr.Slider(value=result.choices.strength, visible=True)
        return view, strength, gr.Slider(value=result.choices.fidelity, visible=result.generated is not None)

    def _render(self, visit: Visit | None, index: int | None, mode: Mode, shake: ShakeChoice) -> str:
        photo = _find_photo(visit, index)
        if visit is None or photo is None:
            return ""
        shown = visit.show(photo)
        expected_s = None
        if shown is not None:
            expected_s = self._restorers.speeds.estimate_s(mode, shake, shown.width * shown.height)
        result = _find_result(visit, index)
        if result is not None:
            return views.render_comparison(result, len(visit.results), expected_s)
        return "" if shown is None else views.render_photo(photo.name, shown, expected_s)


def _get_session(request: gr.Request) -> str:
    return request.session_hash or ""


def _render_progress(progress: Progress | None) -> str:
    return views.render_waiting(for_others=True) if progress is None else views.render_progress(progress)


def _read_event(event: gr.EventData) -> dict[str, Any]:
    """Return what the page's script says of an event."""
    data = event._data
    return data if isinstance(data, dict) else {}


def _read_index(event: gr.EventData) -> int:
    """Return the number of the photograph that an event names, by default the first."""
    index = _read_event(event).get("index")
    return index if isinstance(index, int) else 0


def _choose_shake(solve_shake: bool) -> ShakeChoice:
    return "auto" if solve_shake else "off"


def _skip(count: int) -> Updates:
    return tuple(gr.skip() for _ in range(count))


def _find_upload(file: Any, parent: Path) -> Path:
    """Return the path of an upload that a browser names. Raises UnblurError for other files of this computer."""
    path = file.get("path") if isinstance(file, dict) else None
    if not isinstance(path, str) or not Path(path).resolve().is_relative_to(parent.resolve()):
        raise UnblurError("This is not a photograph that was uploaded to this page; choose it again.")
    return Path(path)


def _find_photo(visit: Visit | None, index: int | None) -> Path | None:
    """Return the photograph of this number, by default the first; None where there is none."""
    index = 0 if index is None else index
    if visit is None or not isinstance(index, int) or not 0 <= index < len(visit.photos):
        return None
    return visit.photos[index]


def _find_result(visit: Visit | None, index: int | None) -> Result | None:
    """Return the part that was tried, while it is shown, or the result of the photograph of this number."""
    photo = _find_photo(visit, index)
    if visit is None or photo is None:
        return None
    return visit.trial or visit.find_result(photo)


def _make_ready(visit: Visit) -> Any:
    return gr.Button("Restore", interactive=bool(visit.photos) and not visit.is_busy)
