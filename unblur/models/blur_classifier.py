"""The blur classifier: the kind of blur of a photograph, and its kind, length and direction at each place.

One idea: blur shows in how much contrast is left at each scale along each direction. Motion removes fine contrast along
one direction, a lens out of focus along all, and noise adds the finest along all. Energies of oriented filters measure
that, and their logarithms turn ratios of contrasts into differences. The path of the motion estimator, whose averages
are limited to a window so that it shows the motion of each place, tells motion from a lens out of focus. The first
layers mix directions by circular convolutions, so that turning a photograph turns the directions of its motion. Strided
convolutions process the pixels themselves: energies do not show, for one, the edges of a moved subject. Later layers
mix neighbouring places, and the kind of the photograph follows from all places together.

Source: ours. The blocks of the convolutions: He et al. 2016, "Deep Residual Learning for Image Recognition". Energies
of pairs of even and odd filters: Adelson and Bergen 1985, "Spatiotemporal energy models for the perception of motion".
That motion shows in oriented spectra goes back to Chakrabarti, Zickler and Freeman 2010, "Analyzing spatially-varying
blur".
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unblur.models.motion_estimator import OUTPUT_STRIDE_PX, MotionEstimator, MotionEstimatorConfig
from unblur.models.padding import pad_to_multiple
from unblur.models.pooling import use_local_pooling
from unblur.photos.color import luma

CELL_PX = 32
"""Pixels between neighbouring places, and the side of the square that each measures."""

DIRECTIONS = 8
"""Directions of filters, evenly spread over 180 degrees. Direction d is at 180 d / 8 degrees, clockwise: rows grow
downwards."""

WAVELENGTHS_PX = (2.6, 4.2)
"""Wavelengths of the filters at each level."""

LEVELS = 4
"""Sizes of the photograph that are filtered: each is half the one before."""

FEATURES = 2 * LEVELS * len(WAVELENGTHS_PX) + 2
"""Numbers for each place and direction: mean and largest energy of each wavelength at each level, the length of the
estimated motion, and how far it is along the direction."""

MOTION_SCALE, MOTION_WINDOW_PX = 2, 64
"""Factor by which photographs are reduced for the motion estimator, and the reach of its averages in pixels of these.
It takes a quarter of the time so, and energies show short motion."""

SHORT_PX, UNDIRECTED_PX = 0.3, 1.0
"""Added to lengths of motion: to take a logarithm, and to ignore the direction of shorter motion."""

LARGEST_OFFSET_PX = 4
"""Filters reach this far from their middle, in pixels of their level."""

LENGTH_SHARE, WIDTH_SHARE = 0.45, 1.2
"""Standard deviation of a filter's window along its wave, in wavelengths, and across, as a multiple of that along."""

LEAST_ENERGY = 0.02
"""Added to energies in squared 8-bit grey levels before the logarithm: less is no contrast."""

LARGEST_DEVIATION = 4.0
"""Normalised features are clipped here: no single one decides."""

CONTEXT_QUANTILES = (0.05, 0.5, 0.95)
"""Quantiles over the photograph of each feature that every place receives: the first shows the noise."""

KIND_QUANTILES = (0.05, 0.2, 0.5, 0.8)
"""Shares of the places from the most probable one on whose probability describes the photograph."""

ATTENTION_HEADS = 3
"""Weighted means over the places that describe the photograph."""

PLACE_KINDS, PHOTO_KINDS = 3, 4

PIXEL_BLOCKS = (0, 1, 2, 2, 1)
"""Residual blocks of the convolutions at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""

MEAN_VALUE, VALUE_DEVIATION = 0.5, 0.25
"""Pixels are normalised by these."""


@dataclass(frozen=True, kw_only=True)
class BlurClassifierConfig:
    """Sizes of a blur classifier."""

    motion: MotionEstimatorConfig = MotionEstimatorConfig()
    """The motion estimator, which is not trained with the other layers."""
    pixel_channels: tuple[int, int, int, int, int] = (24, 32, 48, 64, 96)
    """Channels of the convolutions at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""
    direction_channels: int = 24
    """Channels of the layers that mix directions."""
    channels: int = 48
    """Channels of the layers that mix places."""
    photo_channels: int = 32
    """Channels of the layer that mixes the numbers of the whole photograph."""


class BlurPrediction(NamedTuple):
    """The blur of a photograph. (h, w) are its places, one for each square of 32 x 32 pixels."""

    photo: Tensor
    """(B, 4): logits of sharp, shaken, moved subject, out of focus."""
    places: Tensor
    """(B, 3, h, w): logits of sharp, motion, out of focus."""
    log_length: Tensor
    """(B, h, w): logarithm of the length of the motion, where there is one, in pixels."""
    log_radius: Tensor
    """(B, h, w): logarithm of the radius of the disk that a point becomes, where out of focus, in pixels."""
    directions: Tensor
    """(B, 8, h, w): logits of the directions of the motion, where there is one."""


