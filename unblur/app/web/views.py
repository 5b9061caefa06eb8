"""The parts of the web page that show photographs, results and reports, as HTML.

`page.js` gives them their behaviour, `page.css` their look.
"""

from html import escape
from pathlib import Path
from urllib.parse import quote

from unblur.app.report import GENERATED_MEANS, describe_left_behind, printable
from unblur.app.web.estimates import describe_duration
from unblur.app.web.results import PART_PX, Result, find_preview_step
from unblur.app.web.visit import Progress, Shown, Visit
from unblur.names import Mode

WHY_HARDLY_CHANGED = (
    "Photographs that hardly changed are sharp already, or blurred in a way that these weights cannot undo."
)

MODES: tuple[tuple[Mode, str, str], ...] = (
    ("faithful", "Faithful", "Adds no detail. The best choice for most photographs."),
    ("fast", "Fast", "Takes a fraction of the time. Fine blur stays."),
    ("generative", "Generative", "Invents detail that blur destroyed. It may be wrong."),
)
"""Value, name and description of each mode."""


def render_upload(suffixes: list[str]) -> str:
    """Return the area where photographs are dropped, pasted or chosen. The script adds their list."""
    return f"""
<div class="drop">
  <p class="invitation">Drop photographs anywhere on this page, paste one, or</p>
  <div class="buttons">
    <label class="button primary">
      <input type="file" multiple accept="{escape(",".join(suffixes))}" aria-label="Choose photographs">
      <span class="invitation">Choose photographs</span><span class="more">Add</span>
    </label>
    <button type="button" class="button" data-action="sample">Try the sample photograph</button>
  </div>
  <ul class="chosen" aria-label="Chosen photographs"></ul>
  <p class="upload-progress" role="status"></p>
  <p class="problem" role="alert"></p>
</div>"""


def render_modes(obstacles: dict[Mode, str | None]) -> str:
    """Return the choice of a mode; one that is not available is disabled, with the reason."""
    return f"""<fieldset class="modes"><legend>Mode</legend>{
        "".join(_render_mode(mode, name, text, obstacles.get(mode)) for mode, name, text in MODES)
    }</fieldset>"""


def _render_mode(mode: Mode, name: str, description: str, obstacle: str | None) -> str:
    state = "disabled" if obstacle else "checked" if mode == "faithful" else ""
    reason = f'<span class="reason">{escape(obstacle)}</span>' if obstacle else ""
    return f"""
<label class="mode {"unavailable" if obstacle else ""}">
  <input type="radio" name="mode" value="{mode}" {state}>
  <span><strong>{name}</strong> <span class="description">{description}</span>{reason}</span>
</label>"""


def render_photo(name: str, shown: Shown, expected_s: float | None) -> str:
    """Return a photograph before it is restored, with a frame for the part to try where it is much larger than that."""
    size = f"{shown.width} x {shown.height} pixels"
    is_large = shown.width * shown.height > 2 * PART_PX**2
    if expected_s is not None:
        time = f"Restoring it takes about {describe_duration(expected_s)}."
    elif is_large:
        time = "Try a part first to see the effect, and how long the whole takes."
    else:
        time = ""
    frame = ""
    button = ""
    if is_large:
        width, height = (min(100.0, 100 * PART_PX / side) for side in (shown.width, shown.height))
        frame = (
            f'<button type="button" class="part" style="width:{width:.3f}%;height:{height:.3f}%" '
            'aria-label="Part to try. The arrow keys move it, Enter restores it."></button>'
        )
        button = (
            '<div class="toolbar"><span class="hint">Drag the frame to a detail.</span>'
            '<button type="button" class="button" data-action="part">Try this part</button></div>'
        )
    return f"""
<figure class="photo" data-key="{escape(str(shown.preview))}" style="{_describe_shape(shown.width, shown.height)}">
  {button}
  <div class="frame"><div class="view"><div class="pictures">
    <img src="{make_address(shown.preview)}" alt="{escape(printable(name))}, not restored yet">{frame}
  </div></div></div>
  <figcaption>{size}. {time}</figcaption>
</figure>"""


def render_comparison(result: Result, count: int, expected_s: float | None) -> str:
    """Return a result beside its photograph, under one divider. `count` is the number of results.

    `expected_s` is the time that the whole photograph would take, for a result of a part.
    """
    name = escape(printable(result.source.name))
    strength, detail = result.choices.strength, 1 - result.choices.fidelity
    step = find_preview_step(result.width, result.height)
    generated = ""
    if result.generated is not None:
        generated = f'<img class="detail" src="{make_address(result.generated)}" alt="" style="opacity:{detail:.3f}">'
    actions = _render_downloads(result, count) if result.part is None else _render_hint(result, expected_s)
    return f"""
<figure class="comparison" data-key="{escape(str(result.folder))}" data-width="{result.width // step}"
  style="{_describe_shape(result.width, result.height)}">
  <div class="toolbar">
    <div class="buttons" role="group" aria-label="Size">
      <button type="button" class="button" data-action="fit" aria-pressed="true">Fit</button>
      <button type="button" class="button" data-action="actual" aria-pressed="false">{100 // step} %</button>
    </div>
    {actions}
  </div>
  <div class="frame">
    <div class="view" tabindex="0" role="group"
      aria-label="Comparison. The arrow keys move the divider, or an enlarged photograph.">
      <div class="pictures">
        <img src="{make_address(result.before)}" alt="{name} before restoration">
        <div class="after"><div class="blend" style="opacity:{strength:.3f}">
          <img src="{make_address(result.after)}" alt="{name} after restoration">{generated}
        </div></div>
      </div>
    </div>
    <span class="label before" aria-hidden="true">Before</span>
    <span class="label after" aria-hidden="true">After</span>
    <div class="divider" aria-hidden="true"></div>
  </div>
  <label class="slide"><span>Before</span><input type="range" min="0" max="100" step="1" value="50"
    aria-label="Divider between before and after"><span>After</span></label>
</figure>"""


