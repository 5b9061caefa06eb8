"""Samples camera-shake paths: six numbers a pose, as smooth functions of the time within the exposure.

A pose is (rotation x, y, z in radians; translation x, y, z in units of the scene's distance). The mean pose of
the exposure is zero: the sharp photograph is the image of a still camera in the middle of the movement.

Not the pose at half time, which GS-Blur takes: a hand that rests at one end of its path leaves most of the light
there, and no photograph tells when it was where. What a photograph does tell is the blur's centre of mass, to
which RealBlur (Rim et al. 2020) aligns its pairs too.
"""

import math
from typing import Literal

import torch
from torch import Tensor

Kind = Literal["bezier", "walk", "pan", "tremor"]

_WALK_TERMS = 6
_MAX_BEZIER_ORDER = 4


def sample_path(kind: Kind, direction: Tensor, times: Tensor, generator: torch.Generator) -> Tensor:
    """Poses at `times` in [0, 1] of one path along `direction` (6,), unscaled, of mean zero. Shape: (T,) -> (T, 6).

    Draws the same number of random values whatever `times` is, so a path can be resampled more finely.
    """
    path: _Bezier | _Walk | _Pan | _Tremor
    match kind:
        case "bezier":
            path = _Bezier(direction, generator)
        case "walk":
            path = _Walk(direction, generator)
        case "pan":
            path = _Pan(direction, generator)
        case "tremor":
            path = _Tremor(direction, generator)
    poses = path(times)
    return poses - poses.mean(dim=0)


class _Bezier:
    """Bezier curve of random order through jittered points on a line: the recipe of GS-Blur (Lee et al. 2024)."""

    def __init__(self, direction: Tensor, generator: torch.Generator) -> None:
        order = int(torch.randint(1, _MAX_BEZIER_ORDER + 1, (), generator=generator))
        jitter = torch.rand(_MAX_BEZIER_ORDER + 1, 6, generator=generator)[: order + 1] * 2 - 1
        rotation, translation = direction[:3].norm(), direction[3:].norm()
        reach = torch.cat([rotation.expand(3) / 6, translation.expand(3) / 3])
        weight = (torch.arange(order + 1) - order / 2) / order
        self.order = order
        self.control = weight[:, None] * direction + jitter * reach

    def __call__(self, t: Tensor) -> Tensor:
        i = torch.arange(self.order + 1)
        binomial = torch.tensor([float(math.comb(self.order, int(k))) for k in i])
        bernstein = binomial * t[:, None] ** i * (1 - t[:, None]) ** (self.order - i)
        path: Tensor = bernstein @ self.control
        return path


class _Walk:
    """Smoothed random walk: the first terms of the Karhunen-Loeve expansion of Brownian motion on [0, 1]."""

    def __init__(self, direction: Tensor, generator: torch.Generator) -> None:
        normal = torch.randn(_WALK_TERMS, 6, generator=generator)
        self.frequency = (torch.arange(_WALK_TERMS) + 0.5) * math.pi
        # The walk wanders in every axis, most along the drawn direction.
        spread = 0.35 * direction.norm() / math.sqrt(6) + direction.abs()
        self.weight = math.sqrt(2) * normal * spread / self.frequency[:, None]

    def __call__(self, t: Tensor) -> Tensor:
        path: Tensor = torch.sin(t[:, None] * self.frequency) @ self.weight
        return path


class _Pan:
    """Constant speed along a line; nobody pans perfectly, so a tenth of the movement is a walk."""

    def __init__(self, direction: Tensor, generator: torch.Generator) -> None:
        self.direction = direction
        self.walk = _Walk(direction, generator)

    def __call__(self, t: Tensor) -> Tensor:
        path: Tensor = self.direction * (t - 0.5)[:, None] + 0.1 * self.walk(t)
        return path


class _Tremor:
    """Hand tremor over a slow drift, as accelerometers measure it in people who hold a still object.

    Physiological tremor is a band of 8 to 12 Hz (Elble and Koller 1990, "Tremor"); breathing, heartbeat and muscle
    drift lie below 2 Hz and are larger: displacement falls about with the square of frequency. The exposure lasts
    1/30 s to 1 s, for shorter ones a path is as good as straight.
    """

    def __init__(self, direction: Tensor, generator: torch.Generator) -> None:
        uniform = torch.rand(3, generator=generator)
        phase = torch.rand(9, 6, generator=generator) * 2 * math.pi
        normal = torch.randn(9, 6, generator=generator)
        exposure_s = float(30 ** (uniform[0] - 1))
        hertz = torch.cat([torch.linspace(0.4, 2, 5), torch.linspace(8, 12, 4)])
        # The tremor's share of the drift's amplitude differs between hands.
        amplitude = torch.cat([hertz[:5] ** -2.0, (0.02 + 0.1 * uniform[1]).expand(4)])
        spread = 0.35 * direction.norm() / math.sqrt(6) + direction.abs()
        self.turns = 2 * math.pi * hertz * exposure_s
        self.phase = phase
        self.weight = normal * amplitude[:, None] * spread

    def __call__(self, t: Tensor) -> Tensor:
        waves = torch.sin(t[:, None, None] * self.turns[:, None] + self.phase)
        path: Tensor = (waves * self.weight).sum(dim=1)
        return path


def compute_homographies(
    poses: Tensor, focal_px: float, principal: tuple[float, float], disparity: float = 1.0
) -> Tensor:
    """Return, for each pose, the homography from a pixel to its origin in the sharp photograph.

    H = K (R + d t n^T) K^-1 for a scene plane facing the camera at distance 1/d (Hartley and Zisserman, 13.1).
    `principal` is (x, y) in pixels. Shape: (T, 6) -> (T, 3, 3), acting on (x, y, 1) in pixels.
    """
    # float64: a pixel coordinate of thousands times an angle of millionths leaves float32 no digits.
    poses = poses.double()
    rx, ry, rz = poses[:, 0], poses[:, 1], poses[:, 2]
    zero = torch.zeros_like(rx)
    skew = torch.stack([zero, -rz, ry, rz, zero, -rx, -ry, rx, zero], dim=1).view(-1, 3, 3)
    motion = torch.matrix_exp(skew)
    motion[:, :, 2] += disparity * poses[:, 3:]
    k = compute_calibration(focal_px, principal)
    maps: Tensor = k @ motion @ torch.linalg.inv(k)
    return maps


def compute_calibration(focal_px: float, principal: tuple[float, float]) -> Tensor:
    """The camera's matrix K: rays (x, y, 1) to pixels. Shape: (3, 3), float64."""
    x, y = principal
    return torch.tensor([[focal_px, 0, x], [0, focal_px, y], [0, 0, 1]], dtype=torch.float64)


def compute_displacements(
    poses: Tensor, focal_px: float, principal: tuple[float, float], points: Tensor, disparity: float = 1.0
) -> Tensor:
    """Pixel offsets of `points` (N, 2) as (x, y) at every pose. Shape: (T, 6) -> (T, N, 2)."""
    points = points.double()
    homogeneous = torch.cat([points, torch.ones(len(points), 1, dtype=torch.float64)], dim=1)
    moved = torch.einsum("tij,nj->tni", compute_homographies(poses, focal_px, principal, disparity), homogeneous)
    return (moved[..., :2] / moved[..., 2:] - points).float()
