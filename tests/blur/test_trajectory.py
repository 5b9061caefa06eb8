"""Camera paths and the homographies they make."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from unblur.blur.trajectory import Kind, compute_displacements, compute_homographies, sample_path

DIRECTION = torch.tensor([0.3, -0.5, 0.1, 0.8, 0.2, -0.1])
KINDS: tuple[Kind, ...] = ("bezier", "walk", "pan", "tremor")


def path(kind: Kind, count: int, seed: int = 0) -> torch.Tensor:
    return sample_path(kind, DIRECTION, torch.linspace(0, 1, count), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_the_sharp_photograph_is_the_mean_of_the_exposure(kind: Kind) -> None:
    torch.testing.assert_close(path(kind, 33).mean(dim=0), torch.zeros(6), atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_can_be_resampled(kind: Kind) -> None:
    finely, coarsely = path(kind, 65)[::4], path(kind, 17)
    # Only the mean over the samples, which is taken off, may differ.
    torch.testing.assert_close(finely - finely[0], coarsely - coarsely[0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_paths_are_smooth_and_differ_by_seed(kind: Kind) -> None:
    poses = path(kind, 1001)
    steps = poses.diff(dim=0).norm(dim=1)
    assert steps.max() < 0.05 * (poses.amax(0) - poses.amin(0)).norm()
    assert not torch.allclose(poses, path(kind, 1001, seed=1))


def test_a_pan_is_nearly_straight() -> None:
    poses = path("pan", 101)
    along = poses @ (DIRECTION / DIRECTION.norm())
    across = (poses - along[:, None] * DIRECTION / DIRECTION.norm()).norm(dim=1)
    assert across.max() < 0.5 * (along.max() - along.min())


def test_homography_of_a_rotation_against_scipy() -> None:
    vector = [0.02, -0.03, 0.05]
    focal, centre = 700.0, (310.0, 190.0)
    calibration = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    expected = calibration @ Rotation.from_rotvec(vector).as_matrix() @ np.linalg.inv(calibration)
    ours = compute_homographies(torch.tensor([[*vector, 0.0, 0.0, 0.0]]), focal, centre)[0]
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-5)


def test_displacements_of_pure_motions() -> None:
    focal, centre = 500.0, (100.0, 50.0)
    points = torch.tensor([[100.0, 50.0], [150.0, 50.0]])
    shifted, zoomed, rolled = (
        compute_displacements(torch.tensor([pose]), focal, centre, points)[0]
        for pose in ([0.0, 0, 0, 0.01, 0, 0], [0.0, 0, 0, 0, 0, 0.25], [0.0, 0, 0.1, 0, 0, 0])
    )
    torch.testing.assert_close(shifted, torch.tensor([[5.0, 0.0], [5.0, 0.0]]), atol=1e-4, rtol=0)
    torch.testing.assert_close(zoomed, torch.tensor([[0.0, 0.0], [-10.0, 0.0]]), atol=1e-4, rtol=0)
    arc = [50 * (math.cos(0.1) - 1), 50 * math.sin(0.1)]
    torch.testing.assert_close(rolled, torch.tensor([[0.0, 0.0], arc]), atol=1e-4, rtol=0)
