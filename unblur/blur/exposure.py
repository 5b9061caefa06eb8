"""A complete description of one exposure: rendering it again gives the same photograph bit for bit."""

from dataclasses import dataclass, replace

from unblur.blur.matte import Frame, Shape
from unblur.blur.sensor import Sensor

Pose = tuple[float, float, float, float, float, float]
"""Rotation x, y, z in radians, translation x, y, z in units of the scene's distance."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A part of the scene with a distance of its own, and perhaps a movement and a picture of its own."""

    disparity: tuple[tuple[float, ...], ...] = ((1.0,),)
    """One over the distance, on a grid of control points over the frame: 1 x 1 for a plane that faces the camera,
    2 x 2 for a tilted one, more for a smooth relief. The camera's translation moves a point by so much more or less."""
    matte: tuple[Shape, ...] = ()
    """The shapes that the layer covers; empty for a layer that fills the frame."""
    poses: tuple[Pose, ...] = ()
    """Its own movement, added to the camera's: as many poses as the camera has, or none."""
    picture: str = ""
    """File name of the photograph that it shows; empty for the photograph that is exposed."""
    picture_place: tuple[float, float] = (0.0, 0.0)
    """Position of the frame's top left corner in that photograph, as shares of the free space."""
    defocus_px: float = 0.0
    """Radius of the disk that a point out of focus becomes."""


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """Settings of one simulated exposure, from the movement to the file. JSON-serialisable."""

    poses: tuple[Pose, ...]
    """Camera poses at equal steps of time, as in `unblur.blur.trajectory`."""
    focal_px: float
    """Focal length in pixels."""
    principal_px: tuple[float, float]
    """The position of the optical axis, (x, y) from the top left pixel; it may lie outside of a crop."""
    frame: Frame
    """The whole picture, in pixels of the crop."""
    layers: tuple[Layer, ...] = ()
    """The layers from far to near; empty for one plane that fills the frame."""
    readout: float = 0.0
    """Rolling shutter: the share of the time of `poses` that passes between the first row's start and the last's."""
    highlight_gain: float = 0.0
    """Factor by which the brightest pixels really exceeded white (linear light); 0 for none."""
    shot_noise: float = 0.0
    """Variance of the linear signal per unit of signal (photon noise)."""
    read_noise: float = 0.0
    """Standard deviation of the linear signal in the dark."""
    sensor: Sensor | None = None
    """Colour mosaic and white balance; None for a sensor that sees three colours in every pixel."""
    noise_seed: int = 0
    """Random seed of the noise."""
    jpeg_quality: int | None = None
    """1 to 100, or None for an uncompressed photograph."""
    jpeg_subsample_chroma: bool = False
    """Whether the JPEG file stores colour at half resolution, as most cameras do."""

    @property
    def scene(self) -> tuple[Layer, ...]:
        """The layers, of which there is always one."""
        return self.layers or (Layer(),)

    @property
    def changes_nothing(self) -> bool:
        """True if the exposure has no motion, layers, highlights or noise; it may be compressed as JPEG."""
        lit = self.layers or self.highlight_gain or any(any(pose) for pose in self.poses)
        return not (lit or self.shot_noise or self.read_noise or self.sensor)

    def crop(self, left_px: int, top_px: int) -> "Exposure":
        """Return the exposure of a crop that starts at (left, top) of the image."""
        x, y = self.principal_px
        frame = replace(self.frame, left_px=self.frame.left_px - left_px, top_px=self.frame.top_px - top_px)
        sensor = self.sensor.crop(left_px, top_px) if self.sensor else None
        return replace(self, principal_px=(x - left_px, y - top_px), frame=frame, sensor=sensor)