class DirectionMixing(nn.Module):
    """Circular convolution over all directions. Shape: (B, inputs, DIRECTIONS, h, w) -> (B, outputs, DIRECTIONS, h, w).

    Turning the input by a direction turns the output by as much.
    """

    turns: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs, DIRECTIONS))
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        nn.init.kaiming_uniform_(self.weight, nonlinearity="relu")
        numbers = torch.arange(DIRECTIONS)
        self.register_buffer("turns", (numbers - numbers[:, None]) % DIRECTIONS, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        # One product of matrices is faster than a convolution with padding.
        mixed = torch.einsum("ocde,bcen->bodn", self.weight[:, :, self.turns], x.flatten(3))
        result: Tensor = (mixed + self.bias).reshape(len(x), -1, *x.shape[2:])
        return result


class ResidualBlock(nn.Module):
    """Two normalised convolutions whose result is added to their input. Shape: (B, channels, h, w) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = _build_conv(channels, channels, 3, stride=1)
        self.conv2 = _build_conv(channels, channels, 3, stride=1)
        last = self.conv2[-1]
        assert isinstance(last, nn.BatchNorm2d)
        # Training begins with the identity.
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class PixelEncoder(nn.Module):
    """Strided convolutions. Shape: (B, 3, H, W) RGB in [0, 1], multiples of 32 -> (B, channels, H/32, W/32)."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs, blocks in zip((3, *channels), channels, PIXEL_BLOCKS, strict=False):
            layers += [_build_conv(inputs, outputs, 3 if layers else 5, stride=2), nn.ReLU()]
            layers += [ResidualBlock(outputs) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        x: Tensor = self.layers((image - MEAN_VALUE) / VALUE_DEVIATION)
        return x


def _build_conv(inputs: int, outputs: int, side: int, *, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class BlurClassifier(nn.Module):
    """Classifier of the blur of photographs.

    Shape: (B, 3, H, W) RGB in [0, 1] -> a BlurPrediction with H/32 x W/32 places, at least 1 x 1.
    """

    mean: Tensor
    deviation: Tensor
    filters: Tensor

    def __init__(self, config: BlurClassifierConfig) -> None:
        super().__init__()
        self.config = config
        first, channels = config.direction_channels, config.channels
        self.register_buffer("filters", _make_filters(), persistent=False)
        # Set by `normalise_like`.
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.motion = MotionEstimator(config.motion).requires_grad_(False)
        use_local_pooling(self.motion, MOTION_WINDOW_PX)
        self.pixels = PixelEncoder(config.pixel_channels)
        self.context = nn.Linear(len(CONTEXT_QUANTILES) * FEATURES, first)
        self.directions1 = DirectionMixing(FEATURES, first)
        self.directions2 = DirectionMixing(first, first)
        self.direction = DirectionMixing(first, 1)
        self.intro = nn.Conv2d(2 * first + config.pixel_channels[-1], channels, 1)
        self.places1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.places2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.ending = nn.Conv2d(channels, PLACE_KINDS + 2, 1)
        self.attention = nn.Conv2d(channels, ATTENTION_HEADS, 1)
        summary = channels * (ATTENTION_HEADS + 2) + PLACE_KINDS * (1 + len(KIND_QUANTILES))
        self.photo1 = nn.Linear(summary, config.photo_channels)
        self.photo2 = nn.Linear(config.photo_channels, PHOTO_KINDS)
        self.channel_dropout, self.dropout = nn.Dropout2d(0.1), nn.Dropout(0.3)

    def forward(self, blurry: Tensor) -> BlurPrediction:
        return self.classify(blurry, self.measure(blurry))

    def measure(self, blurry: Tensor) -> Tensor:
        """Measure energies and motion of photographs by direction.

        Shape: (B, 3, H, W) -> (B, FEATURES, DIRECTIONS, H/32, W/32).
        """
        height, width = (max(1, side // CELL_PX) for side in blurry.shape[2:])
        grey = 255 * luma(pad_to_multiple(blurry, CELL_PX))[:, None]
        means: list[Tensor] = []
        largest: list[Tensor] = []
        for level in range(LEVELS):
            smaller = F.avg_pool2d(grey, 2**level) if level else grey
            padded = F.pad(smaller, (LARGEST_OFFSET_PX,) * 4, mode="replicate")
            waves = F.conv2d(padded, self.filters).square()
            # Each even filter is followed by its odd one.
            energies = waves[:, ::2] + waves[:, 1::2]
            for pooled, pool in ((means, F.avg_pool2d), (largest, F.max_pool2d)):
                cells = pool(energies, CELL_PX >> level)[..., :height, :width]
                pooled.append(cells.reshape(len(blurry), -1, DIRECTIONS, height, width))
        energies = (torch.cat(means + largest, dim=1) + LEAST_ENERGY).log()
        return torch.cat([energies, self._measure_motion(blurry)[..., :height, :width]], dim=1)

    def _measure_motion(self, blurry: Tensor) -> Tensor:
        """Measure length and direction of the estimated motion: (B, 2, DIRECTIONS, at least H/32 and W/32)."""
        # The first two channels are the centre of the path, which says nothing about blur.
        doubled = MOTION_SCALE * self.motion(F.avg_pool2d(blurry, MOTION_SCALE))[:, 2:]
        both = torch.cat([doubled.norm(dim=1, keepdim=True), doubled], dim=1)
        length, x, y = F.avg_pool2d(both, CELL_PX // OUTPUT_STRIDE_PX // MOTION_SCALE, ceil_mode=True).unbind(1)
        angles = 2 * math.pi / DIRECTIONS * torch.arange(DIRECTIONS, device=x.device)[:, None, None]
        along = (x[:, None] * angles.cos() + y[:, None] * angles.sin()) / (length + UNDIRECTED_PX)[:, None]
        return torch.stack([(length + SHORT_PX).log()[:, None].expand_as(along), along], dim=1)

    def normalise_like(self, features: Tensor) -> None:
        """Normalise by the means and standard deviations of `features`, (N, FEATURES), from now on."""
        self.mean.copy_(features.mean(dim=0))
        self.deviation.copy_(features.std(dim=0).clamp(min=1e-3))

    def classify(self, blurry: Tensor, energies: Tensor) -> BlurPrediction:
        """Classify photographs by their pixels, (B, 3, H, W), and what `measure` returned for them."""
        mean, deviation = (values[:, None, None, None] for values in (self.mean, self.deviation))
        x = ((energies - mean) / deviation).clamp(-LARGEST_DEVIATION, LARGEST_DEVIATION)
        over_places = x.mean(dim=2).flatten(2)
        levels = over_places.quantile(over_places.new_tensor(CONTEXT_QUANTILES), dim=2)
        context = self.context(levels.permute(1, 0, 2).flatten(1))
        x = F.relu(self.directions1(x) + context[:, :, None, None, None])
        x = F.relu(self.directions2(x))
        directions = self.direction(x)[:, 0]
        height, width = energies.shape[3:]
        pixels = self.pixels(pad_to_multiple(blurry, CELL_PX))[..., :height, :width].to(x.dtype)
        x = self.channel_dropout(torch.cat([x.mean(dim=2), x.amax(dim=2), pixels], dim=1))
        x = F.relu(self.intro(x))
        x = self.channel_dropout(x + F.relu(self.places1(x)))
        x = x + F.relu(self.places2(x))
        places, (log_length, log_radius) = self._split(self.ending(x))
        photo = self.photo2(F.relu(self.photo1(self.dropout(self._summarise(x, places)))))
        return BlurPrediction(photo, places, log_length, log_radius, directions)

    def _split(self, ending: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return ending[:, :PLACE_KINDS], (ending[:, PLACE_KINDS], ending[:, PLACE_KINDS + 1])

    def _summarise(self, x: Tensor, places: Tensor) -> Tensor:
        """Describe all places of a photograph together. (B, channels, h, w), (B, 3, h, w) -> (B, numbers)."""
        weights = self.attention(x).flatten(2).softmax(dim=2)
        each = x.flatten(2)
        attended = torch.einsum("bkn,bcn->bkc", weights, each).flatten(1)
        shares = places.softmax(dim=1).flatten(2)
        ordered = shares.sort(dim=2, descending=True).values
        last = ordered.shape[2] - 1
        quantiles = [ordered[:, :, int(share * last)] for share in KIND_QUANTILES]
        return torch.cat([attended, each.mean(dim=2), each.amax(dim=2), shares.mean(dim=2), *quantiles], dim=1)


def _make_filters() -> Tensor:
    """Pairs of even and odd Gabor filters of each wavelength and direction, of norm 1. (filters, 1, 9, 9)."""
    steps = torch.arange(-LARGEST_OFFSET_PX, LARGEST_OFFSET_PX + 1, dtype=torch.float32)
    y, x = steps[:, None], steps
    filters = []
    for wavelength in WAVELENGTHS_PX:
        along_px = LENGTH_SHARE * wavelength
        for direction in range(DIRECTIONS):
            angle = math.pi * direction / DIRECTIONS
            along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
            window = torch.exp(-(along**2 + (across / WIDTH_SHARE) ** 2) / (2 * along_px**2))
            phase = 2 * math.pi / wavelength * along
            even, odd = window * torch.cos(phase), window * torch.sin(phase)
            # An even filter must not answer to brightness.
            even = even - window * (even.sum() / window.sum())
            filters += [even / even.norm(), odd / odd.norm()]
    return torch.stack(filters)[:, None]
