"""`unblur video`: its results, the videos that it rejects, and the files after an interrupted run."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av  # noqa: TID253 - reads the output files
import numpy as np
import pytest
import torch

from tests.videos.made_videos import make_video, packets_of
from unblur.app.cli import main
from unblur.errors import UnblurError
from unblur.restoration.loading import load
from unblur.restoration.restorer import Restorer
from unblur.restoration.video import VideoSettings, make_parts_path, restore_video
from unblur.videos.encoded_frames import Encoding
from unblur.videos.video_file import read_format, read_frames, read_planes

Run = Callable[..., int]


@pytest.fixture
def video(tiny_checkpoint: Path) -> Run:
    def run(*arguments: str | Path) -> int:
        return main(["video", *map(str, arguments), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"])

    return run


@pytest.fixture(scope="module")
def restorer(tiny_checkpoint: Path) -> Restorer:
    return load(str(tiny_checkpoint), "cpu", shake="off")


def lumas(path: Path) -> list[np.ndarray]:
    return [read_planes(frame)[0].astype(int) for frame in read_frames(path, read_format(path))]


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
def test_all_but_the_pictures_stays(tmp_path: Path, video: Run, suffix: str) -> None:
    original = make_video(tmp_path / "in.mp4", degrees=90, sound=True)
    result = tmp_path / f"out.{suffix}"
    assert video(original, result, "--frames", "all") == 0
    before, after = read_format(original), read_format(result)
    assert before.display_matrix is not None
    assert replace(after, rate=before.rate, seconds=0) == replace(before, seconds=0)
    assert packets_of(result, "audio") == packets_of(original, "audio")
    times = [frame.pts for frame in read_frames(original, before)]
    assert len(times) == 12
    assert [frame.pts for frame in read_frames(result, after)] == times
    with av.open(str(result)) as container:
        assert container.metadata["title"] == "A pan"
    assert not make_parts_path(result).exists()


def test_strength_0_without_loss_keeps_every_pixel(tmp_path: Path, video: Run) -> None:
    original = make_video(tmp_path / "in.mp4")
    assert video(original, tmp_path / "out.mp4", "--frames", "all", "--strength", "0", "--crf", "0") == 0
    assert np.array_equal(lumas(tmp_path / "out.mp4"), lumas(original))
    assert video(original, tmp_path / "all.mp4", "--frames", "all", "--crf", "0") == 0
    changed = [not np.array_equal(*pair) for pair in zip(lumas(tmp_path / "all.mp4"), lumas(original), strict=True)]
    assert all(changed)


def test_only_blurred_frames_change(tmp_path: Path) -> None:
    original = make_video(tmp_path / "in.mp4", blurred=(2, 8))
    restored: list[tuple[int, ...]] = []

    class Whitening(Restorer):
        def restore(self, picture, *_, **__):
            restored.append(picture.shape)
            return np.minimum(picture, 254) + np.uint8(1)

    network = Whitening(torch.nn.Identity(), device="cpu")
    settings = VideoSettings(encoding=Encoding(crf=0))
    result = restore_video(original, tmp_path / "out.mp4", network, settings)
    assert (result.frames, result.restored_frames) == (12, 2)
    pairs = zip(lumas(tmp_path / "out.mp4"), lumas(original), strict=True)
    assert [index for index, pair in enumerate(pairs) if not np.array_equal(*pair)] == [2, 8]
    assert restored == [(64, 48, 3)] * 2


def test_odd_sizes_and_other_codecs(tmp_path: Path, video: Run) -> None:
    original = make_video(tmp_path / "in.mkv", codec="libvpx-vp9", width=49, height=63)
    assert video(original, tmp_path / "out.mkv") == 0
    found = read_format(tmp_path / "out.mkv")
    assert (found.width, found.height, found.pixel_format) == (49, 63, "yuv444p")


def test_a_stopped_run_resumes_and_writes_the_same_file(tmp_path: Path, restorer: Restorer) -> None:
    original = make_video(tmp_path / "in.mp4", blurred=(2, 8), sound=True)
    restore_video(original, tmp_path / "whole.mp4", restorer, VideoSettings())
    output = tmp_path / "out.mp4"
    for limit in (0.01, 0.4, 0.8, 0.99):

        def stop(share: float, limit: float = limit) -> None:
            if share >= limit:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            restore_video(original, output, restorer, VideoSettings(), stop)
        assert not output.exists()
    parts = make_parts_path(output)
    assert (parts / "00000.json").exists()
    # Killed while it wrote: frames without the record that is written after them.
    (parts / "00000.json").unlink()
    (parts / "00000.h264").write_bytes(b"half")
    with pytest.raises(UnblurError, match="other options"):
        restore_video(original, output, restorer, VideoSettings(strength=0.5))
    restore_video(original, output, restorer, VideoSettings())
    assert output.read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not parts.exists()


def test_ctrl_c_says_how_to_go_on(tmp_path, video, monkeypatch, capsys) -> None:
    original = make_video(tmp_path / "in.mp4")
    monkeypatch.setattr("unblur.app.report.Report.progress", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert video(original, tmp_path / "out.mp4") == 130
    assert "type the same command again" in capsys.readouterr().err


def test_what_cannot_be_restored_is_refused_in_a_sentence(tmp_path, video, capsys) -> None:
    whole = make_video(tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    middle = len(whole) // 3
    (tmp_path / "holes.mp4").write_bytes(whole[:middle] + bytes(2000) + whole[middle + 2000 :])
    (tmp_path / "text.mp4").write_bytes(b"no video " * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{tmp_path}/whole.mp4\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.mp4").write_text(playlist)
    make_video(tmp_path / "hdr.mp4", transfer=16)
    for name, reason in {
        "cut": "is damaged",
        "holes": "damaged",
        "text": "no video in a format",
        "empty": "no video in a format",
        "list": "no video in a format",
        "hdr": "HDR video (PQ)",
        "missing": "cannot be read",
    }.items():
        assert video(tmp_path / f"{name}.mp4", tmp_path / "out.mp4") == 1, name
        error = capsys.readouterr().err
        assert reason in error, (name, error)
        assert error.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out.mp4") and not path.is_dir()]


def test_files_that_are_there_stay(tmp_path, video, capsys) -> None:
    original = make_video(tmp_path / "in.mp4")
    assert video(original, original, "--overwrite") == 2
    (tmp_path / "out.mp4").write_bytes(b"mine")
    assert video(original, tmp_path / "out.mp4") == 2
    assert (tmp_path / "out.mp4").read_bytes() == b"mine"
    assert video(original, tmp_path / "out.mp4", "--overwrite", "--json") == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["status"], outcome["frames"]) == ("ok", 12)
    for arguments in (["out.xyz"], ["b.mkv"]):
        assert video(original, tmp_path / arguments[0]) == 1
    assert video(original, tmp_path / "c.mp4", "--crf", "70") == 2
    errors = capsys.readouterr().err
    assert "no suffix of a video" in errors
    assert "milliseconds" in errors
    assert "CRF of 70" in errors


def test_without_pyav_the_extra_is_named(tmp_path, video, monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    assert video(tmp_path / "in.mp4", tmp_path / "out.mp4") == 2
    assert "pip install 'unblur[video]'" in capsys.readouterr().err
