"""Blurring again: what scipy makes of the same path, what the simulator made, and a slope towards the true one."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import shift

from unblur.blur import Camera
from unblur.blur.reblur import INSTANTS, reblur
from unblur.blur.undirected import to_undirected
from unblur.datasets import PhotoFolder, SimulatedPairs
from unblur.datasets.pair_files import read_rgb
from unblur.datasets.simulated import PatchSampling
from unblur.photos.color import linear_to_srgb, srgb_to_linear

SHARP = read_rgb(Path(__file__).parent.parent.parent / "examples" / "reds_sharp.png")[:, 100:196, 200:328].float() / 255


def path_of(start: tuple[float, float], end: tuple[float, float]) -> torch.Tensor:
    """(1, 4, 12, 16), the same everywhere."""
    ends = (torch.tensor(place, dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, 12, 16) for place in (start, end))
    return to_undirected(*ends)


def test_without_motion_nothing_changes() -> None:
    again, known = reblur(SHARP[None], torch.zeros(1, 4, 12, 16))
    assert torch.allclose(again[0], SHARP, atol=1e-5)
    assert known.all()


@pytest.mark.parametrize("angle_deg", [0, 37, 90, 150])
def test_a_straight_path_is_the_mean_of_what_scipy_shifts(angle_deg: float) -> None:
    half = np.array([math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))]) * 6
    again, known = reblur(SHARP[None], path_of(tuple(-half), tuple(half)))
    light = srgb_to_linear(SHARP).numpy()
    shares = (2 * np.arange(INSTANTS) + 1) / INSTANTS - 1
    observed = [shift(light, (0, -s * half[1], -s * half[0]), order=1, mode="nearest") for s in shares]
    expected = linear_to_srgb(torch.from_numpy(np.mean(observed, axis=0)).float())
    assert torch.allclose(again[0][:, 7:-7, 7:-7], expected[:, 7:-7, 7:-7], atol=1e-4)
    # And towards the border as far as all light is from inside.
    reach_x, reach_y = (math.ceil(round(abs(side) * (1 - 1 / INSTANTS), 6)) for side in half)
    rows, columns = (~known[0, 0]).all(1).sum(), (~known[0, 0]).all(0).sum()
    assert (int(rows), int(columns)) == (2 * reach_y, 2 * reach_x)


def test_a_bent_path_is_the_parabola_whose_mean_is_zero() -> None:
    """A ramp of light stays what it is, and a point is smeared from one end to the other, and past the middle."""
    columns = torch.arange(65.0).expand(65, 65)
    ramp = (0.2 + columns / 200).expand(1, 3, 65, 65)
    again, known = reblur(linear_to_srgb(ramp), path_of((-2, 8), (6, 8)))
    assert torch.allclose(srgb_to_linear(again)[known.expand_as(again)], ramp[known.expand_as(again)], atol=2e-3)
    point = torch.zeros(1, 3, 65, 65)
    point[..., 32, 32] = 1
    rows, columns = reblur(point, path_of((-6, 8), (6, 8)))[0][0, 0].nonzero().unbind(1)
    # Light comes from where the path leads, so a point leaves its mark on the other side of it.
    assert (int(columns.min()), int(columns.max())) == (32 - 6, 32 + 6)
    assert 32 - 8 <= int(rows.min()) <= 32 - 6
    assert int(rows.max()) == 32 + 4


def test_true_paths_make_what_the_simulator_made(photos: Path) -> None:
    camera = Camera(extent_px=(6.0, 14.0))
    simulated = SimulatedPairs(PhotoFolder(photos), camera, PatchSampling(patch_px=96, pristine_share=0), seed=5)
    errors = torch.zeros(2)
    for number in range(6):
        pair = simulated[number]
        ends = pair.fit_ends(8)
        again, known = reblur(pair.sharp[None], to_undirected(ends.start, ends.end)[None])
        where = known.expand_as(again)[0]
        errors += torch.stack([(observed - pair.blurry)[where].abs().mean() for observed in (again[0], pair.sharp)])
    assert errors[0] < errors[1] / 2


def test_the_slope_leads_to_the_true_path_also_from_nothing() -> None:
    truth = path_of((-5, -2), (5, 2))
    blurry, _ = reblur(SHARP[None], truth)
    for share in (0.0, 0.5, 0.8, 1.3):
        guess = (truth * share).requires_grad_()
        again, known = reblur(SHARP[None], guess)
        ((again - blurry).square() * known).mean().backward()
        assert guess.grad is not None
        assert bool(guess.grad.isfinite().all())
        if share:
            along = float((guess.grad[:, 2:] * truth[:, 2:]).sum())
            assert (along > 0) == (share > 1)
