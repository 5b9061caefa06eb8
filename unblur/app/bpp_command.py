"""`unblur study bpp`: what blur pattern pretraining is worth before fine-tuning."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.study_bench import Bars, finish, open_bench
from unblur.errors import UnblurError
from unblur.names import StudyNetwork


def bpp(
    sets: tyro.conf.Positional[list[str]],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    pretrain_on: str = "full",
    photos: Path | None = None,
    held_out: Path | None = None,
    network: StudyNetwork = "small",
    bpp_steps: int = 20_000,
    steps: int = 20_000,
    patch: int = 128,
    batch: int = 8,
    seed: int = 1,
    test_pairs: int | None = None,
    size: int = 256,
    device: str = "auto",
) -> int:
    """Pretrain on diverse blur, fine-tune on each data set and on all mixed, and compare with doing without.

    All rows have had as many updates when they are measured, --bpp-steps and --steps together. What is finished is not
    trained again.

    Args:
        sets: Data sets to fine-tune and test on, as in `unblur study cross-dataset`.
        output: Folder for the table, the networks (runs/), every image's numbers (tables/) and simulated pairs.
        pretrain_on: What the pretraining learns from: a camera of the simulator or a data set such as GS-Blur.
        photos: Folder of sharp photographs to train on, for what is simulated.
        held_out: Folder of other sharp photographs, to test simulated sets on.
        network: What is trained: small, bundled (the bundled network's shape), restormer (the paper's).
        bpp_steps: Number of updates of the pretraining.
        steps: Number of updates of the fine-tuning.
        patch: Side of the training patches in pixels.
        batch: Patches of each update.
        seed: Names the run: its first weights and all patches follow from it.
        test_pairs: How many pairs of each set to test on, instead of all (of simulated sets 60).
        size: Side of the simulated test pictures in pixels.
        device: auto, cpu, cuda, ...
    """
    from unblur.studies.bpp import bpp as run_study
    from unblur.studies.bpp import bpp_csv, bpp_table
    from unblur.studies.data_sets import source_of, study_sets

    source = source_of(pretrain_on)
    if source is None:
        raise UnblurError(f"{pretrain_on} has no pairs for training; pretrain on another data set.")
    if bpp_steps < 1:
        raise UnblurError(f"{bpp_steps} steps of pretraining teach nothing; give at least 1.")
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
        rows = run_study(bench, opened, source, bpp_steps)
    counts = ", ".join(f"{cell.images} pairs of {name}" for name, cell in rows[0].cells.items())
    title = (
        f"PSNR/SSIM of {bench.recipe.name}: {bpp_steps} steps of pretraining on {pretrain_on} and {steps} of "
        f"fine-tuning, or {bpp_steps + steps} without pretraining ('nothing': pretraining alone), {batch} patches of "
        f"{patch} px, seed {seed}; measured on {counts}."
    )
    finish(output, "bpp", title, bpp_table(rows).markdown(), bpp_csv(rows))
    return 0
