"""Report files of a batch: JSON for programs, HTML with thumbnails for people."""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from unblur.app.jobs import UsageError
from unblur.app.output_file import write_output
from unblur.app.report import Outcome, describe_outcome, printable

if TYPE_CHECKING:
    from unblur.app.restore_job import FinishedJob

SUFFIXES = (".json", ".html", ".htm")

STYLE = """\
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.4; }
body { max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
article { border-top: 1px solid #8886; padding: 1rem 0; }
h2 { font-size: 1rem; margin: 0 0 .3rem; overflow-wrap: anywhere; }
p { margin: .3rem 0; overflow-wrap: anywhere; }
.pictures { display: flex; flex-wrap: wrap; gap: .6rem; }
figure { margin: .4rem 0; }
img { display: block; max-width: 100%; height: auto; }
.failed { color: #c22; }
"""


def check_report_path(path: Path) -> None:
    """Raise UsageError for a report that could not be written: another format, or a folder that does not exist."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--report {path} has no known format; use a name that ends in .json or .html.")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--report {path} is in a folder that does not exist; create it first.")


def write_report(path: Path, finished: Sequence["FinishedJob"]) -> None:
    """Write the report about finished jobs in the format of the suffix. Raises UnblurError if it cannot be written."""
    now = datetime.now().astimezone()
    text = _make_json(finished, now) if path.suffix.lower() == ".json" else _make_html(finished, now, path)
    write_output(path, text.encode("utf-8", "backslashreplace"))


def _make_json(finished: Sequence["FinishedJob"], now: datetime) -> str:
    outcomes = [job.outcome for job in finished]
    report = {
        "program": f"unblur {version('unblur')}",
        "created": now.isoformat(timespec="seconds"),
        **_count(outcomes),
        "photographs": [asdict(outcome) for outcome in outcomes],
    }
    return json.dumps(report, indent=2) + "\n"


def _count(outcomes: Sequence[Outcome]) -> dict[str, int]:
    names = {"ok": "restored", "failed": "failed", "skipped": "skipped"}
    return {name: sum(outcome.status == status for outcome in outcomes) for status, name in names.items()}


def _make_html(finished: Sequence["FinishedJob"], now: datetime, report: Path) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in _count([job.outcome for job in finished]).items() if count)
    articles = "\n".join(_make_article(job, report) for job in finished)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Restored photographs</title>
<style>
{STYLE}</style>
</head>
<body>
<h1>Restored photographs</h1>
<p>{counts or "none"}; unblur {escape(version("unblur"))}, {now:%Y-%m-%d %H:%M}</p>
{articles}
</body>
</html>
"""


def _make_article(job: "FinishedJob", report: Path) -> str:
    outcome = job.outcome
    lines = [f"<h2>{_show(outcome.input)}</h2>"]
    if outcome.status == "failed":
        lines.append(f'<p class="failed">failed: {_show(outcome.error or "")}</p>')
    elif outcome.status == "skipped":
        lines.append(f"<p>skipped: {_link(outcome.output, report)} is there already</p>")
    else:
        lines.append(f"<p>{_link(outcome.output, report)}</p>")
        lines.append(f"<p>{_show(describe_outcome(outcome))}</p>")
    if job.thumbnails is not None:
        pictures = (("Before", job.thumbnails.before), ("After", job.thumbnails.after))
        lines.append(f'<div class="pictures">{"".join(_make_figure(*picture) for picture in pictures)}</div>')
    return "\n".join(["<article>", *lines, "</article>"])


def _make_figure(caption: str, webp: bytes) -> str:
    data = base64.b64encode(webp).decode()
    picture = f'<img src="data:image/webp;base64,{data}" alt="{caption}">'
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _link(path: str, report: Path) -> str:
    """Return a link that works wherever the report and the results are moved together; for no file only its name."""
    if not Path(path).exists():
        return _show(path)
    try:
        address = f"./{quote(Path(os.path.relpath(path, report.parent)).as_posix())}"
    except ValueError:
        # Windows has no relative path to another disk.
        address = Path(path).absolute().as_uri()
    return f'<a href="{escape(address)}">{_show(path)}</a>'


def _show(text: str) -> str:
    return escape(printable(text))
