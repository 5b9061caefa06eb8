"""Ranges of cameras, hands, scenes and light that exposures are drawn from. Rendering is separate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, get_args

import torch

from unblur.blur.exposure import Exposure, Layer, Pose
from unblur.blur.matte import sample_blob, sample_figure
from unblur.blur.movement import STILL, Lens, Movement, sample_movement
from unblur.blur.sensor import Pattern, Sensor
from unblur.blur.trajectory import Kind
from unblur.seeds import make_generator, seed_for

Range = tuple[float, float]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Ranges of everything an exposure is made of. Ranges are (low, high); shares are probabilities."""

    extent_px: Range = (1.0, 80.0)
    """Blur extent: diagonal of the box around a pixel's path, averaged over the frame; log-uniform."""
    still_share: float = 0.05
    """Share of exposures in which the camera does not move."""
    direction_deg: Range = (0.0, 360.0)
    """Directions in which the camera moves, as on a compass: 0 is up, 90 to the right. A range of half a circle or
    less holds for the ways there and back."""
    kinds: tuple[Kind, ...] = ("bezier", "walk", "pan", "tremor")
    """Kinds of paths, each as likely as the others."""
    focal_frames: Range = (0.7, 6.0)
    """Focal length in units of the frame's longer side: 25 mm to 220 mm on 36 mm film; log-uniform."""
    roll: float = 0.4
    """Standard deviation of the roll's displacement at the frame's corner, relative to the lateral motion."""
    zoom: float = 0.1
    """The same for motion along the optical axis."""
    pose_spacing_px: float = 0.8
    """Mean distance between neighbouring poses; below a pixel, more poses make no visible difference."""
    max_poses: int = 121
    """GS-Blur renders 121."""
    relief_share: float = 0.3
    """Share of exposures of a scene of smoothly varying distance."""
    planes_share: float = 0.2
    """Share of exposures of a scene of two to four planes, one before the other."""
    disparity: Range = (0.3, 1.7)
    """One over the distance, of the farthest and nearest parts; 1 is the distance that extents are measured at."""
    object_share: float = 0.4
    """Share of exposures with one to three objects that move on their own."""
    object_extent_px: Range = (2.0, 80.0)
    """Blur extent of an object's own movement; log-uniform."""
    object_radius: Range = (0.05, 0.4)
    """Radius in units of the frame's shorter side; log-uniform."""
    followed_share: float = 0.15
    """Share of objects that the camera follows: they are sharp before a blurred background."""
    defocus_share: float = 0.1
    """Share of exposures with something out of focus."""
    defocus_px: Range = (0.7, 5.0)
    """Radius of the disk; log-uniform."""
    rolling_share: float = 0.15
    """Share of exposures by a rolling shutter."""
    readout: Range = (0.1, 0.7)
    """Share of the time that passes between the first row's start and the last's."""
    highlight_share: float = 0.5
    highlight_gain: Range = (0.25, 8.0)
    """Log-uniform; RSBlur draws 0.25 to 1.75, night lights need more."""
    noise_share: float = 0.8
    shot_noise: Range = (1e-5, 2e-3)
    """Log-uniform; base ISO of a large sensor to a telephone in the dark. RSBlur's cameras: 9e-5 and 1e-4."""
    read_noise: Range = (3e-5, 2e-3)
    """Log-uniform. RSBlur's cameras: 3e-5 and 9e-4."""
    mosaic_share: float = 0.6
    """Share of exposures by a sensor with a colour mosaic."""
    red_gain: Range = (1.9, 2.4)
    """White balance; RSBlur."""
    blue_gain: Range = (1.5, 1.9)
    contrasty_share: float = 0.2
    """Share of these cameras that encode light like RealBlur's a7R3, the others by the sRGB curve."""
    jpeg_share: float = 0.6
    jpeg_quality: tuple[int, int] = (70, 98)


