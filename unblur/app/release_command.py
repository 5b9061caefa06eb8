"""`unblur study release`: whether weights are good enough to be bundled."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from unblur.app.study_bench import Bars, finish
from unblur.errors import UnblurError


def release(
    photos: tyro.conf.Positional[Path],
    *,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    real: tuple[Path, ...] = (),
    checkpoint: str | None = None,
    peer: str | None = None,
    peer_checkpoint: str | None = None,
    peer_pictures: int = 12,
    pairs: int = 60,
    size: int = 384,
    crops: int = 2000,
    seed: int = 1,
    device: str = "auto",
) -> int:
    """Measure weights on all that they are held to, and say which bars hold; the same at half size beside them.

    Simulated sets are made of the photographs: the validation set, three cameras that imitate data sets, and kernels of
    hands that the simulator does not know. Given again, the command goes on where it was.

    Args:
        photos: Folder of sharp photographs that were not trained on.
        output: Folder for the sets, every image's numbers and the tables.
        real: Folders with real pairs, blurry/ and sharp/.
        checkpoint: Other weights than the bundled ones: a folder or a hub id.
        peer: What they are held against: maxim or any other method of `unblur evaluate`.
        peer_checkpoint: Its weights, where it takes any.
        peer_pictures: How many pictures of every simulated set the peer is measured on.
        pairs: How many pairs each of the imitating cameras takes.
        size: Side of the simulated pictures in pixels.
        crops: How many random crops are tried.
        seed: Names the crops.
        device: auto, cpu, cuda, ...
    """
    from unblur.evaluation.method import MethodChoice, open_method
    from unblur.evaluation.tables import comparison
    from unblur.studies.release import (
        bar_of_fast,
        bar_table,
        bars,
        bars_beside,
        broken_crops,
        measured,
        part_of,
        release_sets,
        sharp_psnr_db,
    )

    if min(pairs, crops, peer_pictures) < 1:
        raise UnblurError("--pairs, --crops and --peer-pictures must be at least 1.")
    choice = MethodChoice(checkpoint=checkpoint, device=device)
    method = open_method(choice)
    fast_choice = replace(choice, method="fast")
    fast = open_method(fast_choice)
    tables = output / "tables"
    sets = release_sets(photos, real, output / "sets", pairs=pairs, size_px=size)
    simulated = [one.name for one in sets if one.simulated]
    with closing(Bars()) as report:
        rows = {one.name: measured(one, choice, method, tables / f"{one.name}.csv", report) for one in sets}
        fast_rows = [measured(one, fast_choice, fast, tables / f"{one.name}-{fast.name}.csv", report) for one in sets]
        sharp_db = sharp_psnr_db(photos, choice, method, tables / "sharp.csv", report)
        broken = broken_crops(checkpoint, photos, crops, seed, report)
        found = [*bars(rows, simulated, sharp_db, broken), bar_of_fast(fast_rows)]
        texts = [comparison([*rows.values(), *fast_rows]).markdown()]
        if peer is not None:
            other = replace(choice, method=peer, checkpoint=peer_checkpoint)
            opened = open_method(other)
            parts = [part_of(one, peer_pictures) for one in sets if one.simulated]
            # Over the pictures that the peer sees, ours are measured once more: at the same time, on the same machine.
            own = {one.name: measured(one, choice, method, tables / f"{one.name}-part.csv", report) for one in parts}
            theirs = {
                one.name: measured(one, other, opened, tables / f"{one.name}-{opened.name}.csv", report)
                for one in parts
            }
            found += bars_beside(own, theirs, opened.name)
            texts.append(comparison([*own.values(), *theirs.values()]).markdown())
    texts.append(bar_table(found).markdown())
    finish(output, "release", f"Weights {method.checkpoint[:12]}.", "\n".join(texts), bar_table(found).csv())
    return 0
