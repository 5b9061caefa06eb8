"""`unblur study cross-dataset`: trained on one data set, tested on all."""

from contextlib import closing

import tyro

from unblur.app.study_bench import Bars, StudyOptions, finish, open_bench, open_sets


def cross_dataset(sets: tyro.conf.Positional[list[str]], *, common: tyro.conf.OmitArgPrefixes[StudyOptions]) -> int:
    """Train a network on each data set, test it on all, and show how well each carries over to the others.

    Rows that are finished are not trained again: stopped, the same command goes on where it was, and with more data
    sets it makes what is missing.

    Args:
        sets: Data sets: folders as `unblur check` takes them, FOLDER@NAME where the folder does not tell, or cameras of
            the simulator: full, gopro, realblur, rsblur. Of sets without a split for training, the last fifth of the
            pairs is kept for testing.
        common: Of all studies that train the rows of a table.
    """
    from unblur.studies.cross_dataset import cross_csv, cross_table
    from unblur.studies.cross_dataset import cross_dataset as run_study

    with closing(Bars()) as bars:
        bench = open_bench(common, bars)
        opened = open_sets(sets, common)
        rows = run_study(bench, opened)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in next(iter(rows.values())).items())
    protocols = ", ".join(sorted({one.measured.protocol.title for one in opened}))
    title = (
        f"PSNR/SSIM of {bench.recipe.name}, each row trained for {common.steps} steps of {common.batch} patches of "
        f"{common.patch} px, seed {common.seed}; measured on {counts}; {protocols}."
    )
    finish(common.output, "cross-dataset", title, cross_table(rows).markdown(), cross_csv(rows))
    return 0
