"""Each protocol belongs to a data set, and ignores certain differences between pictures and no others."""

import math

import pytest
import torch
from torch import Tensor

from unblur.datasets.catalogue import CATALOGUE
from unblur.errors import UnblurError
from unblur.evaluation.protocol import (
    BSD,
    LEVIN,
    NO_REFERENCE,
    PAIRS,
    PROTOCOLS,
    REALBLUR,
    REDS,
    REDS_JPEG,
    RSBLUR,
    Protocol,
    choose_protocol,
    find_protocol,
)
from unblur.metrics import psnr, ssim, ssim_3d

ALIGNING = [REALBLUR, RSBLUR, BSD, LEVIN]


@pytest.fixture(scope="module")
def scene() -> Tensor:
    """(3, 100, 120) in eight bits, with detail of a few pixels."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 30, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, (100, 120), mode="bicubic").clamp(0, 1)[0]
    return (smooth * 255).round() / 255


@pytest.mark.parametrize(
    "protocol", [p for p in PROTOCOLS if p.alignment is None and p.needs_sharp], ids=lambda p: p.name
)
def test_without_alignment_the_numbers_equal_the_plain_metrics(protocol: Protocol, scene: Tensor) -> None:
    other = (scene + 0.05).clamp(0, 1)
    numbers, aligned = protocol.scores(other, scene, "after")
    assert aligned == "no"
    # What the tables quote that a protocol serves; see its source.
    quoted = {"ssim_3d": ssim_3d} if protocol.name in ("gopro", "hide", "reds-jpeg") else {"ssim": ssim}
    assert numbers == {
        "psnr_after_db": float(psnr(other[None], scene[None])),
        **{f"{name}_after": float(measure(other[None], scene[None])) for name, measure in quoted.items()},
    }


@pytest.mark.parametrize("protocol", ALIGNING, ids=lambda p: p.name)
def test_aligning_protocols_undo_a_shift_and_report_the_plain_number_too(protocol: Protocol, scene: Tensor) -> None:
    moved = scene.roll((2, -3), (1, 2))
    numbers, aligned = protocol.scores(moved, scene, "before")
    assert aligned == "yes"
    assert list(numbers) == ["psnr_before_db", "ssim_before", "unaligned_psnr_before_db"]
    assert numbers["unaligned_psnr_before_db"] == float(psnr(moved[None], scene[None]))
    assert numbers["psnr_before_db"] > numbers["unaligned_psnr_before_db"] + 5


@pytest.mark.parametrize(("protocol", "forgiving"), [(REALBLUR, True), (LEVIN, False), (PAIRS, False)])
def test_only_realblur_matches_brightness(protocol: Protocol, forgiving: bool, scene: Tensor) -> None:
    numbers, _ = protocol.scores(0.8 * scene, scene, "after")
    assert (numbers["psnr_after_db"] > 60) == forgiving


def test_rsblur_clips_after_matching_the_brightness(scene: Tensor) -> None:
    # Half as bright and cut off at a third: doubled by the match, the lights go beyond white.
    picture = torch.where(scene > 0.9, 0.7, 0.5 * scene)
    limited, _ = RSBLUR.scores(picture, scene, "after")
    unlimited, _ = REALBLUR.scores(picture, scene, "after")
    assert limited["psnr_after_db"] > unlimited["psnr_after_db"]


def test_pictures_that_cannot_be_aligned_are_measured_without_alignment(scene: Tensor) -> None:
    numbers, aligned = REALBLUR.scores(torch.full_like(scene, 0.5), scene, "after")
    assert aligned == "failed"
    assert math.isfinite(numbers["psnr_after_db"])


def test_levin_refuses_pictures_smaller_than_its_borders(scene: Tensor) -> None:
    small = scene[:, :41, :41]
    with pytest.raises(UnblurError, match="41 x 41 has too little left"):
        LEVIN.scores(small, small, "after")


def test_protocols_are_found_by_name_and_title_and_have_one_each() -> None:
    titles = [protocol.title for protocol in PROTOCOLS]
    assert len(set(titles)) == len(titles)
    for protocol in PROTOCOLS:
        assert find_protocol(protocol.name) is find_protocol(protocol.title) is protocol
    with pytest.raises(UnblurError, match="There is no protocol gropo; the names are pairs, gopro"):
        find_protocol("gropo")


def test_every_data_set_has_its_protocol() -> None:
    usual = {one.name: choose_protocol(one.name, one.measured, has_sharp=one.ground_truth).name for one in CATALOGUE}
    assert usual == {
        "gopro": "gopro",
        "hide": "hide",
        "reds": "reds",
        "realblur-j": "realblur",
        "realblur-r": "realblur",
        "bsd": "bsd",
        "rsblur": "rsblur",
        "gs-blur": "pairs",
        "rwbi": "no-reference",
        "koehler": "koehler",
        "levin": "levin",
        "simulated": "pairs",
        "folder": "pairs",
    }
    assert choose_protocol("reds", ["val-jpeg-300"], has_sharp=True) is REDS_JPEG
    assert choose_protocol("reds", ["val-300"], has_sharp=True) is REDS
    assert choose_protocol("folder", ["all"], has_sharp=False) is NO_REFERENCE
