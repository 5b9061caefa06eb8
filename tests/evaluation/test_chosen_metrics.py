"""Metrics beside a protocol's own: the plain functions, after the protocol's alignment, with gaps where they fail."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from unblur.datasets import Pair
from unblur.datasets.pair_files import read_rgb
from unblur.errors import UnblurError
from unblur.evaluation.chosen_metrics import NAMES, MetricChoice, open_metrics
from unblur.evaluation.measure import measure
from unblur.evaluation.protocol import GOPRO, NO_REFERENCE, PAIRS, REALBLUR
from unblur.evaluation.row import Row, from_csv, to_csv
from unblur.evaluation.tables import compare_runs, summarise
from unblur.metrics import brisque, ms_ssim, niqe, piqe, psnr, ssim
from unblur.metrics.lpips import alexnet_end
from unblur.metrics.st_lpips import load_st_lpips

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    """A blurry and a sharp crop, (3, 192, 224)."""
    blurry, sharp = (read_rgb(EXAMPLES / f"reds_{kind}.png")[:, 100:292, 200:424] / 255 for kind in ("blurry", "sharp"))
    return blurry, sharp


def choice(*names: str) -> MetricChoice:
    return MetricChoice(names=names)


def test_the_numbers_equal_the_metrics(pair: tuple[Tensor, Tensor]) -> None:
    blurry, sharp = pair
    opened = open_metrics(choice("psnr", "ms-ssim", "niqe", "brisque", "piqe", "ms-ssim"), PAIRS)
    assert opened.summary == "ms-ssim niqe brisque piqe"
    numbers, aligned = PAIRS.scores(blurry, sharp, "before", opened.metrics)
    assert aligned == "no"
    assert numbers == {
        "psnr_before_db": float(psnr(blurry[None], sharp[None])),
        "ssim_before": float(ssim(blurry[None], sharp[None])),
        "ms_ssim_before": float(ms_ssim(blurry[None], sharp[None])),
        "niqe_before": float(niqe(blurry[None])),
        "brisque_before": float(brisque(blurry[None])),
        "piqe_before": float(piqe(blurry[None])),
    }


def test_the_metrics_of_a_protocol_are_always_measured() -> None:
    assert open_metrics(choice("psnr", "ssim-3d"), GOPRO).metrics == ()
    assert [metric.name for metric in open_metrics(choice("ssim"), GOPRO).metrics] == ["ssim"]
    assert open_metrics(choice("niqe", "piqe"), NO_REFERENCE).summary == ""


def test_full_reference_metrics_use_aligned_pictures_and_no_reference_ones_do_not(pair: tuple[Tensor, Tensor]) -> None:
    _, sharp = pair
    moved = sharp.roll((2, -3), (1, 2))
    also = open_metrics(choice("ms-ssim", "niqe"), REALBLUR).metrics
    numbers, aligned = REALBLUR.scores(moved, sharp, "after", also)
    assert aligned == "yes"
    assert list(numbers) == ["psnr_after_db", "ssim_after", "unaligned_psnr_after_db", "ms_ssim_after", "niqe_after"]
    assert numbers["ms_ssim_after"] > float(ms_ssim(moved[None], sharp[None])) + 0.05
    assert numbers["niqe_after"] == float(niqe(moved[None]))


def test_st_lpips_is_named_with_its_weights(pair: tuple[Tensor, Tensor]) -> None:
    pytest.importorskip("stlpips_pytorch")
    blurry, sharp = pair
    opened = open_metrics(choice("st-lpips"), PAIRS)
    name, digits = opened.summary.split(":")
    assert (name, len(digits)) == ("st-lpips", 12)
    numbers, _ = PAIRS.scores(blurry, sharp, "before", opened.metrics)
    assert numbers["st_lpips_before"] == float(load_st_lpips("alex")(blurry[None], sharp[None]))
    assert PAIRS.scores(sharp, sharp, "before", opened.metrics)[0]["st_lpips_before"] == 0


def test_lpips_is_measured_with_the_weights_that_are_given(tmp_path: Path, pair: tuple[Tensor, Tensor]) -> None:
    blurry, sharp = pair
    first = (torch.nn.Conv2d(3, 64, 11), torch.nn.Conv2d(64, 192, 5))
    last = [layer for layer in alexnet_end() if isinstance(layer, torch.nn.Conv2d)]
    backbone = {
        f"features.{place}.{name}": value
        for place, layer in zip((0, 3, 6, 8, 10), (*first, *last), strict=True)
        for name, value in layer.state_dict().items()
    }
    heads = {
        f"lin{place}.model.1.weight": torch.rand(1, count, 1, 1) for place, count in enumerate((64, 192, 384, 256, 256))
    }
    torch.save(backbone, tmp_path / "backbone.pth")
    torch.save(heads, tmp_path / "heads.pth")
    given = replace(choice("lpips"), lpips_weights=(str(tmp_path / "backbone.pth"), str(tmp_path / "heads.pth")))
    opened = open_metrics(given, PAIRS)
    assert PAIRS.scores(blurry, sharp, "before", opened.metrics)[0]["lpips_before"] > 0
    torch.save({name: 2 * value for name, value in heads.items()}, tmp_path / "heads.pth")
    assert open_metrics(given, PAIRS).summary != opened.summary
    with pytest.raises(UnblurError, match="No weights at nowhere"):
        open_metrics(replace(given, lpips_weights=("nowhere", "nowhere")), PAIRS)


@pytest.mark.parametrize(
    ("names", "protocol", "said"),
    [
        (("nique",), PAIRS, "There is no metric nique; the names are psnr, ssim, ssim-3d"),
        (("lpips",), PAIRS, "--lpips-weights, or measure st-lpips"),
        (("niqe", "psnr"), NO_REFERENCE, "psnr compares with sharp twins, which the protocol no-reference-v2 does"),
    ],
)
def test_unavailable_metrics_are_reported(names: tuple[str, ...], protocol: object, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        open_metrics(choice(*names), protocol)  # type: ignore[arg-type]
    assert set(names) - {"nique"} <= set(NAMES)


def rows(*sizes: tuple[int, int]) -> list[Row]:
    """Measured with NIQE, which needs two blocks of 96 x 96."""
    found = []
    for number, (height, width) in enumerate(sizes):
        sharp = torch.rand(3, height, width, generator=torch.Generator().manual_seed(number))
        (row,) = measure([Pair(blurry=sharp, sharp=sharp, name=f"{number}.png")], lambda pixels: pixels, "hash")
        (metric,) = open_metrics(choice("niqe"), PAIRS).metrics
        scores = {
            f"niqe_{when}": PAIRS.scores(sharp, sharp, when, [metric])[0][f"niqe_{when}"]
            for when in ("before", "after")
        }
        found.append(replace(row, scores={**row.scores, **scores}))
    return found


def test_a_picture_that_is_too_small_leaves_a_gap() -> None:
    small, large = rows((100, 100), (96, 192))
    assert math.isnan(small.scores["niqe_after"])
    text = to_csv([small, large])
    header, first, _ = (line.split(",") for line in text.splitlines())
    assert first[header.index("niqe_after")] == ""
    assert to_csv(from_csv(text)) == text
    assert math.isnan(from_csv(text)[0].scores["niqe_after"])
    table = summarise([small, large])
    cells = dict(zip(table.header, table.lines[-1], strict=True))
    assert cells["NIQE after"] == f"{large.scores['niqe_after']:.2f} (1)"
    assert cells["n"] == "2"
    (line,) = compare_runs([[small]]).lines
    assert "-" in line[-5:]


def test_tables_of_earlier_versions_are_read() -> None:
    (row,) = rows((96, 192))
    lines = [line.split(",") for line in to_csv([row]).splitlines()]
    later = [lines[0].index(name) for name in ("runtime", "metrics")]
    old = "".join(",".join(cell for place, cell in enumerate(line) if place not in later) + "\n" for line in lines)
    (read,) = from_csv(old)
    assert read.conditions == row.conditions
    without_torch = old.replace(",torch,", ",tortoise,")
    with pytest.raises(UnblurError, match="is not a CSV of `unblur evaluate`"):
        from_csv(without_torch)
