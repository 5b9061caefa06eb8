"""The command line as people and programs meet it: files, words, exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif  # noqa: TID253 - makes what it reads
import pytest
import torch
from PIL import Image

from experiments.glow_ablation import glow_ablation
from experiments.harness import run
from tests.restoration.test_shake import photograph
from unblur.app.cli import main
from unblur.app.report import printable
from unblur.app.suggestions import FORMER_COMMANDS
from unblur.models.multiscale import upsample2x
from unblur.restoration.loading import load

MakePhoto = Callable[..., Path]


@pytest.fixture
def restore(tiny_checkpoint: Path) -> Callable[..., int]:
    """Run `unblur restore` with the tiny checkpoint, and return the exit code."""

    def run(*arguments: str | Path) -> int:
        return main(["restore", *map(str, arguments), "--checkpoint", str(tiny_checkpoint), "--device", "cpu"])

    return run


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# --- the main job ----------------------------------------------------------------------------------------


def test_a_photograph_is_restored_beside_its_original(tmp_path, make_photo, restore, capsys) -> None:
    photo = make_photo(tmp_path / "photo.png")
    original = photo.read_bytes()
    assert restore(photo) == 0
    assert photo.read_bytes() == original
    assert _files(tmp_path) == ["photo.png", "photo_unblurred.png"]
    assert not np.array_equal(_pixels(tmp_path / "photo_unblurred.png"), _pixels(photo))
    captured = capsys.readouterr()
    assert f"{photo} -> {tmp_path / 'photo_unblurred.png'}  60x40  " in captured.out
    assert captured.err == ""


def test_restore_is_the_default_command(tmp_path, make_photo, tiny_checkpoint) -> None:
    photo = make_photo(tmp_path / "photo.jpg")
    assert main([str(photo), "--checkpoint", str(tiny_checkpoint)]) == 0
    assert main(["-o", str(tmp_path / "b.jpg"), str(photo), "--checkpoint", str(tiny_checkpoint)]) == 0
    assert _files(tmp_path) == ["b.jpg", "photo.jpg", "photo_unblurred.jpg"]


def test_strength_0_preserves_the_pixels(tmp_path, make_photo, restore) -> None:
    photo = make_photo(tmp_path / "photo.png")
    assert restore(photo, "--strength", "0") == 0
    assert np.array_equal(_pixels(tmp_path / "photo_unblurred.png"), _pixels(photo))


def test_strength_and_tile_have_an_effect(tmp_path, make_photo, restore, capsys) -> None:
    photo = make_photo(tmp_path / "photo.png", 100, 200)
    changes, tiles = [], []
    for index, options in enumerate((["--strength", "0.5"], [], ["--tile", "64"], ["--tile", "0"])):
        assert restore(photo, "-o", tmp_path / f"{index}.png", "--json", *options) == 0
        record = json.loads(capsys.readouterr().out)
        changes.append(record["change"])
        tiles.append(record["tile"])
    assert changes[0] == pytest.approx(changes[1] / 2, rel=0.1)
    assert tiles == [0, 0, 64, 0]


def test_the_fast_mode_restores_at_half_the_size(tmp_path, make_photo, restore, tiny_checkpoint, capsys) -> None:
    photo = make_photo(tmp_path / "photo.png")
    assert restore(photo, "--mode", "fast", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["mode"], record["output"]) == ("fast", str(tmp_path / "photo_unblurred_fast.png"))
    # Half of a photograph whose pixels come in equal squares of four is that photograph.
    half = 0.4 + 0.2 * np.random.default_rng(1).random((30, 40, 3), np.float32)
    whole = half.repeat(2, 0).repeat(2, 1)
    plain, fast = (load(tiny_checkpoint, "cpu", "float32", mode=mode) for mode in ("faithful", "fast"))
    correction = torch.from_numpy(plain.restore(half) - half).permute(2, 0, 1)
    expected = whole + upsample2x(correction[None])[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(fast.restore(whole), expected, atol=1e-5)
    assert restore(photo, "--mode", "fast", "--seed", "3") == 2
    assert "--seed has a meaning only with --mode generative" in capsys.readouterr().err


def test_another_format_changes_the_name(tmp_path, make_photo, restore) -> None:
    photo = make_photo(tmp_path / "photo.png")
    assert restore(photo, "--format", "webp", "--suffix", "_b", "-o", tmp_path / "new" / "folder") == 0
    with Image.open(tmp_path / "new" / "folder" / "photo_b.webp") as image:
        assert (image.format, image.size) == ("WEBP", (60, 40))


def test_heic_becomes_jpeg(tmp_path, restore, capsys) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    (tmp_path / "in").mkdir()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "in" / "IMG_1.HEIC")
    assert restore(tmp_path / "in", "-o", tmp_path / "out", "--compare") == 0
    assert _files(tmp_path / "out") == ["IMG_1_unblurred.jpg", "IMG_1_unblurred_compare.jpg"]
    assert restore(tmp_path / "in" / "IMG_1.HEIC", "--format", "png") == 0
    assert _files(tmp_path / "in") == ["IMG_1.HEIC", "IMG_1_unblurred.png"]
    assert restore(tmp_path / "in" / "IMG_1.HEIC", "-o", tmp_path / "again.heic") == 2
    assert '".heic", which is not a format that photographs are written in' in capsys.readouterr().err


def test_a_comparison_shows_both_pictures(tmp_path, make_photo, restore) -> None:
    photo = make_photo(tmp_path / "photo.png", 40, 600)
    assert restore(photo, "--compare") == 0
    both = _pixels(tmp_path / "photo_unblurred_compare.png")
    assert both.shape == (40, 600 + 3 + 600, 3)
    assert np.array_equal(both[:, :600], _pixels(photo))
    assert (both[:, 600:603] == 255).all()
    assert np.array_equal(both[:, 603:], _pixels(tmp_path / "photo_unblurred.png"))


def test_folders_preserve_their_tree_and_results_are_not_restored_again(tmp_path, make_photo, restore) -> None:
    for name in ("a.jpg", "x/b.jpg", "x/y/ż #1 100%.jpg"):
        make_photo(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("not a photograph")
    assert restore(tmp_path / "in", "-r", "-o", tmp_path / "out") == 0
    assert _files(tmp_path / "out") == [
        "a_unblurred.jpg",
        "x/b_unblurred.jpg",
        "x/y/ż #1 100%_unblurred.jpg",
    ]
    assert restore(tmp_path / "in") == 0
    assert restore(tmp_path / "in", "--overwrite") == 0
    assert _files(tmp_path / "in") == [
        "a.jpg",
        "a_unblurred.jpg",
        "notes.txt",
        "x/b.jpg",
        "x/y/ż #1 100%.jpg",
    ]


# --- results that are there already ----------------------------------------------------------------------


def test_existing_results_are_skipped_or_replaced_on_request(tmp_path, make_photo, restore, capsys) -> None:
    photo = make_photo(tmp_path / "photo.png")
    result = tmp_path / "photo_unblurred.png"
    result.write_text("precious")
    assert restore(photo) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert result.read_text() == "precious"

    assert restore(photo, "--skip-existing") == 0
    assert "skipped" in capsys.readouterr().out
    assert result.read_text() == "precious"

    assert restore(photo, "--overwrite") == 0
    assert _pixels(result).shape == (40, 60, 3)
    assert _files(tmp_path) == ["photo.png", "photo_unblurred.png"]


def test_no_network_is_loaded_without_work(tmp_path, make_photo) -> None:
    photo = make_photo(tmp_path / "photo.png")
    make_photo(tmp_path / "photo_unblurred.png")
    assert main([str(photo), "--skip-existing", "--checkpoint", str(tmp_path / "missing")]) == 0


# --- failures --------------------------------------------------------------------------------------------


def test_a_bad_file_does_not_stop_a_batch_and_is_listed(tmp_path, make_photo, restore, capsys) -> None:
    good = [make_photo(tmp_path / name) for name in ("a.jpg", "c.jpg")]
    bad = tmp_path / "b.jpg"
    bad.write_bytes(b"no photograph at all")
    missing = tmp_path / "missing.jpg"
    assert restore(good[0], bad, missing, good[1]) == 1
    assert _files(tmp_path) == ["a.jpg", "a_unblurred.jpg", "b.jpg", "c.jpg", "c_unblurred.jpg"]
    errors = capsys.readouterr().err.splitlines()
    assert "2 of 4 photographs could not be restored:" in errors
    listed = errors[errors.index("2 of 4 photographs could not be restored:") + 1 :]
    assert len(listed) == 2
    assert str(bad) in listed[0]
    assert str(missing) in listed[1]
    assert not any("Traceback" in line for line in errors)


def test_a_result_that_cannot_be_written_is_a_failure(tmp_path, make_photo, restore, capsys) -> None:
    photo = make_photo(tmp_path / "photo.jpg")
    (tmp_path / "file").touch()
    assert restore(photo, "-o", tmp_path / "file" / "folder") == 1
    error = capsys.readouterr().err
    assert error.startswith("failed: ")
    assert "folder" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["restore"], "No photograph"),
        (["photo.jpg", "--strength", "1.5"], "strength"),
        (["photo.jpg", "--strength", "nan"], "strength"),
        (["photo.jpg", "--tile", "7"], "tile"),
        (["photo.jpg", "--tile", "huge"], "--tile"),
        (["photo.jpg", "--device", "abacus"], "--device"),
        (["photo.jpg", "--strngth", "1"], "--strength"),
        (["photo.jpg", "-o"], "--output"),
        (["photo.jpg", "--skip-existing", "--overwrite"], "contradict"),
        (["photo.jpg", "--checkpoint", "missing-folder"], "missing-folder"),
        (["photo.jpg", "--device", "mps"], "mps"),
        (["photo.jpg", "-o", "photo.jpg"], "never overwritten"),
        (["*.tiff"], "No photograph matches"),
        (["empty"], "holds no photographs"),
        (["photo.jpg", "-o", "/not-there/deep/a.jpg"], "-o /not-there/deep/a.jpg is in /not-there, which does not"),
        (["photo.jpg", "-o", "/not-there/a.jpg"], "/not-there, which does not"),
        (["photo.jpg", "-o", "/not-there/folder"], "/not-there, which does not"),
        ([], "usage"),
    ],
)
def test_wrong_usage(arguments, reason, tmp_path, make_photo, tiny_checkpoint, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    make_photo(Path("photo.jpg"))
    Path("empty").mkdir()
    if "mps" in arguments:
        arguments = [*arguments, "--checkpoint", str(tiny_checkpoint)]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert reason in captured.err
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert _files(tmp_path) == ["photo.jpg"]


# --- words -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("remembered_shakes")
def test_the_report_names_the_solved_shake(tmp_path, restore, capsys) -> None:
    Image.fromarray(photograph(14)[0]).save(tmp_path / "photo.png")
    assert restore(tmp_path / "photo.png", "--shake", "always", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["shake_px"] > 5
    assert 0 <= record["shake_confidence"] <= 1
    assert restore(tmp_path / "photo.png", "--shake", "always", "--overwrite") == 0
    assert f"shake: {record['shake_px']:.0f} px, {record['shake_deg']} degrees, solved" in capsys.readouterr().out
    assert restore(tmp_path / "photo.png", "--shake", "off", "--overwrite") == 0
    assert "shake:" not in capsys.readouterr().out


def test_json_is_one_object_per_photograph(tmp_path, make_photo, restore, capsys) -> None:
    photo = make_photo(tmp_path / "ż.jpg")
    done = make_photo(tmp_path / "done.jpg")
    make_photo(tmp_path / "done_unblurred.jpg")
    missing = tmp_path / "missing.jpg"
    assert restore(photo, done, missing, "--json", "--skip-existing") == 1
    restored, skipped, failed = map(json.loads, capsys.readouterr().out.splitlines())
    assert restored["status"] == "ok"
    assert restored["input"] == str(photo)
    assert restored["output"] == str(tmp_path / "ż_unblurred.jpg")
    assert (restored["width"], restored["height"]) == (60, 40)
    assert restored["seconds"] > 0
    assert restored["strength"] == 1
    assert 0 < restored["change"] < 1
    assert restored["fallback_share"] == 0
    assert len(restored["checkpoint"]) == 64
    assert restored["error"] is None
    assert (skipped["status"], skipped["error"]) == ("skipped", None)
    assert failed["status"] == "failed"
    assert str(missing) in failed["error"]


def test_quiet_writes_only_errors(tmp_path, make_photo, restore, capsys) -> None:
    assert restore(make_photo(tmp_path / "photo.jpg"), "--quiet") == 0
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""
    assert restore(tmp_path / "missing.jpg", "--quiet") == 1
    assert "missing.jpg" in capsys.readouterr().err


def test_a_hardly_changed_photograph_is_reported(tmp_path, capsys) -> None:
    from unblur.checkpoints.folder import save_checkpoint
    from unblur.models import NAFNetConfig, build

    config = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,))
    # A network is the identity until it is trained.
    save_checkpoint(tmp_path / "identity", build(config), config, train_patch_px=64, card="Identity.\n")
    Image.new("RGB", (20, 20), (90, 90, 90)).save(tmp_path / "grey.png")
    assert main([str(tmp_path / "grey.png"), "--checkpoint", str(tmp_path / "identity")]) == 0
    captured = capsys.readouterr()
    assert "hardly changed" in captured.out
    assert "already sharp" in captured.err


def test_escape_codes_in_file_names_are_escaped() -> None:
    assert printable("ż #1 100% 测试.jpg") == "ż #1 100% 测试.jpg"
    assert printable("a\x1b[2Jb\nc\udce9") == "a\\x1b[2Jb\\nc\\udce9"


# --- the process -----------------------------------------------------------------------------------------


def _python(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, encoding="utf-8", check=False, **options
    )


def test_help_and_usage_errors_load_no_heavy_libraries() -> None:
    code = (
        "import sys; from unblur.app.cli import main; code = main(sys.argv[1:]); "
        "print(sorted({'torch', 'numpy', 'pyvips'} & set(sys.modules))); sys.exit(code)"
    )
    for arguments, expected in (
        (["--help"], 0),
        (["restore", "--help"], 0),
        (["--print-completion", "zsh"], 0),
        (["a.jpg", "--tile", "x"], 2),
        (["restor", "a.jpg"], 2),
        (["a.jpg", "--fast"], 2),
    ):
        done = _python("-c", code, *arguments)
        assert done.returncode == expected, done.stderr
        assert done.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_and_the_version() -> None:
    done = _python("-m", "unblur", "--version")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("unblur 0.")


def test_a_closed_pipe_is_no_error(tmp_path, make_photo, tiny_checkpoint) -> None:
    for index in range(3):
        make_photo(tmp_path / f"{index}.jpg")
    command = [sys.executable, "-m", "unblur", str(tmp_path), "--json", "--checkpoint", str(tiny_checkpoint)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    error = process.stderr.read().decode()
    process.wait(300)
    process.stderr.close()
    assert error == ""


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT to send")
def test_an_interruption_ends_the_batch_cleanly(tmp_path, make_photo, tiny_checkpoint) -> None:
    for index in range(300):
        make_photo(tmp_path / "in" / f"{index:03}.png", 150, 150)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "unblur", str(tmp_path / "in"), "-o", str(out)),
            *("--checkpoint", str(tiny_checkpoint), "--tile", "64"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A parent that ignores Ctrl-C, as background shells do, must not pass that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    deadline = time.monotonic() + 300
    while not (out.is_dir() and any(out.glob("*.png"))) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Interrupted: " in error
    assert "Traceback" not in error
    finished = list(out.iterdir())
    assert 0 < len(finished) < 300
    for path in finished:
        assert _pixels(path).shape == (150, 150, 3)


@pytest.mark.parametrize("former", FORMER_COMMANDS)
def test_a_former_command_names_its_experiment(former: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*former.split(), "photos", "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert f"`unblur {former}` has moved to `python -m experiments.{FORMER_COMMANDS[former]}`" in said
    assert said.count("\n") == 1
    assert (Path(__file__).parents[2] / "experiments" / f"{FORMER_COMMANDS[former]}.py").is_file()


@pytest.mark.parametrize("arguments", [["study"], ["study", "--help"], ["study", "nothing"]])
def test_studies_have_moved(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "`unblur study` has moved to `python -m experiments`" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--start-from", "--encoder=x.pth", "--hourglass_from"])
def test_renamed_options_are_named(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "glow", "--run", "run", option]) == 2
    assert "now; use that" in capsys.readouterr().err
    assert run(glow_ablation, ["gopro", option]) == 2
    assert "now; use that" in capsys.readouterr().err
