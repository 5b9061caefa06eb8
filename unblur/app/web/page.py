"""The web page: photographs in, the restored ones out, with before and after under one divider."""

from pathlib import Path
from typing import Any

import gradio as gr  # noqa: TID253 - this module is imported by `unblur web` alone, once the package is known to be there

from unblur.app.restorers import Restorers, find_obstacle
from unblur.app.web import views
from unblur.app.web.handlers import Handlers
from unblur.app.web.results import USUAL_FIDELITY
from unblur.app.web.visits import DAY_S, Visits
from unblur.photos.formats import RESTORABLE_SUFFIXES

HOUR_S = 3600
"""The period in seconds after which Gradio removes copies of its own that are too old."""

MOST_WAITING = 100
"""Largest number of waiting calls; further ones are refused."""

FOLDER = Path(__file__).parent

HEAD = f"<script>{(FOLDER / 'page.js').read_text(encoding='utf-8')}</script>"
"""The script of the page. Components name its functions in `js_on_load`."""

STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")

THEME = gr.themes.Base(
    # Fonts of this computer: the page loads nothing from other servers.
    font=["system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
).set(
    # With the contrast that WCAG 2 asks for, 4.5 : 1, on every background of the page.
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_200",
    block_title_text_color="*neutral_700",
    block_title_text_color_dark="*neutral_200",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_dark="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
    border_color_accent="*neutral_400",
    border_color_accent_dark="*neutral_500",
)

ABOUT = """
<header><h1>unblur</h1><p>Makes motion-blurred photographs sharper. Nothing leaves the computer that runs this page.</p>
</header>"""

NOTE = """
<footer><p>Photographs are deleted when you close the page, at the latest after a day. Not for forensic or identity use.
</p></footer>"""


def build_page(restorers: Restorers, visits: Visits) -> gr.Blocks:
    """Build the page. `visits` hold the photographs that visitors brought while the page is open."""
    handlers = Handlers(restorers, visits)
    with gr.Blocks(title="unblur", analytics_enabled=False, delete_cache=(HOUR_S, int(DAY_S))) as blocks:
        gr.HTML(ABOUT, apply_default_css=False)
        with gr.Row(elem_id="work"):
            with gr.Column(elem_id="stage"):
                upload = gr.HTML(
                    [],
                    html_template=views.render_upload(sorted(RESTORABLE_SUFFIXES)),
                    js_on_load="unblurPage.upload(element, props, trigger, watch); // 'bring' 'choose' 'sample'",
                    apply_default_css=False,
                    elem_id="upload",
                )
                chosen = gr.Number(0, precision=0, label="Number of the photograph", visible=False)
                viewer = gr.HTML(
                    "",
                    js_on_load="unblurPage.viewer(element, props, trigger, watch); // 'part' 'back' 'zip'",
                    apply_default_css=False,
                    elem_id="viewer",
                )
                with gr.Row(elem_id="blending"):
                    strength = gr.Slider(
                        0, 1, value=1, step=0.05, label="Strength", visible=False, elem_id="strength", buttons=[]
                    )
                    fidelity = gr.Slider(
                        0,
                        1,
                        value=USUAL_FIDELITY,
                        step=0.05,
                        label="Fidelity: 0 invents most, 1 nothing",
                        visible=False,
                        elem_id="fidelity",
                        buttons=[],
                    )
            with gr.Column(elem_id="panel"):
                report = gr.HTML("", js_on_load="unblurPage.report(element)", apply_default_css=False, elem_id="report")
                mode = gr.HTML(
                    "faithful",
                    html_template=views.render_modes({mode: find_obstacle(mode) for mode, *_ in views.MODES}),
                    js_on_load="unblurPage.modes(element, props, trigger); // 'choose'",
                    apply_default_css=False,
                )
                solve_shake = gr.Checkbox(
                    value=True,
                    label="Solve camera shake",
                    info="Where a shaking camera blurred the photograph; takes about three times as long.",
                )
                with gr.Row(elem_id="actions"):
                    restore = gr.Button("Restore", variant="primary", interactive=False, elem_id="restore")
                    stop = gr.Button("Stop", visible=False, elem_id="stop")
        gr.HTML(NOTE, apply_default_css=False)
        link = gr.HTML("", visible="hidden", js_on_load="unblurPage.follow(element, watch)", apply_default_css=False)

        settings = [mode, solve_shake]
        shown = [viewer, strength, fidelity]
        state = [report, restore, stop]
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        upload.bring(handlers.bring, [upload, *settings], [chosen, *shown, *state], **quiet)
        upload.sample(handlers.bring_sample, None, [upload], **quiet)
        for changed in (mode.choose, solve_shake.input):
            changed(handlers.change_settings, [chosen, *settings], [*shown, solve_shake], **quiet)
        run: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 1, "concurrency_id": "restore"}
        # Stop works from the click on, also while photographs of other visitors are restored.
        restore.click(handlers.begin, None, state, queue=False, **quiet).then(
            handlers.restore,
            [upload, *settings, strength, fidelity, chosen],
            [*shown, *state],
            api_name="restore",
            **run,
        ).then(handlers.end, None, state, queue=False, **quiet)
        viewer.part(handlers.begin, None, state, queue=False, **quiet)
        viewer.part(handlers.restore_part, [chosen, *settings], [*shown, *state], api_visibility="private", **run).then(
            handlers.end, None, state, queue=False, **quiet
        )
        # Not in the queue, where it would wait for the run that it has to stop.
        stop.click(handlers.stop, None, [report, stop], queue=False, api_name="stop")
        upload.choose(handlers.choose, settings, [chosen, *shown], **quiet)
        viewer.back(handlers.show_whole, [chosen, *settings], shown, show_progress="hidden", api_name="show")
        viewer.zip(handlers.pack, None, [link], **quiet)
        # Updated while a slider moves; positions passed before a result is ready are left out.
        gr.on(
            [strength.input, fidelity.input],
            handlers.blend,
            [strength, fidelity, chosen],
            [viewer, report],
            trigger_mode="always_last",
            show_progress="hidden",
            api_name="blend",
        )
        blocks.unload(handlers.leave)
    page: gr.Blocks = blocks.queue(max_size=MOST_WAITING)
    return page