class _Draw:
    """Named random numbers of one exposure.

    Each has a generator of its own, so that changing one range leaves all others as they were.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def uniform(self, name: str, bounds: Range = (0.0, 1.0)) -> float:
        low, high = bounds
        return low + (high - low) * float(torch.rand((), generator=make_generator(self.seed, name)))

    def log_uniform(self, name: str, bounds: Range) -> float:
        return math.exp(self.uniform(name, (math.log(bounds[0]), math.log(bounds[1]))))

    def happens(self, name: str, share: float) -> bool:
        return self.uniform(f"{name} happens") < share

    def one_of(self, name: str, options: Sequence[T]) -> T:
        return options[int(self.uniform(name, (0, len(options)))) % len(options)]


def sample_exposure(camera: Camera, height: int, width: int, seed: int, pictures: tuple[str, ...] = ()) -> Exposure:
    """Draw one exposure of a frame of `height` x `width` pixels. The same seed draws the same exposure.

    `pictures` are the names of photographs that objects may be cut out of; without any, they are cut out of the scene.
    """
    draw = _Draw(seed)
    lens = Lens(
        focal_px=draw.log_uniform("focal", camera.focal_frames) * max(height, width), height=height, width=width
    )
    readout = draw.uniform("readout", camera.readout) if draw.happens("rolling", camera.rolling_share) else 0.0
    movement = _draw_camera_movement(camera, draw, lens, readout)
    objects = _draw_objects(camera, draw, lens, movement, pictures)
    count = max(movement.poses, *(own.poses for _, own in objects), 1)
    layers = [
        *_draw_distances(camera, draw, lens),
        *(replace(layer, poses=_to_poses(own, count)) for layer, own in objects),
    ]
    noisy = draw.happens("noise", camera.noise_share)
    lit = draw.happens("highlight", camera.highlight_share)
    compressed = draw.happens("jpeg", camera.jpeg_share)
    return Exposure(
        poses=_to_poses(movement, count),
        focal_px=lens.focal_px,
        principal_px=lens.principal_px,
        frame=lens.frame,
        layers=_defocus_some(camera, draw, layers),
        readout=readout if count > 1 else 0.0,
        highlight_gain=draw.log_uniform("highlight", camera.highlight_gain) if lit else 0.0,
        shot_noise=draw.log_uniform("shot", camera.shot_noise) if noisy else 0.0,
        read_noise=draw.log_uniform("read", camera.read_noise) if noisy else 0.0,
        sensor=_draw_sensor(camera, draw),
        noise_seed=seed,
        jpeg_quality=round(draw.uniform("jpeg", camera.jpeg_quality)) if compressed else None,
        jpeg_subsample_chroma=draw.happens("chroma", 0.5),
    )


def _draw_camera_movement(camera: Camera, draw: _Draw, lens: Lens, readout: float) -> Movement:
    if draw.happens("still", camera.still_share):
        return STILL
    generator = make_generator(draw.seed, "direction")
    low, high = camera.direction_deg
    angle = math.radians(low + (high - low) * float(torch.rand((), generator=generator)))
    if high - low <= 180 and draw.happens("backwards", 0.5):
        angle += math.pi
    turned = float(torch.rand((), generator=generator))  # Lateral motion: turning the camera, or moving it.
    roll, zoom = torch.randn(2, generator=generator).tolist()
    lateral = torch.tensor([math.cos(angle), math.sin(angle)])
    # Turning by (rx, ry) moves the picture as moving by (ry, -rx) does. Roll and zoom move the corner by their
    # angle or ratio times its distance from the axis.
    direction = torch.cat(
        [
            turned * lateral,
            torch.tensor([camera.roll * roll * lens.focal_px / lens.corner_px]),
            (1 - turned) * torch.stack([lateral[1], -lateral[0]]),
            torch.tensor([camera.zoom * zoom * lens.focal_px / lens.corner_px]),
        ]
    )
    kind = camera.kinds[int(torch.randint(len(camera.kinds), (), generator=generator))]
    return sample_movement(
        kind,
        direction,
        # With a rolling shutter a row sees only a part of the path.
        draw.log_uniform("extent", camera.extent_px) / (1 - readout),
        lens,
        lens.spread_points(),
        camera.pose_spacing_px,
        camera.max_poses,
        lambda: make_generator(draw.seed, "path"),
    )


def _draw_distances(camera: Camera, draw: _Draw, lens: Lens) -> list[Layer]:
    """Draw the scene as one plane, as a relief, or as planes one before the other."""
    generator = make_generator(draw.seed, "distances")
    low, high = camera.disparity
    if draw.happens("relief", camera.relief_share):
        side = int(torch.randint(2, 6, (), generator=generator))
        grid = low + (high - low) * torch.rand(side, side, generator=generator)
        return [Layer(disparity=tuple(tuple(row) for row in grid.tolist()))]
    if not draw.happens("planes", camera.planes_share):
        return [Layer()]
    count = int(torch.randint(2, 5, (), generator=generator))
    disparities = (low + (high - low) * torch.rand(count, generator=generator)).sort().values.tolist()
    layers = [Layer(disparity=((disparities[0],),))]
    for disparity in disparities[1:]:
        x, y, radius = torch.rand(3, generator=generator).tolist()
        shapes = (
            sample_blob((x, y), 0.2 + 0.5 * radius, 2.0, generator)
            if float(torch.rand((), generator=generator)) < 0.5
            else sample_figure((x, y), 0.2 + 0.5 * radius, 2.0, lens.frame, generator)
        )
        layers.append(Layer(disparity=((disparity,),), matte=shapes))
    return layers


def _draw_objects(
    camera: Camera, draw: _Draw, lens: Lens, movement: Movement, pictures: tuple[str, ...]
) -> list[tuple[Layer, Movement]]:
    """Draw objects in front of the scene, with movements of their own."""
    if not draw.happens("objects", camera.object_share):
        return []
    generator = make_generator(draw.seed, "objects")
    result = []
    for number in range(int(torch.randint(1, 4, (), generator=generator))):
        each = _Draw(seed_for(draw.seed, "object", number))
        generator = make_generator(each.seed, "shape")
        x, y = torch.rand(2, generator=generator).tolist()
        radius = each.log_uniform("radius", camera.object_radius)
        softness_px = each.uniform("softness", (1.0, 3.0))
        outline = (
            sample_figure((x, y), radius, softness_px, lens.frame, generator)
            if each.happens("figure", 0.4)
            else sample_blob((x, y), radius, softness_px, generator)
        )
        picture = ""
        if pictures and each.happens("picture", 0.6):
            picture = each.one_of("which", pictures)
        layer = Layer(matte=outline, picture=picture, picture_place=(each.uniform("left"), each.uniform("top")))
        if each.happens("followed", camera.followed_share):
            own = Movement(path=lambda count: -movement.path(count), poses=movement.poses)
        else:
            own = _draw_object_movement(camera, each, lens, (x * lens.width, y * lens.height))
        result.append((layer, own))
    return result


def _draw_object_movement(camera: Camera, draw: _Draw, lens: Lens, centre_px: tuple[float, float]) -> Movement:
    """Draw the movement of an object, mostly parallel to the image plane, because distances hardly change."""
    angle = draw.uniform("direction", (0.0, 2 * math.pi))
    return sample_movement(
        draw.one_of("kind", get_args(Kind)),
        torch.tensor([0.0, 0.0, 0.0, math.cos(angle), math.sin(angle), 0.0]),
        draw.log_uniform("extent", camera.object_extent_px),
        lens,
        torch.tensor([centre_px]),
        camera.pose_spacing_px,
        camera.max_poses,
        lambda: make_generator(draw.seed, "path"),
    )


def _defocus_some(camera: Camera, draw: _Draw, layers: list[Layer]) -> tuple[Layer, ...]:
    """Return the layers, one of them perhaps out of focus; none if the scene is one plain plane."""
    if draw.happens("defocus", camera.defocus_share):
        which = draw.one_of("defocused", range(len(layers)))
        layers[which] = replace(layers[which], defocus_px=draw.log_uniform("defocus", camera.defocus_px))
    return () if layers == [Layer()] else tuple(layers)


def _draw_sensor(camera: Camera, draw: _Draw) -> Sensor | None:
    if not draw.happens("mosaic", camera.mosaic_share):
        return None
    return Sensor(
        pattern=draw.one_of("pattern", get_args(Pattern)),
        red_gain=draw.uniform("red", camera.red_gain),
        blue_gain=draw.uniform("blue", camera.blue_gain),
        response="a7r3" if draw.happens("contrasty", camera.contrasty_share) else "srgb",
    )


def _to_poses(movement: Movement, count: int) -> tuple[Pose, ...]:
    return tuple((a, b, c, d, e, f) for a, b, c, d, e, f in movement.path(count).tolist())
