"""Shards of simulated pairs: the same bytes every time, whole or absent, readable by others."""

import errno
import io
import json
import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_shards import settings_for, write_missing

from unblur.blur import Camera
from unblur.config import from_json
from unblur.datasets import PairRecord, SimulatedPairs
from unblur.datasets.shard_files import PARTS
from unblur.datasets.shards import (
    ShardFolder,
    begin_shards,
    describe_photos,
    read_shard,
    write_shard,
)
from unblur.errors import UnblurError
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


def test_written_shards_are_read(shards: Path, pairs: SimulatedPairs) -> None:
    folder = ShardFolder(shards)
    assert len(folder) == 7
    stored = list(folder)
    assert [pair.index for pair in stored] == list(range(7))
    for pair in stored:
        made = pairs[pair.index]
        for side in ("blurry", "sharp"):
            assert torch.equal(getattr(pair, side), (getattr(made, side) * 255).round() / 255)
        assert torch.equal(pair.saturated, made.saturated)
        assert torch.equal(pair.start, made.motion.start)
        assert torch.equal(pair.end, made.motion.end)
        assert torch.equal(pair.curve, made.motion.fit_quadratic())
        assert from_json(pair.record, PairRecord) == made.record
    assert any(pair.start.any() for pair in stored)
    assert any(pair.saturated.any() for pair in stored)


def test_the_bytes_follow_from_the_pairs_alone(
    shards: Path, shard_photos: Path, pairs: SimulatedPairs, tmp_path: Path
) -> None:
    write_missing(tmp_path / "again", settings_for(shard_photos), pairs.__getitem__)
    assert sorted(p.name for p in shards.iterdir()) == ["pairs-000000.tar", "pairs-000001.tar", "settings.json"]
    for path in shards.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
    with tarfile.open(shards / "pairs-000001.tar") as tar:
        members = tar.getmembers()
        assert [member.name for member in members[:5]] == [f"000000004.{part}" for part in PARTS]
        for member in members:
            assert (member.mtime, member.uid, member.gid, member.uname, member.gname) == (0, 0, 0, "", "")
            assert member.mode == 0o644
        motion = tar.extractfile("000000004.motion.npz")
        assert motion is not None
        # Two archives made within the same two seconds would agree by chance.
        for entry in zipfile.ZipFile(io.BytesIO(motion.read())).infolist():
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)


def test_a_pair_is_the_same_alone_and_among_many(shards: Path, pairs: SimulatedPairs, tmp_path: Path) -> None:
    write_shard(tmp_path / "alone.tar", range(5, 6), pairs.__getitem__)
    with tarfile.open(tmp_path / "alone.tar") as alone, tarfile.open(shards / "pairs-000001.tar") as many:
        assert len(alone.getnames()) == 5
        for name in alone.getnames():
            one, other = alone.extractfile(name), many.extractfile(name)
            assert one is not None
            assert other is not None
            assert one.read() == other.read()


