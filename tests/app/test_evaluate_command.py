"""`unblur evaluate` and `unblur tables`, as people type them."""

import csv
import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from unblur.app.cli import main
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Write six pairs of 96 x 128 in two groups."""
    folder = tmp_path / "pairs"
    for kind in ("sharp", "blurry"):
        (folder / kind).mkdir(parents=True)
    for number in range(6):
        coarse = np.random.default_rng(number).integers(0, 255, (12, 16, 3), dtype=np.uint8)
        sharp = coarse.repeat(8, 0).repeat(8, 1)
        blurry = np.mean([np.roll(sharp, shift, 1) for shift in range(3)], axis=0).astype(np.uint8)
        name = f"{'light' if number < 3 else 'severe'}_{number}.png"
        write_photo(Photo(pixels=sharp), folder / "sharp" / name)
        write_photo(Photo(pixels=blurry), folder / "blurry" / name)
    return folder


def rows_in(table: Path) -> list[dict[str, str]]:
    with table.open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        del row["seconds"]
    return rows


def test_every_row_has_its_conditions(pairs: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(pairs), "--checkpoint", str(tiny_checkpoint), "--device", "cpu", "--csv", str(tmp_path)]
    assert main(command) == 0
    rows = rows_in(tmp_path / "pairs.csv")
    assert len(rows) == 6
    assert {(row["protocol"], row["method"], row["precision"]) for row in rows} <= {
        ("pairs-v1", "network", "float32"),
        ("pairs-v1", "network", "bfloat16"),
    }
    for column in ("checkpoint", "torch", "unblur", "tile_px", "pooling_window_px", "device", "pictures"):
        assert rows[0][column], column
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.slow
def test_workers_change_nothing_but_the_seconds(pairs: Path, tiny_checkpoint: Path, tmp_path: Path) -> None:
    command = [
        "evaluate",
        str(pairs),
        "--checkpoint",
        str(tiny_checkpoint),
        "--device",
        "cpu",
        "--protocol",
        "realblur",
    ]
    assert main([*command, "--csv", str(tmp_path / "one")]) == 0
    assert main([*command, "--csv", str(tmp_path / "two"), "--workers", "2"]) == 0
    one, two = (rows_in(tmp_path / folder / "pairs-realblur.csv") for folder in ("one", "two"))
    assert one == two
    assert {row["aligned_after"] for row in one} <= {"yes", "failed"}


@pytest.mark.slow
def test_the_same_command_continues_after_a_kill(
    pairs: Path, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(pairs), "--checkpoint", str(tiny_checkpoint), "--device", "cpu", "--protocol", "levin"]
    assert main([*command, "--csv", str(tmp_path / "undisturbed")]) == 0
    command += ["--csv", str(tmp_path / "killed")]
    partial = tmp_path / "killed" / "pairs-levin.csv.partial"
    process = subprocess.Popen([sys.executable, "-m", "unblur", *command], stdout=subprocess.DEVNULL)
    while not (partial.is_file() and partial.read_bytes().count(b"\n") >= 3):
        assert process.poll() is None, "it was done before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not partial.with_suffix("").exists()
    done = partial.read_bytes().count(b"\n") - 1
    assert main(command) == 0
    assert f"has {done} of 6 images; going on" in capsys.readouterr().err
    assert rows_in(tmp_path / "killed" / "pairs-levin.csv") == rows_in(tmp_path / "undisturbed" / "pairs-levin.csv")
    assert not partial.exists()


def test_images_are_not_measured_twice(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", str(pairs), "--method", "unsharp", "--csv", str(tmp_path)]
    assert main(command) == 0
    first = capsys.readouterr()
    table = tmp_path / "pairs-unsharp.csv"
    written = table.read_text()
    assert main(command) == 0
    second = capsys.readouterr()
    assert "delete it to measure again" in second.err
    assert second.out == first.out
    assert table.read_text() == written
    table.write_text("another file\n")
    assert main(command) == 0
    assert len(rows_in(table)) == 6


METRICS = ["--metrics", "niqe", "brisque", "piqe", "ssim-3d"]


def test_chosen_metrics_are_columns_of_the_csv_and_of_the_table(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", str(pairs), "--method", "unsharp", "--csv", str(tmp_path)]
    assert main([*command, *METRICS]) == 0
    printed = capsys.readouterr()
    # Of pictures of 96 x 128 NIQE wants more.
    assert "niqe_before is missing for 6 of 6 images, which are too small or too flat for it." in printed.err
    assert "| NIQE before | NIQE after | BRISQUE before | BRISQUE after | PIQE before |" in printed.out
    rows = rows_in(tmp_path / "pairs-unsharp.csv")
    assert {row["metrics"] for row in rows} == {"niqe brisque piqe ssim-3d"}
    assert {row["niqe_after"] for row in rows} == {""}
    assert all(float(row["brisque_before"]) != float(row["brisque_after"]) for row in rows)
    # A run with the usual metrics alone is another one.
    assert main(command) == 0
    assert "delete it to measure again" not in capsys.readouterr().err
    assert "niqe_after" not in rows_in(tmp_path / "pairs-unsharp.csv")[0]


@pytest.mark.slow
def test_chosen_metrics_and_functions_by_processes_and_after_a_stop(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "darker_by_one.py").write_text("def restore(blurry):\n    return blurry - (blurry > 0)\n")
    monkeypatch.chdir(tmp_path)
    command = ["evaluate", str(pairs), "--method", "darker_by_one:restore", *METRICS]
    assert main([*command, "--csv", "one"]) == 0
    whole = rows_in(tmp_path / "one" / "pairs-darker_by_one.restore.csv")
    assert whole[0]["method"] == "darker_by_one.restore"
    assert len(whole[0]["checkpoint"]) == 64
    assert main([*command, "--csv", "two", "--workers", "2"]) == 0
    assert rows_in(tmp_path / "two" / "pairs-darker_by_one.restore.csv") == whole
    # As a kill leaves it: some rows, the last cut short.
    lines = (tmp_path / "one" / "pairs-darker_by_one.restore.csv").read_text().splitlines(keepends=True)
    partial = tmp_path / "three" / "pairs-darker_by_one.restore.csv.partial"
    partial.parent.mkdir()
    partial.write_text("".join(lines[:3]) + lines[3][:40])
    capsys.readouterr()
    assert main([*command, "--csv", "three"]) == 0
    assert "has 2 of 6 images; going on" in capsys.readouterr().err
    assert rows_in(tmp_path / "three" / "pairs-darker_by_one.restore.csv") == whole
    partial.write_text("".join(lines[:3]))
    assert main([*command[:-4], "ssim-3d", "--csv", "three"]) == 2
    assert "was begun with another metrics, niqe brisque piqe ss and not ssim-3d" in capsys.readouterr().err


def test_peers_are_compared_in_one_table(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for method in ("identity", "unsharp", str(pairs / "sharp")):
        assert main(["evaluate", str(pairs), "--method", method, "--csv", str(tmp_path)]) == 0
    files = [str(tmp_path / f"pairs-{method}.csv") for method in ("identity", "unsharp", "sharp")]
    capsys.readouterr()
    assert main(["tables", *files, "--format", "csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["method"] for line in lines] == ["identity", "unsharp", "sharp"]
    assert lines[0]["gain dB"] == "+0.00"
    assert lines[2]["PSNR after"] == "inf"
    assert main(["tables", *files, "--format", "latex"]) == 0
    assert r"\toprule" in capsys.readouterr().out


def test_tables_prints_the_table_of_the_evaluation(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(pairs), "--method", "unsharp", "--csv", str(tmp_path)]) == 0
    table = capsys.readouterr().out.partition("\n\n")[2].strip()
    assert main(["tables", str(tmp_path / "pairs-unsharp.csv")]) == 0
    assert capsys.readouterr().out.strip() == table
    assert "| light | 3 |" in table


def test_restored_pictures_are_saved_and_the_worst_are_shown(pairs: Path, tmp_path: Path) -> None:
    command = ["evaluate", str(pairs), "--method", "unsharp", "--csv", str(tmp_path)]
    assert main(command) == 0
    first = rows_in(tmp_path / "pairs-unsharp.csv")
    saved_folder = tmp_path / "saved"
    # Measured before, but not saved: so it is measured again.
    assert main([*command, "--restored", str(saved_folder)]) == 0
    assert len(list((saved_folder / "pairs").glob("*.png"))) == 6
    assert (
        main(["evaluate", str(pairs), "--method", str(saved_folder / "pairs"), "--csv", str(tmp_path / "again")]) == 0
    )
    (table,) = (tmp_path / "again").iterdir()
    assert [row["psnr_after_db"] for row in rows_in(table)] == [row["psnr_after_db"] for row in first]
    show = ["tables", str(table), "--worst", str(tmp_path / "worst.png"), "--plots", str(tmp_path / "plots")]
    assert main([*show, "--pictures", str(pairs), "--restored", str(saved_folder / "pairs")]) == 0
    assert (tmp_path / "worst.png").stat().st_size > 10_000
    assert {file.name for file in (tmp_path / "plots").iterdir()} == {"gain.png", "images.png"}
    assert main([*show, "--pictures", str(pairs)]) == 2
    files = {row["image"] for row in rows_in(table)}
    one = min(files)
    best = ["tables", str(table), "--best", str(tmp_path / "best.jpg"), "--pictures", str(pairs)]
    assert main([*best, "--restored", str(saved_folder / "pairs"), "--images", f"{one[:-1]}*"]) == 0
    assert (tmp_path / "best.jpg").stat().st_size > 1000
    assert main([*best, "--restored", str(saved_folder / "pairs"), "--images", "nothing*"]) == 2


def test_photographs_without_twins_need_no_reference(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "alone"
    alone.mkdir()
    (pairs / "blurry").rename(alone / "blurry")
    assert main(["evaluate", str(alone), "--method", "unsharp"]) == 0
    assert "protocol no-reference-v2" in capsys.readouterr().out
    assert main(["evaluate", str(alone), "--method", "unsharp", "--protocol", "gopro"]) == 2
    assert "--protocol no-reference" in capsys.readouterr().err


@pytest.fixture
def rsblur(pairs: Path, tmp_path: Path) -> Path:
    """Write three of the pairs as the test set of RSBlur, one of them saturated."""
    root = tmp_path / "RSBlur-root"
    lines = []
    for number, pair in enumerate(sorted((pairs / "blurry").iterdir())[:3]):
        scene = Path(f"RSBlur/0001/{number:06}")
        for side, file in (("blurry", "real_blur/real_blur.png"), ("sharp", "gt/gt_sharp.png")):
            (root / scene / file).parent.mkdir(parents=True)
            (root / scene / file).write_bytes((pairs / side / pair.name).read_bytes())
        lines.append(f"{scene.as_posix()}/gt/gt_sharp.png {scene.as_posix()}/real_blur/real_blur.png\n")
    (root / "RSBlur_real_test.txt").write_text("".join(lines))
    (root / "RSBlur_real_test_saturation.txt").write_text(lines[0])
    (root / "RSBlur_real_test_non_saturation.txt").write_text("".join(lines[1:]))
    return root


def test_rsblur_is_reported_in_parts_and_with_published_results(
    rsblur: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(rsblur), "--method", "identity", "--csv", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    summary, _, published = said.partition("Published for RSBlur, and measured here, sorted by PSNR:")
    assert "RSBlur test, 3 of 3360 pairs, protocol rsblur-v1" in summary
    counts = [line.split("|")[1:3] for line in summary.splitlines() if line.startswith("| ")][1:]
    assert [[cell.strip() for cell in line] for line in counts] == [
        ["saturated", "1"],
        ["not saturated", "2"],
        ["all", "3"],
    ]
    assert [row["part"] for row in rows_in(tmp_path / "RSBlur-root-identity.csv")] == [
        "saturated",
        "not saturated",
        "not saturated",
    ]
    assert "| Restormer | RSBlur | 33.69 | 0.8628 | published by others | [" in published
    assert "Measured here, but not comparable: 3 of 3360 pictures." in published
    # The same from the CSV, on demand and in every form.
    table = str(tmp_path / "RSBlur-root-identity.csv")
    assert main(["tables", table]) == 0
    assert "published" not in capsys.readouterr().out
    assert main(["tables", table, "--published"]) == 0
    assert published.strip() in capsys.readouterr().out
    for form, line in (("latex", r"33.69 & 0.8628 & published by others"), ("csv", "33.69,0.8628,published by others")):
        assert main(["tables", table, "--published", "--format", form]) == 0
        assert line in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["evaluate", "{}", "--protocol", "none"], "There is no protocol none"),
        (["evaluate", "{}", "--method", "none"], "There is no method none"),
        (["evaluate", "{}", "--method", "{}/none.onnx"], "There is no ONNX model at"),
        (["evaluate", "{}", "--method", "maxim"], "has moved to experiments.baselines.maxim:load"),
        (["evaluate", "{}", "--method", "identity", "--metrics", "none"], "There is no metric none"),
        (["evaluate", "{}", "--method", "identity", "--metrics", "lpips"], "--lpips-weights"),
        (["evaluate", "{}", "--method", "identity", "--workers", "0"], "at least 1"),
        (["evaluate", "--method", "identity"], "at least one folder"),
        (["tables", "{}/none.csv"], "cannot be read"),
        (["tables"], "nothing to tabulate"),
    ],
)
def test_errors_are_reported_in_one_sentence(
    pairs: Path, command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word.format(pairs) for word in command]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
