"""The web page: photographs in, the restored ones out, with before and after under one slider."""

from pathlib import Path
from typing import Any

import gradio as gr  # noqa: TID253 - this module is imported by `unblur web` alone, once the package is known to be there
from gradio.processing_utils import hash_file  # noqa: TID253 - likewise

from unblur.app.web_results import Restorers, Result, Visit
from unblur.app.web_visits import DAY_S, Visits
from unblur.errors import UnblurError
from unblur.names import Mode, ShakeChoice
from unblur.photos.formats import RESTORABLE_SUFFIXES
from unblur.restoration.generative import GenerativeSettings

MODES: tuple[tuple[str, Mode], ...] = (
    ("Faithful: no detail is generated", "faithful"),
    ("Fast: the same in a fraction of the time, fine blur stays", "fast"),
    ("Generative: invents detail that blur destroyed; it may be wrong", "generative"),
)

USUAL_FIDELITY = GenerativeSettings().fidelity

HOUR_S = 3600
"""The period in seconds after which Gradio removes copies of its own that are too old."""

MOST_WAITING = 100
"""Largest number of waiting calls; further ones are refused."""

ABOUT = """\
# unblur

Makes motion-blurred photographs sharper. Everything happens on the computer that runs this page; nothing is sent
elsewhere, and photographs are forgotten when you leave, at the latest after a day. Not for forensic or identity use.
"""


def build_page(restorers: Restorers, visits: Visits) -> gr.Blocks:
    """Build the page. `visits` hold the photographs that visitors brought while the page is open."""

    def on_restore(
        files: list[str] | None,
        mode: Mode,
        fidelity: float,
        solve_shake: bool,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how Gradio is asked for it
    ) -> tuple[Any, ...]:
        if not files:
            raise gr.Error("There is no photograph yet; choose one first.", print_exception=False)
        visit = visits.get(_get_session(request))
        visits.note_copies(visit, (Path(file).parent for file in files))
        try:
            shake: ShakeChoice = "auto" if solve_shake else "off"
            lines = visit.restore([Path(file) for file in files], mode, restorers, progress, fidelity, shake)
        except UnblurError as error:
            raise gr.Error(str(error), print_exception=False) from error
        for result in visit.results:
            visits.note_copies(visit, _list_copies(result, visits.parent))
        names = [(result.output.name, index) for index, result in enumerate(visit.results)]
        chosen = gr.Dropdown(choices=names, value=0 if names else None, visible=len(names) > 1)
        downloads = gr.File(value=_list_downloads(visit), visible=bool(names))
        return chosen, *_show(visit.results[0] if names else None), downloads, "\n".join(lines)

    def on_choose(index: int | None, request: gr.Request) -> tuple[Any, ...]:
        return _show(_find_result(visits.find(_get_session(request)), index))

    def on_strength(strength: float, index: int | None, request: gr.Request) -> tuple[Any, ...]:
        visit = visits.find(_get_session(request))
        if visit is None or index is None or _find_result(visit, index) is None:
            return gr.skip(), gr.skip()
        try:
            result = visit.set_strength(index, strength)
        except UnblurError as error:
            raise gr.Error(str(error), print_exception=False) from error
        visits.note_copies(visit, _list_copies(result, visits.parent))
        return (str(result.before), str(result.after)), _list_downloads(visit)

    def on_mode(mode: Mode) -> Any:
        return gr.Slider(visible=mode == "generative")

    def on_begin(request: gr.Request) -> None:
        visits.get(_get_session(request)).stop.clear()

    def on_stop(request: gr.Request) -> None:
        visit = visits.find(_get_session(request))
        if visit is not None:
            visit.stop.set()

    def on_leave(request: gr.Request) -> None:
        visits.close(_get_session(request))

    with gr.Blocks(title="unblur", analytics_enabled=False, delete_cache=(HOUR_S, int(DAY_S))) as blocks:
        gr.Markdown(ABOUT)
        with gr.Row():
            with gr.Column(scale=1, min_width=320):
                files = gr.File(
                    label="Photographs", file_count="multiple", file_types=sorted(RESTORABLE_SUFFIXES), height=160
                )
                mode = gr.Radio(choices=list(MODES), value="faithful", label="Mode")
                fidelity = gr.Slider(
                    0,
                    1,
                    value=USUAL_FIDELITY,
                    step=0.05,
                    label="Fidelity",
                    info="How near to stay to what can be restored without inventing: 0 invents most, 1 nothing.",
                    visible=False,
                )
                solve_shake = gr.Checkbox(
                    value=True,
                    label="Solve camera shake",
                    info="Where a shaking camera blurred the photograph; takes about three times as long.",
                )
                with gr.Row():
                    restore = gr.Button("Restore", variant="primary")
                    stop = gr.Button("Stop")
                report = gr.Textbox(label="What was done", lines=3, interactive=False)
                downloads = gr.File(label="Restored", file_count="multiple", interactive=False, visible=False)
            with gr.Column(scale=3):
                chosen = gr.Dropdown(label="Photograph", visible=False, type="value")
                comparison = gr.ImageSlider(
                    label="Before and after (the wheel zooms)",
                    type="filepath",
                    interactive=False,
                    max_height=900,
                    buttons=["fullscreen"],
                )
                strength = gr.Slider(0, 1, value=1, step=0.05, label="Strength", visible=False)
        mode.input(on_mode, [mode], [fidelity], queue=False, show_progress="hidden", api_visibility="private")
        # Stop works from the click on, also while photographs of other visitors are restored.
        restore.click(on_begin, queue=False, show_progress="hidden", api_visibility="private").then(
            on_restore,
            [files, mode, fidelity, solve_shake],
            [chosen, comparison, strength, downloads, report],
            show_progress_on=[report],
            # One at a time: each takes all cores.
            concurrency_limit=1,
            api_name="restore",
        )
        # Not in the queue, where it would wait for the run that it has to stop.
        stop.click(on_stop, queue=False, api_name="stop")
        chosen.input(on_choose, [chosen], [comparison, strength], api_name="choose")
        # Updated while the slider moves; positions passed before a result is ready are left out.
        strength.input(
            on_strength,
            [strength, chosen],
            [comparison, downloads],
            trigger_mode="always_last",
            show_progress="hidden",
            api_name="strength",
        )
        blocks.unload(on_leave)
    page: gr.Blocks = blocks.queue(max_size=MOST_WAITING)
    return page


def _get_session(request: gr.Request) -> str:
    return request.session_hash or ""


def _find_result(visit: Visit | None, index: int | None) -> Result | None:
    """Return the result of this number; None where the visit has none."""
    if visit is None or not isinstance(index, int) or not 0 <= index < len(visit.results):
        return None
    return visit.results[index]


def _show(result: Result | None) -> tuple[Any, Any]:
    """Return the comparison and the strength of a result."""
    if result is None:
        return None, gr.Slider(visible=False)
    return (str(result.before), str(result.after)), gr.Slider(value=result.strength, visible=True)


def _list_copies(result: Result, parent: Path) -> list[Path]:
    """Return the folders of Gradio's copies of a result, each in `parent` and named after its content."""
    return [parent / hash_file(file) for file in (result.output, result.before, result.after)]


def _list_downloads(visit: Visit) -> list[str]:
    return [str(result.output) for result in visit.results]
