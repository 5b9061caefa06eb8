"""Soft-edged regions of a frame: where an object, or a nearer part of the scene, covers what is behind it.

A region is a union of shapes written down in numbers, so that any crop of a frame can be drawn again exactly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The position of the whole image, in pixels of the crop."""

    left_px: float
    top_px: float
    width_px: int
    height_px: int


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A turned ellipse whose radius waves: r(a) = 1 + sum over k of c_k cos(k a) + s_k sin(k a)."""

    centre: tuple[float, float]
    """(x, y) as shares of the frame's width and height; may lie outside of it."""
    radii: tuple[float, float]
    """Along its own two axes, as shares of the frame's shorter side."""
    angle: float = 0.0
    """The angle from the x axis to the first axis, in radians."""
    waves: tuple[tuple[float, float], ...] = ()
    """(c_k, s_k) for k = 2, 3, ..."""
    softness_px: float = 1.0
    """Width of the edge."""


def compute_coverage(shapes: Sequence[Shape], frame: Frame, rows: int, columns: int, device: torch.device) -> Tensor:
    """Share of each pixel that the union of `shapes` covers, (1, rows, columns) in [0, 1]."""
    x = torch.arange(columns, dtype=torch.float32, device=device) - frame.left_px
    y = (torch.arange(rows, dtype=torch.float32, device=device) - frame.top_px)[:, None]
    shorter = min(frame.width_px, frame.height_px)
    covered = torch.zeros(rows, columns, device=device)
    for shape in shapes:
        from_x, from_y = x - shape.centre[0] * frame.width_px, y - shape.centre[1] * frame.height_px
        cos, sin = math.cos(shape.angle), math.sin(shape.angle)
        u = (cos * from_x + sin * from_y) / (shape.radii[0] * shorter)
        v = (cos * from_y - sin * from_x) / (shape.radii[1] * shorter)
        angle, distance = torch.atan2(v, u), torch.hypot(u, v)
        boundary = torch.ones_like(angle)
        for k, (c, s) in enumerate(shape.waves, start=2):
            boundary = boundary + c * torch.cos(k * angle) + s * torch.sin(k * angle)
        inside_px = (boundary - distance) * min(shape.radii) * shorter
        covered = torch.maximum(covered, (0.5 + inside_px / max(shape.softness_px, 1e-3)).clamp(0, 1))
    return covered[None]


def sample_blob(
    centre: tuple[float, float], radius: float, softness_px: float, generator: torch.Generator
) -> tuple[Shape, ...]:
    """A random smooth shape of about `radius` (share of the frame's shorter side)."""
    aspect, angle = torch.rand(2, generator=generator).tolist()
    waves = torch.randn(4, 2, generator=generator) * 0.25 / torch.arange(2, 6)[:, None]
    stretch = 2 ** (aspect - 0.5)
    return (
        Shape(
            centre=centre,
            radii=(radius * stretch, radius / stretch),
            angle=angle * math.pi,
            waves=tuple((c, s) for c, s in waves.tolist()),
            softness_px=softness_px,
        ),
    )


def sample_figure(
    centre: tuple[float, float], radius: float, softness_px: float, frame: Frame, generator: torch.Generator
) -> tuple[Shape, ...]:
    """The outline of an upright person of height `2 radius`: head, trunk, and limbs at random angles."""
    swing = (torch.rand(4, generator=generator) * 1.2 - 0.6).tolist()
    lean = float(torch.randn((), generator=generator)) * 0.1
    # A figure eight heads high, of height 2, with the origin at the hips and y downwards:
    # (centre, (half width, half height), angle).
    parts = [((0.0, -0.87), (0.09, 0.12), 0.0), ((0.0, -0.37), (0.17, 0.4), 0.0)]
    joints = [
        (-0.13, -0.62, 0.62, 0.055),
        (0.13, -0.62, 0.62, 0.055),
        (-0.07, -0.02, 0.98, 0.085),
        (0.07, -0.02, 0.98, 0.085),
    ]
    for (x, y, length, thickness), angle in zip(joints, swing, strict=True):
        middle = (x + math.sin(angle) * length / 2, y + math.cos(angle) * length / 2)
        parts.append((middle, (thickness, length / 2), -angle))
    cos, sin = math.cos(lean), math.sin(lean)
    shorter = min(frame.width_px, frame.height_px)
    return tuple(
        Shape(
            centre=(
                centre[0] + radius * (cos * x - sin * y) * shorter / frame.width_px,
                centre[1] + radius * (sin * x + cos * y) * shorter / frame.height_px,
            ),
            radii=(radius * across, radius * along),
            angle=angle + lean,
            softness_px=softness_px,
        )
        for (x, y), (across, along), angle in parts
    )
