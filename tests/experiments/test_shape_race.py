"""The race of shapes, at a size that shows that it works."""

import csv
import json
import shutil
from functools import partial
from pathlib import Path

import pytest
import torch

from experiments import shape_race
from experiments.learning import Learning, build_optimizers, compute_rate_share, find_stage, orthogonalize
from experiments.pack_patches import PATCHES_A_FILE, PackedPatches
from experiments.shape_race import Candidate, race
from experiments.shapes import Block, MergedConv2d, Shape, ShapedUNet
from unblur.datasets.validation import ValidationSet
from unblur.errors import UnblurError
from unblur.models import NAFNetConfig

TINY = Shape(channels=(8, 16), block="plain")


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """One file of packed patches of 32 px whose blurry half is the sharp one, a little darker."""
    import numpy as np

    folder = tmp_path / "patches"
    folder.mkdir()
    sharp = np.random.default_rng(0).integers(40, 255, (PATCHES_A_FILE, 3, 32, 32), dtype=np.uint8)
    np.save(folder / "patches-0000.npy", np.stack([sharp - 40, sharp], axis=1))
    return folder


@pytest.mark.parametrize("block", ["plain", "residual", "merged", "gate"])
@pytest.mark.parametrize("size", [(1, 1), (33, 50)])
def test_every_shape_begins_as_the_identity_of_any_size(block: Block, size: tuple[int, int]) -> None:
    blurry = torch.rand(1, 3, *size)
    with torch.no_grad():
        assert torch.equal(ShapedUNet(Shape(channels=(8, 16), block=block, large_blocks=1))(blurry), blurry)


def test_a_merged_convolution_is_the_sum_of_its_three_parts() -> None:
    layer, x = MergedConv2d(4), torch.rand(2, 4, 9, 7)
    with torch.no_grad():
        layer.point.normal_()
        apart = layer.square(x) + torch.einsum("oi,bihw->bohw", layer.point, x) + layer.identity.view(-1, 1, 1) * x
        torch.testing.assert_close(layer(x), apart)


def test_newton_schulz_makes_singular_values_near_one() -> None:
    matrix = torch.randn(12, 40, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix))
    assert 0.5 < values.min() < values.max() < 1.5


@pytest.mark.parametrize("optimizer", ["adamw", "muon", "schedule-free"])
def test_every_optimizer_makes_a_small_loss_smaller(optimizer: str) -> None:
    torch.manual_seed(0)
    model = ShapedUNet(TINY)
    blurry, sharp = torch.rand(2, 2, 3, 16, 16).unbind(0)
    chosen = build_optimizers(Learning(optimizer=optimizer, muon_peak=1e-2), model)  # type: ignore[arg-type]

    def loss() -> torch.Tensor:
        return (model(blurry) - sharp).square().mean()

    before = loss().item()
    for _ in range(20):
        model.zero_grad()
        loss().backward()
        for one, _ in chosen:
            one.step()
    assert loss().item() < 0.95 * before


def test_rates_rise_and_fall_and_patches_grow_with_the_time() -> None:
    learning = Learning(decay=0.2, warmup=0.1, stages=((0.0, 64, 4), (0.5, 128, 1)))
    assert compute_rate_share(learning, 0) < 0.1
    assert compute_rate_share(learning, 0.5) == compute_rate_share(learning, 0.75) == 1
    assert compute_rate_share(learning, 1) == pytest.approx(0, abs=1e-9)
    assert find_stage(learning, 0.49) == (64, 4)
    assert find_stage(learning, 0.5) == (128, 1)


@pytest.mark.slow
def test_a_race_measures_each_candidate_once(
    photos: Path, patches: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = Learning(stages=((0.0, 32, 2),))
    nafnet = NAFNetConfig(width=4, encoder_blocks=(1,), middle_blocks=1, decoder_blocks=(1,), stem_stride=2)
    candidates = (
        Candidate(name="plain", network=TINY, learning=learning),
        Candidate(name="nafnet", network=nafnet, learning=learning),
    )
    monkeypatch.setattr(shape_race, "CANDIDATES", candidates)
    monkeypatch.setattr(shape_race, "ValidationSet", partial(ValidationSet, size_px=64))
    # Four photographs have pairs of all severities among every fifth.
    for number, photo in enumerate(sorted(photos.iterdir())[:1] * 4):
        shutil.copy(photo, photos / f"copy{number}{photo.suffix}")
    out = tmp_path / "out"

    def run(*only: str) -> None:
        race(patches=patches, held_out=photos, output=out, seconds=0.3, only=only)

    run("plain")
    row = json.loads((out / "plain.json").read_text())
    assert row["steps"] > 1
    run()
    assert json.loads((out / "plain.json").read_text()) == row
    rows = list(csv.DictReader((out / "shape_race.csv").read_text().splitlines()))
    assert {one["name"] for one in rows} == {"plain", "nafnet"}
    assert all(one["name"] in (out / "shape_race.md").read_text() for one in rows)
    with pytest.raises(UnblurError, match="no candidate slow"):
        run("slow")


def test_a_folder_without_patches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnblurError, match="no packed patches"):
        PackedPatches(tmp_path)