def _render_downloads(result: Result, count: int) -> str:
    address = f"{make_address(result.output)}?version={result.version}"
    name = escape(result.output.name)
    others = '<button type="button" class="button" data-action="zip">Download all (zip)</button>' if count > 1 else ""
    return f"""<div class="buttons">
      <a class="button primary" href="{address}" download="{name}" aria-label="Download {name}">Download</a>{others}
    </div>"""


def _render_hint(part: Result, expected_s: float | None) -> str:
    """Return how long the part took, how long the whole takes, and the way back."""
    whole = "" if expected_s is None else f" The whole photograph takes about {describe_duration(expected_s)}."
    time = f"{part.width} x {part.height} pixels, restored in {describe_duration(part.seconds)}.{whole}"
    return f"""<span class="hint">{time}</span>
    <button type="button" class="button" data-action="back">Back to the whole</button>"""


def _describe_shape(width: int, height: int) -> str:
    return f"--shape:{width / height:.5f}"


def render_waiting(*, for_others: bool) -> str:
    """Return the busy state before the first photograph is begun."""
    return _render_bar("Waiting for another restoration to end" if for_others else "Starting", "", None)


def render_stopping() -> str:
    """Return the busy state after Stop was pressed."""
    return _render_bar("Stopping", "", None)


def render_progress(progress: Progress) -> str:
    """Return the busy state while a photograph is being restored."""
    number = f" ({progress.number} of {progress.count})" if progress.count > 1 else ""
    share = progress.share
    if progress.expected_s:
        # Photographs in one piece report nothing on the way.
        share = max(share, min(0.95, progress.seconds / progress.expected_s))
    text = f"{progress.seconds:.0f} s"
    if progress.expected_s and progress.seconds < progress.expected_s:
        text += f", about {describe_duration(progress.expected_s - progress.seconds)} left"
    return _render_bar(f"Restoring {progress.name}{number}", text, share or None)


def _render_bar(title: str, text: str, share: float | None) -> str:
    """Return a bar that moves; `share` None is unknown."""
    value = "" if share is None else f' aria-valuenow="{100 * share:.0f}"'
    kind = "unknown" if share is None else ""
    width = 100 if share is None else 100 * share
    return f"""
<div class="report busy">
  <p><strong>{escape(title)}</strong> <span class="seconds">{text}</span></p>
  <div class="bar {kind}" role="progressbar" aria-label="{escape(title)}" aria-valuemin="0" aria-valuemax="100"{value}>
    <div style="width:{width:.0f}%"></div>
  </div>
</div>"""


def render_report(visit: Visit) -> str:
    """Return what happened to each photograph, in their order; problems stand out."""
    lines = [_render_problem(visit.error)] if visit.error else []
    lines += [line for photo in visit.photos for line in _list_lines(visit, photo)]
    if visit.stopped_at is not None:
        lines.append(f"<li>Stopped before {escape(printable(visit.stopped_at.name))} was done.</li>")
    if not lines:
        return ""
    remarks = "".join(f"<p>{escape(remark)}</p>" for remark in list_remarks(visit.results))
    return f'<div class="report"><h2>Report</h2><ul>{"".join(lines)}</ul>{remarks}</div>'


def render_problem(problem: str) -> str:
    """Return a report of one problem."""
    return f'<div class="report"><ul>{_render_problem(problem)}</ul></div>'


def _render_problem(problem: str) -> str:
    return f'<li class="problem">{escape(problem)}</li>'


def _list_lines(visit: Visit, photo: Path) -> list[str]:
    if photo in visit.problems:
        return [_render_problem(visit.problems[photo])]
    result = visit.find_result(photo)
    if result is None:
        return []
    facts = [f"{result.width} x {result.height}", f"{result.seconds:.1f} s", *result.facts]
    return [f"<li><strong>{escape(printable(photo.name))}</strong>: {escape(', '.join(facts))}</li>"]


def list_remarks(results: list[Result]) -> list[str]:
    """Return sentences about all results together."""
    remarks = []
    if any(result.hardly_changed for result in results):
        remarks.append(WHY_HARDLY_CHANGED)
    if any(result.has_generated_detail for result in results):
        remarks.append(f"Detail was generated: {GENERATED_MEANS}")
    names = dict.fromkeys(name for result in results for name in result.left_behind)
    if names:
        remarks.append(describe_left_behind(names))
    return remarks


def render_link(file: Path) -> str:
    """Return a link that downloads a file, for the script to follow."""
    return f'<a href="{make_address(file)}" download="{escape(file.name)}">Download</a>'


def make_address(file: Path) -> str:
    """Return the address of a file under which the server sends it."""
    return f"gradio_api/file={quote(file.as_posix())}"
