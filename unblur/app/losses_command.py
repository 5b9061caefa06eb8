"""`unblur study losses`: what the bundled network should be taught to make small."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.output_file import refused
from unblur.app.study_bench import Bars, finish, only_one, some_pictures
from unblur.errors import UnblurError


def losses(
    folders: tyro.conf.Positional[list[Path]],
    *,
    photos: Path,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    start_from: Path | None = None,
    steps: int = 1_000,
    seed: int = 1,
    pictures: int | None = None,
    only: int | None = None,
    device: str = "auto",
) -> int:
    """Train the bundled hourglass a little longer with each of several losses, and compare what it restores.

    All legs begin with the same weights and see the same patches. Given again, the command goes on where it was.

    Args:
        folders: To measure on, each with blurry/ and sharp/.
        photos: Folder of sharp photographs to train on.
        output: Folder for the legs (runs/), every picture's numbers (tables/) and the table.
        start_from: Checkpoint folder of `unblur train faithful`, instead of the bundled hourglass.
        steps: Number of updates of each leg.
        seed: Names the run: all patches follow from it.
        pictures: At most so many of every folder, evenly spread.
        only: Number of one leg, from 0, instead of all: processes can share the work before the table is made.
        device: auto, cpu, cuda, ...
    """
    from unblur.checkpoints.folder import BUNDLED_HOURGLASS
    from unblur.evaluation.method import MethodChoice
    from unblur.recipes.losses import losses as all_legs
    from unblur.restoration.device import choose_device
    from unblur.studies.claim import claim
    from unblur.studies.losses import settings_of, trained
    from unblur.studies.severe_half import lines_csv, lines_of, lines_text, rows_of
    from unblur.training.allocator import keep_freed_memory

    if steps < 1:
        raise UnblurError("--steps must be at least 1.")
    legs = only_one(all_legs(steps=steps, seed=seed), only, "leg")
    found = [some_pictures(folder, pictures) for folder in folders]
    begin = start_from or BUNDLED_HOURGLASS
    try:
        claim(output, settings_of(photos, begin, steps=steps, seed=seed))
    except OSError as error:
        raise refused(output, error) from error
    keep_freed_memory()
    where = str(choose_device(device))
    sets, texts = {}, []
    with closing(Bars()) as bars:
        runs = {"at the beginning": begin} | {
            leg.name: trained(leg, photos, begin, output, where, bars) for leg in legs
        }
        for chosen in found:
            rows = {
                title: rows_of(
                    chosen, MethodChoice(checkpoint=str(run), device=device), output / "tables" / run.name, bars
                )
                for title, run in runs.items()
            }
            lines = sets[chosen.data_set] = lines_of(rows)
            texts.append(lines_text(chosen, lines))
    title = f"Legs of {steps} steps, seed {seed}, with several losses."
    finish(output, "losses", title, "\n".join(texts), lines_csv(sets))
    return 0
