"""Tables of means, made of measured rows and of nothing else; as Markdown, LaTeX or CSV."""

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from unblur.errors import UnblurError
from unblur.evaluation.row import Row

MOST_GROUPS = 8
"""More groups than these are not a summary; then one line for all images is given."""

_LATEX_SPECIAL = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of formatted cells."""

    header: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """Return the table in Markdown, with a line of dashes below the header, as GitHub shows it."""
        rows = (self.header, ("---",) * len(self.header), *self.lines)
        texts = [[cell.replace("|", "\\|") for cell in row] for row in rows]
        return "".join(f"| {' | '.join(row)} |\n" if row[0] != "---" else f"|{'|'.join(row)}|\n" for row in texts)

    def latex(self) -> str:
        """Return a `tabular` with the rules of the package booktabs, names to the left, numbers to the right."""
        columns = "l" + "r" * (len(self.header) - 1)
        body = [_format_latex_line(line) for line in self.lines]
        rows = [_format_latex_line(self.header), r"\midrule", *body]
        inner = "\n".join([r"\toprule", *rows, r"\bottomrule"])
        return f"\\begin{{tabular}}{{{columns}}}\n{inner}\n\\end{{tabular}}\n"

    def csv(self) -> str:
        """Return comma-separated values with a header."""
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows([self.header, *self.lines])
        return text.getvalue()


def summarise(rows: Sequence[Row]) -> Table:
    """Return one line for each group of images (see `Row.group`), if few, and one for all. Raises UnblurError."""
    if not rows:
        raise UnblurError("Nothing was measured, so there is nothing to tabulate; give at least one row.")
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    few = groups.items() if len(groups) <= MOST_GROUPS else []
    return _make_table(("images",), {(name,): members for name, members in [*few, ("all", list(rows))]})


def compare_runs(runs: Sequence[Sequence[Row]]) -> Table:
    """Return one line for each run, the means over its images; runs lie below each other. Raises UnblurError.

    Runs by protocols that measure other things have empty cells there.
    """
    lines: dict[tuple[str, ...], Sequence[Row]] = {}
    for rows in runs:
        if len({row.conditions for row in rows}) != 1:
            raise UnblurError("A run has rows that were measured under different conditions; give one CSV a run.")
        conditions = rows[0].conditions
        weights = conditions.checkpoint[:12] or "-"
        key = (conditions.data_set or "-", conditions.protocol, conditions.method, weights)
        if key in lines:
            raise UnblurError(f"Two runs are called {' '.join(key)}, perhaps with other versions; give each only once.")
        lines[key] = rows
    return _make_table(("data set", "protocol", "method", "weights"), lines)


def _make_table(names: tuple[str, ...], lines: Mapping[tuple[str, ...], Sequence[Row]]) -> Table:
    metrics = list(dict.fromkeys(metric for rows in lines.values() for metric in _list_metrics(rows)))
    aligned = any(row.aligned_after != "no" for rows in lines.values() for row in rows)
    header = [*names, "n"]
    for metric in metrics:
        title = " ".join(word if word in ("unaligned", "change") else word.upper() for word in metric[0].split("_"))
        header += [f"{title} before", f"{title} after"] if metric[2] else [title]
        if metric[0] == "psnr":
            header.append("gain dB")
    header += ["not aligned"] * aligned + ["worse"] * any(metric[0] == "psnr" for metric in metrics) + ["s/MP"]
    return Table(
        header=tuple(header),
        lines=tuple((*key, *_format_cells(rows, metrics, aligned)) for key, rows in lines.items()),
    )


Column = tuple[str, str, bool]
"""A metric's name, the ending of its column, and whether the blurry photograph has one too."""


def _list_metrics(rows: Sequence[Row]) -> list[Column]:
    """Return the metrics in the order of the CSV."""
    found = []
    for name in rows[0].scores:
        if match := re.fullmatch(r"(.+)_after(_db)?", name):
            ending = match[2] or ""
            found.append((match[1], ending, f"{match[1]}_before{ending}" in rows[0].scores))
    return found


def _format_cells(rows: Sequence[Row], metrics: Sequence[Column], aligned: bool) -> list[str]:
    cells = [str(len(rows))]
    has_psnr = "psnr_after_db" in rows[0].scores
    for name, ending, twice in metrics:
        digits = 2 if ending == "_db" or name in ("niqe", "brisque", "piqe") else 4
        columns = ([f"{name}_before{ending}"] if twice else []) + [f"{name}_after{ending}"]
        measured = [row for row in rows if not any(math.isnan(row.scores.get(column, math.nan)) for column in columns)]
        means = [fmean(row.scores[column] for row in measured) if measured else math.nan for column in columns]
        # A mean over fewer images than the line has says over how many.
        count = f" ({len(measured)})" if len(measured) < len(rows) else ""
        cells += [f"{mean:.{digits}f}{count}" if measured else "-" for mean in means]
        if name == "psnr":
            gain = means[-1] - means[0] if has_psnr else math.nan
            cells.append(f"{gain:+.2f}" if math.isfinite(means[0]) and math.isfinite(gain) else "-")
    if aligned:
        failed = (sum(getattr(row, f"aligned_{when}") == "failed" for row in rows) for when in ("before", "after"))
        cells.append(" + ".join(map(str, failed)))
    if any(name == "psnr" for name, _, _ in metrics):
        worse = sum(row.scores["psnr_after_db"] < row.scores["psnr_before_db"] for row in rows) if has_psnr else "-"
        cells.append(str(worse))
    pixels = sum(row.height * row.width for row in rows)
    return [*cells, f"{sum(row.seconds for row in rows) / pixels * 1e6:.2f}"]


def _format_latex_line(cells: Sequence[str]) -> str:
    return " & ".join("".join(_LATEX_SPECIAL.get(c, c) for c in cell) for cell in cells) + r" \\"
