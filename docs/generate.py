"""Write the pages of the documentation that are generated: `python docs/generate.py`.

`reference/command-line.md` is made of the help texts of `unblur`, `results/training-log.md` of `training_log.csv`, and
the completion scripts in `unblur/app/completions` of the options of its commands.
`--check` writes nothing, and exits with 1 if a page is out of date.
"""

import csv
import io
import os
import re
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

from unblur.checkpoints.old_names import RENAMED_WEIGHTS

DOCS = Path(__file__).parent
COMPLETIONS = DOCS.parent / "unblur" / "app" / "completions"

RESULTS = {
    "faithful": ("NAFNet backbone", "Result: PSNR before -> after and gain in dB on the validation set, and on REDS."),
    "multiscale": (
        "Multi-scale network",
        "Result: gain in dB on the validation set and on REDS scene 2; runs 1 to 3 freeze the backbone.",
    ),
    "motion": ("Motion estimator", "Result: distance of the ends from the true ones as a share of the paths' length."),
    "prior": ("Semantic prior", "Result: gap closed in the hardest quintile of the validation set."),
    "decoder": ("Decoder", "Result: PSNR, ST-LPIPS and NIQE of reconstructed validation photographs."),
    "generative": ("GLOWDeblur", "Result: squared error of the velocity and of the alignment in the last 1,000 steps."),
    "blur": ("Blur classifier", "Result: agreement of the most probable kind on simulated photographs."),
    "kernel": ("Kernel estimator", "Result: as in its model card."),
    "shake": ("Fusion network", "Result: PSNR in dB as in its model card."),
    "plain": ("Plain U-Net", "Result: gain in dB on the validation set."),
}
"""Heading and meaning of the column of results, for each network of the training log."""

COLUMNS = ("run", "date", "checkpoint", "bundled", "recipe", "started_from", "steps", "minutes", "machine", "result")


def training_log(table: str) -> str:
    """The page of the training log, made of the text of `training_log.csv`."""
    rows = list(csv.DictReader(io.StringIO(table)))
    lines = [
        "# Training log",
        "",
        "Every training run behind the bundled weights, oldest first, including those that were not bundled.",
        "",
        "This page is generated from `docs/results/training_log.csv` by `python docs/generate.py`.",
        "[Lessons](lessons.md) has what the runs have in common, and [Weights](weights.md) the photographs.",
        "After these runs the names in the bundled files were changed and no tensor was:",
        "",
        *(f"- `{before[:12]}` is `{now[:12]}` now" for before, now in RENAMED_WEIGHTS.items()),
        "",
        "The decoder `1e0389d62bdb` is stored in 8 bits now, as `d681f0fdf86b`.",
        "",
        "- The validation set is `unblur validation` of 61 photographs in no training set: 244 pairs of 384 px.",
        "- Version 1 of the validation set cannot be compared with version 2, which all others use.",
        "- *Bundled*: `now`, `earlier` (in a former version), or `no`.",
        "- *everything* means all kinds of blur that the simulator knows; *shared*: other programs used the processor.",
        "- The machine is an AMD EPYC (Zen 4) unless stated otherwise; the photographs are the 755 of training.",
        "- *Signs* are [drawn text](../guide/train.md#drawn-signs); numbers in brackets behind a recipe are commits.",
    ]
    for network, (heading, result) in RESULTS.items():
        lines += ["", f"## {heading}", "", result, ""]
        lines.append("| " + " | ".join(column.replace("_", " ") for column in COLUMNS) + " |")
        lines.append("|" + "---|" * len(COLUMNS))
        of_network = [row for row in rows if row["network"] == network]
        lines += ["| " + " | ".join(_cell(column, row[column]) for column in COLUMNS) + " |" for row in of_network]
        lines.append("")
        for row in of_network:
            first, *rest = re.split(r"(?<=\.) (?=[A-Z])", row["note"])
            lines.append(f"- Run {row['run']}: {first}")
            lines += [f"  {part}" for part in rest]
    return "\n".join(lines) + "\n"


def _cell(column: str, value: str) -> str:
    return f"`{value}`" if column == "checkpoint" and value else value


