"""`unblur similarity`: what a semantic prior has learnt to see, by the severity of blur."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import write_output


def similarity(
    folders: tyro.conf.Positional[list[Path]],
    *,
    checkpoint: str,
    csv: Annotated[Path | None, tyro.conf.arg(name="csv")] = None,
    device: str = "auto",
) -> int:
    """Measure a semantic prior: how like the teacher's features of the sharp photograph its own are, before and after.

    Args:
        folders: Data sets with blurry/ and sharp/; their pairs count together.
        checkpoint: Made by `unblur train prior`: a folder or a hub id.
        csv: File for one row a pair and level.
        device: auto, cpu, cuda, ...
    """
    from unblur.datasets import PairFolder
    from unblur.errors import UnblurError
    from unblur.evaluation.feature_similarity import feature_similarity, load_prior, similarity_csv, similarity_table
    from unblur.restoration.device import choose_device

    student, teacher, sha256 = load_prior(checkpoint, choose_device(device))
    pairs = (pair for folder in folders for pair in PairFolder(folder))
    rows = list(feature_similarity(pairs, student, teacher, sha256))
    if not rows:
        raise UnblurError("There are no pairs to measure; give at least one folder with blurry/ and sharp/.")
    sys.stdout.write(
        f"Cosine with the teacher's features of the sharp photograph, teacher -> student: {sha256[:12]}\n\n"
    )
    sys.stdout.write(similarity_table(rows, student.levels).markdown())
    if csv is not None:
        write_output(csv, similarity_csv(rows).encode())
    return 0