def test_webdataset_reads_the_shards(shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    urls = [str(path) for path in sorted(shards.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("torchrgb8"))
    assert [sample["__key__"] for sample in samples] == [f"{index:09d}" for index in range(7)]
    for sample, pair in zip(samples, ShardFolder(shards), strict=True):
        for side in ("blurry", "sharp"):
            decoded = torch.as_tensor(sample[f"{side}.png"]).float() / 255
            assert torch.equal(decoded, getattr(pair, side))
        assert np.array_equal(sample["motion.npz"]["start"], pair.start.numpy())
        assert sample["json"] == json.loads(pair.record)


def test_only_missing_shards_are_made(shards: Path, shard_photos: Path, pairs: SimulatedPairs) -> None:
    untouched = (shards / "pairs-000000.tar").stat()
    whole = (shards / "pairs-000001.tar").read_bytes()
    (shards / "pairs-000001.tar").unlink()
    with pytest.raises(UnblurError, match=r"lacks 1 of 2 shards.*pairs-000001\.tar"):
        ShardFolder(shards)
    made = []
    write_missing(shards, settings_for(shard_photos), lambda index: made.append(index) or pairs[index])
    assert made == [4, 5, 6]
    assert (shards / "pairs-000001.tar").read_bytes() == whole
    assert (shards / "pairs-000000.tar").stat() == untouched


def test_other_settings_are_refused(shards: Path, shard_photos: Path) -> None:
    settings = settings_for(shard_photos)
    with pytest.raises(UnblurError, match=r"other settings \(pairs, seed; see settings\.json"):
        begin_shards(shards, replace(settings, seed=2, pairs=8))
    with pytest.raises(UnblurError, match=r"other settings \(camera;"):
        begin_shards(shards, replace(settings, camera=Camera(still_share=0.5)))
    write_photo(Photo(pixels=np.ones((70, 80, 3), np.uint8)), shard_photos / "0.png")
    with pytest.raises(UnblurError, match=r"other settings \(photos;"):
        begin_shards(shards, settings_for(shard_photos))
    shard_photos.with_suffix(".csv").write_text("file,content\n0.png,nature\n")
    with pytest.raises(UnblurError, match=r"other settings \(content_table_sha256, photos;"):
        begin_shards(shards, settings_for(shard_photos))
    (shards / "settings.json").unlink()
    with pytest.raises(UnblurError, match=r"no settings\.json"):
        begin_shards(shards, settings)


def test_settings_may_change_until_there_is_a_shard(shard_photos: Path, tmp_path: Path) -> None:
    begin_shards(tmp_path / "shards", settings_for(shard_photos))
    begin_shards(tmp_path / "shards", settings_for(shard_photos, pairs=9))
    assert json.loads((tmp_path / "shards" / "settings.json").read_text())["pairs"] == 9


def test_a_full_disk_leaves_whole_shards_only(
    shard_photos: Path, pairs: SimulatedPairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folder = settings_for(shard_photos), tmp_path / "shards"
    write = os.write

    def full_disk(handle: int, data: memoryview) -> int:
        if len(data) < 40_000 or not (folder / "pairs-000000.tar").exists():
            return write(handle, data)  # A picture on its way into the shard, or the first shard.
        if len(data) < 60_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(handle, data[: len(data) - 50_000])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        with pytest.raises(UnblurError) as caught:
            write_missing(folder, settings, pairs.__getitem__)
    assert str(caught.value).startswith(f"{folder / 'pairs-000001.tar'} cannot be written: No space left on device;")
    assert sorted(path.name for path in folder.iterdir()) == ["pairs-000000.tar", "settings.json"]
    write_missing(folder, settings, pairs.__getitem__)
    assert len(list(ShardFolder(folder))) == 7


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_shard_cut_short_is_refused(shards: Path, share: float) -> None:
    path = shards / "pairs-000001.tar"
    with tarfile.open(path) as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + last.size  # Only zeros follow.
    path.write_bytes(path.read_bytes()[: int(end * share)])
    with pytest.raises(UnblurError, match=r"pairs-000001\.tar is cut short or damaged .*delete it"):
        list(ShardFolder(shards))


def test_a_shard_cut_between_two_pairs_is_refused(shards: Path) -> None:
    """Such a file is a valid tar archive."""
    path = shards / "pairs-000000.tar"
    with tarfile.open(path) as tar:
        offset = tar.getmember("000000002.blurry.png").offset
    path.write_bytes(path.read_bytes()[:offset])
    pairs = iter(ShardFolder(shards))
    assert [next(pairs).index for _ in range(2)] == [0, 1]
    with pytest.raises(UnblurError, match=r"ends where 000000002\.blurry\.png should follow"):
        next(pairs)


@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_member_is_refused(shards: Path, part: str) -> None:
    path = shards / "pairs-000000.tar"
    with tarfile.open(path) as tar:
        member = tar.getmember(f"000000001.{part}")
    data = bytearray(path.read_bytes())
    data[member.offset_data : member.offset_data + member.size] = bytes(member.size)
    path.write_bytes(data)
    with pytest.raises(UnblurError, match=r"pairs-000000\.tar is cut short or damaged"):
        list(read_shard(path, range(4)))


def test_other_folders_than_shards_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match=r"no settings\.json"):
        ShardFolder(tmp_path)
    for content in ("{", "[]", '{"pairs": 3}', '{"pairs": 0, "pairs_per_shard": 0}'):
        (tmp_path / "settings.json").write_text(content)
        with pytest.raises(UnblurError, match=r"settings\.json"):
            ShardFolder(tmp_path)


def test_counts_below_one_and_missing_photographs_are_refused(shard_photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="number of pairs must be at least 1, not 0"):
        settings_for(shard_photos, pairs=0)
    with pytest.raises(UnblurError, match="no folder"):
        describe_photos(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnblurError, match="no photographs"):
        describe_photos(tmp_path / "empty")


@pytest.mark.parametrize(
    "content", [b"x", b"\xff\xfe", b"[]", b"[" * 100_000, b'{"pairs": 1000000000000}', "pipe", "folder"]
)
def test_settings_that_are_none(content: bytes | str, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    if content == "pipe":
        os.mkfifo(path)
    elif isinstance(content, str):
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(UnblurError) as caught:
        ShardFolder(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "Errno" not in str(caught.value)


def test_settings_that_name_shards_without_end(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"pairs": 1000000000000, "pairs_per_shard": 1}')
    with pytest.raises(
        UnblurError, match=r"lacks 1000000000000 of 1000000000000 shards, for example pairs-000000\.tar"
    ):
        ShardFolder(tmp_path)


def test_a_shard_that_is_a_pipe_is_no_shard(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pairs-000000.tar")
    with pytest.raises(UnblurError, match="cut short or damaged"):
        list(read_shard(tmp_path / "pairs-000000.tar", range(1)))
