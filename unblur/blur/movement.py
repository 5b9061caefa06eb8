"""Draws movements: paths of a kind, scaled to a blur extent in pixels."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from unblur.blur.matte import Frame
from unblur.blur.trajectory import Kind, compute_displacements, sample_path

_FEWEST_POSES = 5


@dataclass(frozen=True, kw_only=True)
class Lens:
    """Turns poses into pixels."""

    focal_px: float
    height: int
    width: int

    @property
    def principal_px(self) -> tuple[float, float]:
        """The middle of the frame, (x, y)."""
        return (self.width - 1) / 2, (self.height - 1) / 2

    @property
    def frame(self) -> Frame:
        """The frame itself, not cropped."""
        return Frame(left_px=0.0, top_px=0.0, width_px=self.width, height_px=self.height)

    @property
    def corner_px(self) -> float:
        """Return the vector from the middle of the frame to its corner."""
        return math.hypot(self.height, self.width) / 2

    def spread_points(self) -> Tensor:
        """Nine points spread over the frame, (9, 2) as (x, y)."""
        places = (0.0, 0.5, 1.0)
        return torch.tensor([[x * (self.width - 1), y * (self.height - 1)] for x in places for y in places])


@dataclass(frozen=True, kw_only=True)
class Movement:
    """A path that can be sampled at any number of equal steps of time."""

    path: Callable[[int], Tensor]
    """Number of poses T -> (T, 6)."""
    poses: int
    """Number of poses for which neighbours are about a pixel apart."""


STILL = Movement(path=lambda count: torch.zeros(count, 6), poses=1)


def sample_movement(
    kind: Kind,
    direction: Tensor,
    extent_px: float,
    lens: Lens,
    points: Tensor,
    spacing_px: float,
    most_poses: int,
    generator: Callable[[], torch.Generator],
) -> Movement:
    """A path along `direction` (6,) whose blur extent, averaged over `points` (N, 2), is `extent_px`."""

    def unscaled(count: int) -> Tensor:
        return sample_path(kind, direction, torch.linspace(0, 1, count), generator()) / lens.focal_px

    # Paths are a few pixels in pictures of thousands: displacement is linear in the pose, so one step suffices.
    offsets = compute_displacements(unscaled(65), lens.focal_px, lens.principal_px, points)
    box = offsets.amax(dim=0) - offsets.amin(dim=0)
    scale = extent_px / float(box.norm(dim=-1).mean())
    length_px = scale * float((offsets[1:] - offsets[:-1]).norm(dim=-1).sum(dim=0).mean())
    count = 2 * math.ceil(length_px / spacing_px / 2) + 1
    return Movement(path=lambda count: unscaled(count) * scale, poses=min(max(count, _FEWEST_POSES), most_poses))
