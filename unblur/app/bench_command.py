"""`unblur bench`: how fast this machine computes, simulates, trains and restores, as ratios measured in one run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.options import Flag, Number
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from torch import Tensor

SHAKEN_SIDE_PX = 1536
"""Largest side of the photograph whose camera shake is solved."""

CLUSTER_SIDE_PX = 512
"""Largest side of the photographs that are restored with Ray."""

MOST_SECONDS = 3600
"""The longest duration of each measurement."""


def bench(
    photos: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="PHOTOS")],
    pairs: Number = 40,
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 2.0,
    seed: Number = 1,
    ray: Flag = False,
) -> int:
    """Measure one core of this computer: arithmetic, networks, the simulator, training steps and camera shake.

    Times are processor seconds of one thread, except those of Ray. Shares of the bound compare networks in bfloat16
    with the fastest convolution or matrix product of the same run.

    Args:
        photos: Folder of sharp photographs.
        pairs: Number of simulated pairs of each size; more give more exact times.
        seconds: Approximate duration of each measurement.
        seed: Seed of the simulated pairs.
        ray: Also measure restoring with Ray on all cores, by the clock; needs `pip install 'unblur[cluster]'`.
    """
    import platform

    import torch

    from unblur.blur import Camera
    from unblur.datasets import PhotoFolder
    from unblur.models import RestorerConfig
    from unblur.recipes import find_recipe
    from unblur.training.allocator import keep_freed_memory
    from unblur.training.speed import (
        measure_bound,
        measure_frame_speed,
        measure_network_speed,
        measure_pair_speed,
        measure_shake_speed,
        measure_step_shares,
    )

    def write(*lines: str) -> None:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    if pairs < 1 or not 0 < seconds <= MOST_SECONDS:
        raise UnblurError(
            f"{pairs} pairs and {seconds:g} seconds measure nothing; give at least 1 pair, and more than 0 and at most "
            f"{MOST_SECONDS} seconds."
        )
    # Errors in the photographs are reported before a minute of measuring.
    folder, camera = PhotoFolder(photos), Camera()
    keep_freed_memory()
    torch.set_num_threads(1)
    write(
        f"One core, {platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, PyTorch {torch.__version__}.",
        "",
        "| arithmetic | 3x3 convolution, GMAC/s | matrix product, GMAC/s |",
        "|---|---|---|",
    )
    bounds = {
        name: measure_bound(dtype, seconds / 4)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    for name, one in bounds.items():
        write(f"| {name} | {one.convolution_gmac_s:.0f} | {one.product_gmac_s:.0f} |")
    write(
        "",
        "| network | GMAC/MP | training core-s/MP | share of the bound | restoring core-s/MP | share of the bound |",
        "|---|---|---|---|---|---|",
    )
    recipes = [find_recipe(name) for name in ("faithful", "multiscale", "plain")]
    for recipe in recipes:
        assert isinstance(recipe.model, RestorerConfig)
        speed = measure_network_speed(
            recipe.model, recipe.schedule.batch, recipe.data.sampling.patch_px, bounds["bfloat16"], seconds=seconds
        )
        write(
            f"| {recipe.name} | {speed.gmac_per_mp:.1f} | {speed.training_s_per_mp:.2f} | {speed.training_share:.0%} "
            f"| {speed.restoring_s_per_mp:.2f} | {speed.restoring_share:.0%} |"
        )
    write("", "| pairs of | pairs a second and core | share of the bound |", "|---|---|---|")
    for speed_of in (
        measure_pair_speed(folder, camera, 256, pairs, seed),
        measure_frame_speed(camera, 720, 1280, max(2, pairs // 10), seed),
    ):
        size = f"{speed_of.width} x {speed_of.height}"
        write(f"| {size} | {speed_of.pairs_per_core_second:.2f} | {speed_of.share_of_bound:.2f} |")
    write("", "| training step of | simulation | loading | network |", "|---|---|---|---|")
    for recipe in recipes:
        shares = measure_step_shares(folder, recipe, steps=max(2, pairs // 5))
        rest = 1 - shares.simulation - shares.loading
        write(f"| {recipe.name} | {shares.simulation:.0%} | {shares.loading:.0%} | {rest:.0%} |")
    photo = folder.photos[0][:, :SHAKEN_SIDE_PX, :SHAKEN_SIDE_PX]
    shake = measure_shake_speed(photo)
    write(
        "",
        "| restoring, core-s | network alone | camera shake solved | ratio |",
        "|---|---|---|---|",
        f"| {photo.shape[2]} x {photo.shape[1]} | {shake.alone_s:.1f} | {shake.solved_s:.1f} "
        f"| {shake.solved_s / shake.alone_s:.1f} |",
    )
    if ray:
        write("", *_measure_ray(folder.photos[0][:, :CLUSTER_SIDE_PX, :CLUSTER_SIDE_PX], max(4, pairs // 4)))
    return 0


def _measure_ray(photo: "Tensor", count: int) -> list[str]:
    from unblur.app.cluster_speed import measure_cluster_speed

    speed = measure_cluster_speed(photo, count)
    height, width = photo.shape[1:]
    one = speed.one_process
    return [
        f"| restoring {width} x {height} in mode fast | photographs a second | ratio |",
        "|---|---|---|",
        f"| one process | {one:.2f} | 1.00 |",
        f"| Ray, 1 worker | {speed.one_worker:.2f} | {speed.one_worker / one:.2f} |",
        f"| Ray, {speed.workers} workers | {speed.all_workers:.2f} | {speed.all_workers / one:.2f} |",
        "",
        "| Ray | |",
        "|---|---|",
        f"| start, with the networks | {speed.start_s:.1f} s |",
        f"| an item without work | {speed.item_s * 1000:.1f} ms |",
    ]
