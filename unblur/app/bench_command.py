"""`unblur bench`: how fast this machine simulates and trains, as ratios measured in one run."""

import sys
from pathlib import Path

import tyro


def bench(photos: tyro.conf.Positional[Path], pairs: int = 40, seed: int = 1) -> int:
    """Measure the simulator: pairs a second and core, against the bound, and its share of a training step.

    Args:
        photos: Folder of sharp photographs.
        pairs: How many pairs of each size to make; more are more exact.
        seed: Names the pairs.
    """
    import torch

    from unblur.blur import Camera
    from unblur.datasets import PhotoFolder
    from unblur.recipes import named
    from unblur.training.allocator import keep_freed_memory
    from unblur.training.speed import frame_speed, pair_speed, share_of_step

    keep_freed_memory()
    torch.set_num_threads(1)
    folder, camera = PhotoFolder(photos), Camera()
    speeds = [
        pair_speed(folder, camera, 256, pairs, seed),
        frame_speed(camera, 720, 1280, max(2, pairs // 10), seed),
    ]
    lines = ["| pairs of | pairs a second and core | share of the bound |", "|---|---|---|"]
    lines += [f"| {s.width} x {s.height} | {s.pairs_per_core_second:.2f} | {s.share_of_bound:.2f} |" for s in speeds]
    recipe = named("faithful")
    share = share_of_step(folder, recipe, steps=max(2, pairs // 5))
    lines += ["", f"Share of a training step of `{recipe.name}` that simulation takes: {share:.0%}."]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
