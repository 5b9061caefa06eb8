"""Which cameras, hands and light there are: ranges to draw exposures from. Drawing and rendering are separate."""

import math
from dataclasses import dataclass
from typing import get_args

import torch

from unblur.blur.exposure import Exposure
from unblur.blur.trajectory import Kind, displacements, sample_path
from unblur.seeds import generator_for

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Ranges of everything an exposure is made of. Ranges are (low, high); shares are probabilities."""

    extent_px: Range = (1.0, 24.0)
    """Blur extent: diagonal of the box around a pixel's path, averaged over the frame; log-uniform."""
    still_share: float = 0.05
    """Share of exposures without any motion."""
    focal_frames: Range = (0.7, 6.0)
    """Focal length in units of the frame's longer side, wide angle to telephoto; log-uniform."""
    roll: float = 0.4
    """Standard deviation of the roll's displacement at the frame's corner, relative to the lateral motion."""
    zoom: float = 0.1
    """The same for motion along the optical axis."""
    pose_spacing_px: float = 0.8
    """Mean distance between neighbouring poses; below a pixel, more poses change nothing that can be seen."""
    max_poses: int = 121
    highlight_share: float = 0.5
    highlight_gain: Range = (0.25, 8.0)
    """Log-uniform; RSBlur draws 0.25 to 1.75, night lights need more."""
    noise_share: float = 0.8
    shot_noise: Range = (1e-5, 2e-3)
    """Log-uniform; base ISO of a large sensor to a telephone in the dark."""
    read_noise: Range = (3e-5, 2e-3)
    """Log-uniform."""
    jpeg_share: float = 0.6
    jpeg_quality: tuple[int, int] = (70, 98)


def sample_exposure(camera: Camera, height: int, width: int, seed: int) -> Exposure:
    """Draw one exposure of a frame of `height` x `width` pixels. The same seed draws the same exposure.

    Each property has a generator of its own, so that changing one range leaves all others as they were.
    """

    def uniform(name: str, low: float = 0.0, high: float = 1.0) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator_for(seed, name)))

    def log_uniform(name: str, bounds: Range) -> float:
        return math.exp(uniform(name, math.log(bounds[0]), math.log(bounds[1])))

    def happens(name: str, share: float) -> bool:
        return uniform(f"{name} happens") < share

    focal_px = log_uniform("focal", camera.focal_frames) * max(height, width)
    principal = ((width - 1) / 2, (height - 1) / 2)
    still = happens("still", camera.still_share)
    extent_px = 0.0 if still else log_uniform("extent", camera.extent_px)
    noisy = happens("noise", camera.noise_share)
    low, high = camera.jpeg_quality
    return Exposure(
        poses=_sample_poses(camera, extent_px, focal_px, height, width, seed),
        focal_px=focal_px,
        principal_px=principal,
        highlight_gain=log_uniform("highlight", camera.highlight_gain)
        if happens("highlight", camera.highlight_share)
        else 0.0,
        shot_noise=log_uniform("shot", camera.shot_noise) if noisy else 0.0,
        read_noise=log_uniform("read", camera.read_noise) if noisy else 0.0,
        noise_seed=seed,
        jpeg_quality=round(uniform("jpeg", low, high)) if happens("jpeg", camera.jpeg_share) else None,
        jpeg_subsample_chroma=happens("chroma", 0.5),
    )


def _sample_poses(
    camera: Camera, extent_px: float, focal_px: float, height: int, width: int, seed: int
) -> tuple[tuple[float, float, float, float, float, float], ...]:
    """Poses whose blur extent, averaged over the frame, is `extent_px`."""
    if extent_px == 0:
        return ((0.0,) * 6,)
    generator = generator_for(seed, "direction")
    angle = 2 * math.pi * float(torch.rand((), generator=generator))
    turned = float(torch.rand((), generator=generator))  # Lateral motion: turning the camera, or moving it.
    roll, zoom = torch.randn(2, generator=generator).tolist()
    # Roll and zoom move the corner by their angle or ratio times its distance from the axis.
    corner_px = math.hypot(height, width) / 2
    lateral = torch.tensor([math.cos(angle), math.sin(angle)])
    direction = torch.cat(
        [
            turned * lateral,
            torch.tensor([camera.roll * roll * focal_px / corner_px]),
            (1 - turned) * torch.stack([lateral[1], -lateral[0]]),
            torch.tensor([camera.zoom * zoom * focal_px / corner_px]),
        ]
    )
    kinds = get_args(Kind)
    kind = kinds[int(torch.randint(len(kinds), (), generator=generator))]

    def path(times: int) -> torch.Tensor:
        return sample_path(kind, direction, torch.linspace(0, 1, times), generator_for(seed, "path"))

    # Paths are a few pixels in pictures of thousands: displacement is linear in the pose, so one step suffices.
    principal = ((width - 1) / 2, (height - 1) / 2)
    points = torch.tensor([[x * (width - 1), y * (height - 1)] for x in (0, 0.5, 1) for y in (0, 0.5, 1)])
    probe = path(65) / focal_px
    offsets = displacements(probe, focal_px, principal, points)
    box = offsets.amax(dim=0) - offsets.amin(dim=0)
    scale = extent_px / float(box.norm(dim=-1).mean())
    length_px = scale * float((offsets[1:] - offsets[:-1]).norm(dim=-1).sum(dim=0).mean())
    count = 2 * math.ceil(length_px / camera.pose_spacing_px / 2) + 1
    poses = path(min(max(count, 5), camera.max_poses)) / focal_px * scale
    return tuple(tuple(pose) for pose in poses.tolist())
