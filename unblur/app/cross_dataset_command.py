"""`unblur study cross-dataset`: trained on one data set, tested on all."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.study_bench import Bars, finish, open_bench
from unblur.names import StudyNetwork


def cross_dataset(
    sets: tyro.conf.Positional[list[str]],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    photos: Path | None = None,
    held_out: Path | None = None,
    network: StudyNetwork = "small",
    steps: int = 20_000,
    patch: int = 128,
    batch: int = 8,
    seed: int = 1,
    test_pairs: int | None = None,
    size: int = 256,
    device: str = "auto",
) -> int:
    """Train a network on each data set, test it on all, and show how well each carries over to the others.

    Rows that are finished are not trained again: stopped, the same command goes on where it was, and with more data
    sets it makes what is missing.

    Args:
        sets: Data sets: folders as `unblur check` takes them, FOLDER@NAME where the folder does not tell, or cameras of
            the simulator: full, gopro, realblur, rsblur. Of sets without a split for training, the last fifth of the
            pairs is kept for testing.
        output: Folder for the table, the networks (runs/), every image's numbers (tables/) and simulated pairs.
        photos: Folder of sharp photographs to train on, for simulated sets.
        held_out: Folder of other sharp photographs, to test simulated sets on.
        network: What is trained: small, bundled (the bundled network's shape), restormer (the paper's).
        steps: Number of updates of every row.
        patch: Side of the training patches in pixels.
        batch: Patches of each update.
        seed: Names the run: its first weights and all patches follow from it.
        test_pairs: How many pairs of each set to test on, instead of all (of simulated sets 60).
        size: Side of the simulated test pictures in pixels.
        device: auto, cpu, cuda, ...
    """
    from unblur.studies.cross_dataset import cross_csv, cross_table
    from unblur.studies.cross_dataset import cross_dataset as run_study
    from unblur.studies.data_sets import study_sets

    with closing(Bars()) as bars:
        bench = open_bench(
            network=network,
            steps=steps,
            patch=patch,
            batch=batch,
            seed=seed,
            photos=photos,
            output=output,
            device=device,
            bars=bars,
        )
        opened = study_sets(sets, held_out=held_out, written_to=output / "sets", pairs=test_pairs, size_px=size)
        rows = run_study(bench, opened)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in next(iter(rows.values())).items())
    protocols = ", ".join(sorted({one.measured.protocol.title for one in opened}))
    title = (
        f"PSNR/SSIM of {bench.recipe.name}, each row trained for {steps} steps of {batch} patches of {patch} px, "
        f"seed {seed}; measured on {counts}; {protocols}."
    )
    finish(output, "cross-dataset", title, cross_table(rows).markdown(), cross_csv(rows))
    return 0
