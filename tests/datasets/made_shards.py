"""Writes shards of seven simulated pairs."""

from collections.abc import Callable
from pathlib import Path

from unblur.blur import Camera
from unblur.datasets import SimulatedPair
from unblur.datasets.shard_files import compute_shard_indices, make_shard_path
from unblur.datasets.shards import (
    ShardSettings,
    begin_shards,
    compute_content_table_sha256,
    describe_photos,
    find_missing_shards,
    write_shard,
)
from unblur.datasets.simulated import PatchSampling

SIZE_PX = 64


def settings_for(photos: Path, pairs: int = 7) -> ShardSettings:
    return ShardSettings(
        unblur_version="0",
        seed=1,
        pairs=pairs,
        pairs_per_shard=4,
        sampling=PatchSampling(patch_px=SIZE_PX),
        camera=Camera(),
        photos=describe_photos(photos),
        content_table_sha256=compute_content_table_sha256(photos),
    )


def write_missing(folder: Path, settings: ShardSettings, pair: Callable[[int], SimulatedPair]) -> None:
    begin_shards(folder, settings)
    for shard in find_missing_shards(folder, settings):
        write_shard(
            make_shard_path(folder, shard), compute_shard_indices(shard, settings.pairs, settings.pairs_per_shard), pair
        )
