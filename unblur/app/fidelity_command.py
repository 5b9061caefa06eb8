"""`unblur study fidelity`: what generated detail gains and costs, from most of it to none."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.study_bench import Bars, finish, some_pictures


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

    The default fidelity is measured too, and held to its bars. Given again, the command goes on where it was.

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
    from unblur.evaluation.method import MethodChoice
    from unblur.restoration.generative import GenerativeSettings
    from unblur.studies.fidelity import bars
    from unblur.studies.release import bar_table
    from unblur.studies.severe_half import lines_csv, lines_of, lines_text, rows_of

    usual = GenerativeSettings()
    wanted = sorted({*fidelities, usual.fidelity})
    choices = {"faithful": MethodChoice(device=device)} | {
        f"fidelity {one:g}": MethodChoice(
            method="generative",
            checkpoint=checkpoint,
            decoder=decoder,
            generative=replace(usual, fidelity=one, steps=usual.steps if steps is None else steps),
            device=device,
        )
        for one in wanted
    }
    sets, texts, held = {}, [], []
    with closing(Bars()) as report:
        for folder in folders:
            found = some_pictures(folder, pictures)
            rows = {title: rows_of(found, choice, output / "tables", report) for title, choice in choices.items()}
            lines = sets[found.data_set] = lines_of(rows)
            by_title = {line.title: line for line in lines}
            held += bars(found.data_set, by_title["faithful"], by_title[f"fidelity {usual.fidelity:g}"])
            texts.append(lines_text(found, lines))
    title = f"Generated detail against the faithful restoration; the default fidelity is {usual.fidelity:g}."
    texts.append(bar_table(held).markdown())
    finish(output, "fidelity", title, "\n".join(texts), lines_csv(sets))
    return 0
