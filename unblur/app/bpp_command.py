"""`unblur study bpp`: what blur pattern pretraining is worth before fine-tuning."""

from contextlib import closing

import tyro

from unblur.app.study_bench import Bars, StudyOptions, finish, open_bench, open_sets
from unblur.errors import UnblurError


def bpp(
    sets: tyro.conf.Positional[list[str]],
    *,
    common: tyro.conf.OmitArgPrefixes[StudyOptions],
    pretrain_on: str = "full",
    bpp_steps: int = 20_000,
) -> int:
    """Pretrain on diverse blur, fine-tune on each data set and on all mixed, and compare with doing without.

    All rows have had as many updates when they are measured, --bpp-steps and --steps together. What is finished is not
    trained again.

    Args:
        sets: Data sets to fine-tune and test on, as in `unblur study cross-dataset`.
        common: Of all studies that train the rows of a table.
        pretrain_on: What the pretraining learns from: a camera of the simulator or a data set such as GS-Blur.
        bpp_steps: Number of updates of the pretraining.
    """
    from unblur.studies.bpp import bpp as run_study
    from unblur.studies.bpp import bpp_csv, bpp_table
    from unblur.studies.data_sets import source_of

    source = source_of(pretrain_on)
    if source is None:
        raise UnblurError(f"{pretrain_on} has no pairs for training; pretrain on another data set.")
    if bpp_steps < 1:
        raise UnblurError(f"{bpp_steps} steps of pretraining teach nothing; give at least 1.")
    with closing(Bars()) as bars:
        bench = open_bench(common, bars)
        opened = open_sets(sets, common)
        rows = run_study(bench, opened, source, bpp_steps)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in rows[0].cells.items())
    title = (
        f"PSNR/SSIM of {bench.recipe.name}: {bpp_steps} steps of pretraining on {pretrain_on} and {common.steps} of "
        f"fine-tuning, or {bpp_steps + common.steps} without pretraining ('nothing': pretraining alone), "
        f"{common.batch} patches of {common.patch} px, seed {common.seed}; measured on {counts}."
    )
    finish(common.output, "bpp", title, bpp_table(rows).markdown(), bpp_csv(rows))
    return 0