def command_line() -> str:
    """The page of the command line, made of the help texts."""
    from unblur.app.commands import GROUPS

    lines = [
        "# Command line",
        "",
        "All commands of `unblur` with their options; `unblur PHOTO` is short for `unblur restore PHOTO`.",
        "",
        "This page is generated from the help texts by `python docs/generate.py`.",
        "",
        "Exit codes: 0 everything succeeded, 1 some photographs failed, 2 wrong usage or nothing to work with,"
        " 130 interrupted.",
    ]
    for group, commands in GROUPS.items():
        lines += ["", f"**{group[0].upper()}{group[1:]}:** "]
        lines[-1] += ", ".join(f"[{command.name}](#unblur-{command.name})" for command in commands)
    for commands in GROUPS.values():
        for command in commands:
            options, _, _ = _help(command.name).partition("\nexamples:\n")
            lines += ["", f"## unblur {command.name}", "", *_of_help(options), "", "**Examples**", ""]
            lines += [f"- `{line}` {effect}" for line, effect in command.examples]
    return "\n".join(lines) + "\n"


def _help(command: str) -> str:
    """The help of a command, in lines as long as they need to be."""
    from unblur.app.cli import main

    former = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "1000"
    text = io.StringIO()
    try:
        with redirect_stdout(text), suppress(SystemExit):
            main([command, "--help"])
    finally:
        if former is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = former
    return re.sub(r"\x1b\[[0-9;]*m", "", text.getvalue())


def _of_help(text: str) -> list[str]:
    """Markdown of a help text: its description, and a list of arguments and options for each of its sections."""
    lines: list[str] = []
    term, meaning = "", ""
    for line in [*(line.rstrip() for line in text.splitlines()), " end"]:
        indent = len(line) - len(line.lstrip())
        content = line.strip()
        if not content or set(content) == {"-"} or line.startswith("usage:"):
            continue
        is_term = indent == 2 and re.match(r"[-[{]|[A-Z][A-Z|.]+(  |$)", content)
        if term and (is_term or indent < 2):
            if not term.startswith("-h,"):
                lines += [f"- `{term}`", *(f"  {sentence}" for sentence in _sentences(meaning))]
            term, meaning = "", ""
        if is_term:
            term, _, meaning = (part.strip() for part in content.partition("  "))
        elif term:
            meaning = f"{meaning} {content}".strip()
        elif indent == 1 and content != "end":
            lines += ["", f"**{content[0].upper()}{content[1:]}**", ""]
        elif indent != 1:
            lines += ["", *_sentences(content), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines).strip()).splitlines()


def _sentences(text: str) -> list[str]:
    """The sentences of a help text, whose asterisks and brackets Markdown has to leave as they are."""
    parts = re.split(r"(`[^`]*`)", text)
    parts[::2] = [re.sub(r"([*<\[])", r"\\\1", part) for part in parts[::2]]
    return [part for part in re.split(r"(?<=[a-z0-9)`]\.) (?=[A-Z`])", "".join(parts)) if part]


def pages() -> dict[Path, str]:
    """The generated files and their text."""
    from completions import bash, fish, zsh

    table = (DOCS / "results" / "training_log.csv").read_text(encoding="utf-8")
    return {
        DOCS / "reference" / "command-line.md": command_line(),
        DOCS / "results" / "training-log.md": training_log(table),
        **{COMPLETIONS / f"unblur.{make.__name__}": make() for make in (bash, zsh, fish)},
    }


if __name__ == "__main__":
    # The package beside this file, not another one that is installed.
    sys.path.insert(0, str(DOCS.parent))
    stale = [page for page, text in pages().items() if not page.exists() or page.read_text(encoding="utf-8") != text]
    if "--check" not in sys.argv:
        for page, text in pages().items():
            page.write_text(text, encoding="utf-8")
    for page in stale:
        done = "is out of date" if "--check" in sys.argv else "written"
        sys.stderr.write(f"{page.relative_to(DOCS.parent)} {done}\n")
    sys.exit("--check" in sys.argv and bool(stale))
