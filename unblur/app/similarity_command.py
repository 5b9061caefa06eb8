"""`unblur similarity`: what a semantic prior has learnt to see, by the severity of blur."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import refused, write_output


def similarity(
    folders: tyro.conf.Positional[list[Path]],
    *,
    checkpoint: str | None = None,
    once: bool = False,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    plot: Path | None = None,
    device: str = "auto",
) -> int:
    """Measure a semantic prior: how like the teacher's features of the sharp photograph its own are, before and after.

    Fifths of the pairs go from mild to severe blur. The second table holds features against pixels: how far blur moves
    them, as a share of how far places of sharp photographs lie apart.

    Args:
        folders: Data sets with blurry/ and sharp/; their pairs count together.
        checkpoint: Made by `unblur train prior`, instead of the bundled one: a folder or a hub id.
        once: Let a prior that looks twice see the blurry photographs alone, not also what the bundled weights restore
            of them.
        csv: File for one row a pair and level.
        plot: PNG file for a figure; needs `pip install 'unblur[plots]'`.
        device: auto, cpu, cuda, ...
    """
    from tqdm import tqdm

    from unblur.datasets import PairFolder
    from unblur.evaluation.feature_similarity import (
        by_severity,
        distance_table,
        feature_similarity,
        load_prior,
        similarity_csv,
        similarity_table,
        spreads,
    )
    from unblur.evaluation.score_plots import check_plottable
    from unblur.evaluation.similarity_plot import plot_similarity
    from unblur.restoration.device import choose_device
    from unblur.restoration.restorer import load

    if plot is not None:
        check_plottable()
    student, teacher, sha256 = load_prior(checkpoint, choose_device(device))
    sets = [PairFolder(folder) for folder in folders]
    spread = spreads((pair.sharp for pairs in sets for pair in pairs), teacher)
    bar = tqdm((pair for pairs in sets for pair in pairs), unit="pair", disable=not sys.stderr.isatty())
    restorer = load(device=device, shake="off") if student.config.looks_twice and not once else None
    rows = list(feature_similarity(bar, student, teacher, spread, sha256, restorer))
    severities = by_severity(rows, student.levels)
    beside = "" if restorer is None else ", which also sees what the bundled weights restore"
    sys.stdout.write(
        f"Cosine with the teacher's features of the sharp photograph, teacher -> student: {sha256[:12]}{beside}\n\n"
        f"{similarity_table(severities, student.levels).markdown()}\n"
        "Moved by blur, in shares of the distance between any two places of the sharp photographs\n\n"
        f"{distance_table(severities, student.levels).markdown()}"
    )
    if csv is not None:
        write_output(csv, similarity_csv(rows).encode())
    if plot is not None:
        try:
            plot_similarity(severities, student.levels, plot)
        except OSError as error:
            raise refused(plot, error) from error
    return 0
