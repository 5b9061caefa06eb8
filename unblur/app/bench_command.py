"""`unblur bench`: how fast this machine computes, simulates, trains and restores, as ratios measured in one run."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from unblur.app.options import Flag, Number, OptionalFile
from unblur.app.output_file import check_output_folder, write_output
from unblur.errors import UnblurError

if TYPE_CHECKING:
    from unblur.evaluation.benchmark import Benchmark

SHAKEN_SIDE_PX = 1536
"""Largest side of the photograph whose camera shake is solved."""

CLUSTER_SIDE_PX = 512
"""Largest side of the photographs that are restored with Ray."""

MOST_SECONDS = 3600
"""The longest duration of each measurement."""

MOST_MEGAPIXELS = 200


def bench(
    photos: Annotated[tyro.conf.Positional[Path | None], tyro.conf.arg(metavar="PHOTOS", help_behavior_hint="")] = None,
    pairs: Number = 40,
    seconds: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = 2.0,
    megapixels: Annotated[list[float], tyro.conf.arg(metavar="MP", help_behavior_hint="")] = [],  # noqa: B006
    peers: Annotated[list[str], tyro.conf.arg(metavar="METHOD", help_behavior_hint="")] = [],  # noqa: B006
    seed: Number = 1,
    json: OptionalFile = None,
    compare: Annotated[
        tuple[Path, Path] | None, tyro.conf.arg(metavar="OLD.json NEW.json", help_behavior_hint="")
    ] = None,
    ray: Flag = False,
) -> int:
    """Measure one core of this computer: arithmetic, networks, the simulator, training steps and restoring.

    Times are processor seconds of one thread, except those of Ray. Shares of the bound compare networks in bfloat16
    with the fastest convolution or matrix product of the same run.

    Args:
        photos: Folder of sharp photographs.
        pairs: Number of simulated pairs of each size; more give more exact times.
        seconds: Approximate duration of each measurement.
        megapixels: Also restore photographs of these sizes in every installed runtime; 12 takes a minute or more.
        peers: Methods of `unblur evaluate` to measure beside these.
        seed: Seed of the simulated pairs.
        json: Write all numbers, with the machine and the versions, to this file.
        compare: Measure nothing, and print the ratios between two files that --json wrote.
        ray: Also measure restoring with Ray on all cores, by the clock; needs `pip install 'unblur[cluster]'`.
    """
    if compare is not None:
        return _compare(*compare)
    if photos is None:
        raise UnblurError("There are no photographs to measure with; give a folder of sharp photographs.")
    if pairs < 1 or not 0 < seconds <= MOST_SECONDS:
        raise UnblurError(
            f"{pairs} pairs and {seconds:g} seconds measure nothing; give at least 1 pair, and more than 0 and at most "
            f"{MOST_SECONDS} seconds."
        )
    if not all(0 < size <= MOST_MEGAPIXELS for size in megapixels):
        raise UnblurError(f"Photographs cannot have such a size; give more than 0 and at most {MOST_MEGAPIXELS} MP.")
    if json is not None:
        check_output_folder(json)
    benchmark = _measure(photos, pairs, seconds, megapixels, peers, seed, ray=ray)
    if json is not None:
        from unblur.evaluation.benchmark import write_benchmark

        write_output(json, write_benchmark(benchmark))
    return 0


def _compare(old: Path, new: Path) -> int:
    from unblur.evaluation.benchmark import compare_benchmarks, read_benchmark

    before, after = read_benchmark(old), read_benchmark(new)
    table = compare_benchmarks(before, after)
    for name, one in (("old", before), ("new", after)):
        versions = ", ".join(f"{package} {version}" for package, version in one.versions.items())
        _write(f"{name}: {one.machine}, {versions}")
    _write("", table.markdown().rstrip())
    return 0


def _write(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _measure(
    photos: Path, pairs: int, seconds: float, megapixels: list[float], peers: list[str], seed: int, *, ray: bool
) -> "Benchmark":
    """Measure everything, and print each table line by line as it is measured."""
    import torch

    from unblur.blur import Camera
    from unblur.datasets import PhotoFolder
    from unblur.evaluation.benchmark import Benchmark, Measurement, describe_machine, find_versions
    from unblur.evaluation.restoring_speed import measure_restoring_speed
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

    # Errors in the photographs are reported before a minute of measuring.
    folder, camera = PhotoFolder(photos), Camera()
    keep_freed_memory()
    torch.set_num_threads(1)
    machine, versions = describe_machine(), find_versions()
    measured: list[Measurement] = []

    def start_table(title: str, *columns: str) -> None:
        _write("", f"| {' | '.join((title, *columns))} |", "|---" * (1 + len(columns)) + "|")

    def write_row(title: str, *numbers: tuple[str, float, str, str]) -> None:
        """Print a row of (name, value, unit, format) and record the values under "title, name"."""
        _write(f"| {title} | {' | '.join(f'{value:{form}}' for _, value, _, form in numbers)} |")
        measured.extend(
            Measurement(name=f"{title}, {name}", value=value, unit=unit) for name, value, unit, _ in numbers
        )

    _write(f"One core: {machine}, {', '.join(f'{package} {version}' for package, version in versions.items())}")
    start_table("arithmetic", "3x3 convolution, GMAC/s", "matrix product, GMAC/s")
    bounds = {
        name: measure_bound(dtype, seconds / 4)
        for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16))
    }
    for name, one in bounds.items():
        write_row(
            name,
            ("convolution", one.convolution_gmac_s, "GMAC/s", ".0f"),
            ("matrix product", one.product_gmac_s, "GMAC/s", ".0f"),
        )
    start_table(
        "network", "GMAC/MP", "training core-s/MP", "share of the bound", "restoring core-s/MP", "share of the bound"
    )
    recipes = [find_recipe(name) for name in ("faithful", "multiscale", "plain")]
    for recipe in recipes:
        assert isinstance(recipe.model, RestorerConfig)
        speed = measure_network_speed(
            recipe.model, recipe.schedule.batch, recipe.data.sampling.patch_px, bounds["bfloat16"], seconds=seconds
        )
        write_row(
            recipe.name,
            ("arithmetic", speed.gmac_per_mp, "GMAC/MP", ".1f"),
            ("training", speed.training_s_per_mp, "core-s/MP", ".2f"),
            ("training of the bound", speed.training_share, "share", ".0%"),
            ("restoring", speed.restoring_s_per_mp, "core-s/MP", ".2f"),
            ("restoring of the bound", speed.restoring_share, "share", ".0%"),
        )
    start_table("pairs of", "pairs a second and core", "share of the bound")
    for speed_of in (
        measure_pair_speed(folder, camera, 256, pairs, seed),
        measure_frame_speed(camera, 720, 1280, max(2, pairs // 10), seed),
    ):
        write_row(
            f"{speed_of.width} x {speed_of.height}",
            ("simulation", speed_of.pairs_per_core_second, "pairs/core-s", ".2f"),
            ("simulation of the bound", speed_of.share_of_bound, "share", ".2f"),
        )
    start_table("training step of", "simulation", "loading", "network")
    for recipe in recipes:
        shares = measure_step_shares(folder, recipe, steps=max(2, pairs // 5))
        write_row(
            recipe.name,
            ("simulation in a step", shares.simulation, "share", ".0%"),
            ("loading in a step", shares.loading, "share", ".0%"),
            ("network in a step", 1 - shares.simulation - shares.loading, "share", ".0%"),
        )
    photo = folder.photos[0][:, :SHAKEN_SIDE_PX, :SHAKEN_SIDE_PX]
    shake = measure_shake_speed(photo)
    start_table("restoring, core-s", "network alone", "camera shake solved", "ratio")
    write_row(
        f"{photo.shape[2]} x {photo.shape[1]}",
        ("network alone", shake.alone_s, "core-s", ".1f"),
        ("camera shake solved", shake.solved_s, "core-s", ".1f"),
        ("solved over alone", shake.solved_s / shake.alone_s, "ratio", ".1f"),
    )
    if megapixels:
        start_table("restoring without solving shake", "MP", "core-s", "core-s/MP")
        for done in measure_restoring_speed(folder.photos[0], megapixels, peers):
            per_mp = done.core_s / done.megapixels
            _write(f"| {done.method} | {done.megapixels:g} | {done.core_s:.2f} | {per_mp:.2f} |")
            name = f"{done.method}, {done.megapixels:g} MP"
            measured.append(Measurement(name=name, value=done.core_s, unit="core-s"))
    if ray:
        from unblur.app.cluster.speed import measure_cluster_speed

        photo = folder.photos[0][:, :CLUSTER_SIDE_PX, :CLUSTER_SIDE_PX]
        cluster = measure_cluster_speed(photo, max(4, pairs // 4))
        alone = cluster.one_process
        start_table(f"restoring {photo.shape[2]} x {photo.shape[1]} in mode fast", "photographs a second", "ratio")
        for name, speed_in in (
            ("one process", alone),
            ("Ray, 1 worker", cluster.one_worker),
            (f"Ray, {cluster.workers} workers", cluster.all_workers),
        ):
            write_row(
                name,
                ("restoring", speed_in, "photographs/s", ".2f"),
                ("over one process", speed_in / alone, "ratio", ".2f"),
            )
        start_table("Ray", "seconds")
        write_row("Ray, start with the networks", ("time", cluster.start_s, "s", ".1f"))
        write_row("Ray, an item without work", ("time", cluster.item_s, "s", ".4f"))
    return Benchmark(machine=machine, versions=versions, measurements=tuple(measured))
