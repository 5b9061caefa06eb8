"""Measure what generated detail gains and costs over the faithful restoration, from most of it to none.

At the default fidelity it has to look better where blur is severe, at a bounded loss of PSNR.
"""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from experiments.harness import ProgressBars, run, sample_images, write_table
from experiments.release import Criterion, make_criteria_table
from experiments.severe_half import ResultLine, make_summary_csv, make_summary_text, measure_method, summarize
from unblur.evaluation.method import MethodSpec
from unblur.restoration.generative import GenerativeSettings

LEAST_PSNR_DB = -1.5
"""Lowest acceptable PSNR over the faithful restoration, at the default fidelity."""


def check_fidelity(name: str, faithful: ResultLine, generated: ResultLine) -> list[Criterion]:
    """Check generated detail against the faithful restoration of the set `name`."""
    where = f"{name}, severe half"
    ours, theirs = generated.severe, faithful.severe
    lost_db = generated.whole.psnr_db - faithful.whole.psnr_db
    return [
        _make_upper_bound(f"{where}, ST-LPIPS", ours.st_lpips, theirs.st_lpips, digits=4),
        _make_upper_bound(f"{where}, NIQE", ours.niqe, theirs.niqe, digits=2),
        Criterion(
            demand=f"{name}, PSNR over faithful, dB",
            bound=f">= {LEAST_PSNR_DB:.2f}",
            found=f"{lost_db:.2f}",
            holds=lost_db >= LEAST_PSNR_DB,
        ),
    ]


def _make_upper_bound(demand: str, found: float, bound: float, *, digits: int) -> Criterion:
    return Criterion(
        demand=f"{demand}, below faithful",
        bound=f"< {bound:.{digits}f}",
        found=f"{found:.{digits}f}",
        holds=found < bound,
    )


def fidelity(
    folders: tyro.conf.Positional[list[Path]],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    checkpoint: str | None = None,
    decoder: str | None = None,
    fidelities: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0),
    steps: int | None = None,
    pictures: int | None = None,
    device: str = "auto",
) -> int:
    """Measure restorations with generated detail against the faithful one, over all pictures and the severe half.

    The default fidelity is measured too, and has to meet the criteria. An interrupted command continues.

    Args:
        folders: Each with blurry/ and sharp/.
        output: Folder for every picture's numbers and the tables.
        checkpoint: Of GLOWDeblur, instead of the bundled one.
        decoder: That it was trained with, instead of the bundled one.
        fidelities: From 0, most invented detail, to 1, none.
        steps: How often the denoiser is asked, if not as often as `unblur restore` does.
        pictures: At most so many of every folder, evenly spread.
        device: auto, cpu, cuda, ...
    """
    usual = GenerativeSettings()
    wanted = sorted({*fidelities, usual.fidelity})
    choices = {"faithful": MethodSpec(device=device)} | {
        f"fidelity {one:g}": MethodSpec(
            method="generative",
            checkpoint=checkpoint,
            decoder=decoder,
            generative=replace(usual, fidelity=one, steps=usual.steps if steps is None else steps),
            device=device,
        )
        for one in wanted
    }
    sets, texts, held = {}, [], []
    with closing(ProgressBars()) as report:
        for folder in folders:
            found = sample_images(folder, pictures)
            rows = {
                title: measure_method(found, choice, output / "tables", report) for title, choice in choices.items()
            }
            lines = sets[found.data_set] = summarize(rows)
            by_title = {line.title: line for line in lines}
            held += check_fidelity(found.data_set, by_title["faithful"], by_title[f"fidelity {usual.fidelity:g}"])
            texts.append(make_summary_text(found, lines))
    title = f"Generated detail against the faithful restoration; the default fidelity is {usual.fidelity:g}."
    texts.append(make_criteria_table(held).markdown())
    write_table(output, "fidelity", title, "\n".join(texts), make_summary_csv(sets))
    return 0


if __name__ == "__main__":
    sys.exit(run(fidelity))
