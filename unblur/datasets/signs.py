"""Pictures of signs whose text is known: to be read, blurred with the severities of the validation set, or to learn."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from string import ascii_uppercase
from threading import Lock
from typing import overload

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.blur import Camera, render, sample_exposure
from unblur.datasets.pair import Pair
from unblur.datasets.photo_folder import Photographs
from unblur.datasets.validation import CAMERA
from unblur.errors import UnblurError
from unblur.photos.color import linear_to_srgb, srgb_to_linear
from unblur.photos.lettering import ABOVE, BELOW, Font, draw_line
from unblur.seeds import make_generator, seed_for

Colour = tuple[int, int, int]
Area = tuple[int, int, int, int]
"""Top, left, height and width in pixels."""

BOARDS: tuple[tuple[Colour, Colour], ...] = (
    ((232, 232, 228), (24, 24, 26)),
    ((28, 30, 32), (230, 230, 226)),
    ((20, 62, 140), (232, 234, 236)),
    ((0, 92, 62), (230, 234, 230)),
    ((168, 24, 30), (234, 230, 226)),
    ((236, 190, 20), (20, 20, 20)),
    ((196, 178, 150), (70, 44, 30)),
)
"""Board and letters, sRGB. None is as bright as what the simulator takes for a lamp."""

FONTS: tuple[Font, ...] = ("sans", "serif", "mono", "times")

WORDS = (
    "STOP EXIT OPEN CLOSED PARKING STATION PLATFORM MARKET STREET BRIDGE HARBOUR MUSEUM LIBRARY HOSPITAL AIRPORT "
    "CENTRE NORTH SOUTH EAST WEST PRIVATE DANGER CAUTION SLOW SCHOOL GARDEN BAKERY COFFEE HOTEL OFFICE TICKETS "
    "PLEASE KEEP LEFT RIGHT CLEAR NO ENTRY PULL PUSH WATER FIRE DOOR GATE ROAD TRAIN BUS FERRY CAMPING BEACH"
)

MARGIN_PX = 20
"""Minimal distance of the sign from the border: blur that reaches beyond the image is mirrored there."""
SPACING = 0.4
"""Space between lines, and around them, in heights of a capital."""


@dataclass(frozen=True, kw_only=True)
class SignStyle:
    """Settings of signs, besides the photographs behind them. Another value makes other signs."""

    height_px: int = 256
    width_px: int = 384
    capital_px: tuple[float, float] = (8.0, 32.0)
    """Height of capitals, log-uniform; below 8 the sharp ones are not read reliably either."""
    fonts: tuple[Font, ...] = FONTS
    invented: bool = False
    """Whether random letters stand where signs else have words."""
    most_lines: int = 3
    seed: int = 20260214


@dataclass(frozen=True, kw_only=True)
class SignSettings(SignStyle):
    """Settings of a set of blurred signs, besides the photographs behind them. Another value makes another set."""

    version: int = 1
    severities: tuple[tuple[str, float], ...] = (
        ("light", 2.0),
        ("moderate", 4.0),
        ("strong", 8.0),
        ("severe", 16.0),
    )
    """Names and blur extents in pixels: the validation set's."""
    camera: Camera = CAMERA


@dataclass(frozen=True, kw_only=True)
class Sign:
    """Sharp picture of a sign, with its text."""

    picture: Tensor
    """(3, H, W) sRGB in [0, 1], multiples of 1/255."""
    text: str
    """Its lines, from top to bottom."""
    board: Area


@dataclass(frozen=True, kw_only=True)
class TextPair:
    """A picture with text, blurry and sharp, and the text."""

    pair: Pair
    """Named `<severity>_<picture>.png`."""
    text: str
    area: Area
    """The area of the text, which limits the search for it."""


def render_sign_pairs(count: int, settings: SignSettings, photos: Photographs | None = None) -> Iterator[TextPair]:
    """Render `count` signs with every severity of blur, one after the other, each with exposures of its own.

    The same everywhere for the same photographs and settings. Raises UnblurError for none, and as `sign` does.
    """
    if count < 1:
        raise UnblurError(f"A set of {count} signs holds nothing to read; give at least 1.")
    for number in range(count):
        shown = draw_sign(number, settings, photos)
        top, left, height, width = shown.board
        # Other text in the photograph behind the sign does not count.
        around = (top - MARGIN_PX, left - MARGIN_PX, height + 2 * MARGIN_PX, width + 2 * MARGIN_PX)
        for severity, extent_px in settings.severities:
            camera = replace(settings.camera, extent_px=(extent_px, extent_px))
            key = seed_for(settings.seed, severity, number)
            exposure = sample_exposure(camera, settings.height_px, settings.width_px, key)
            blurry = render(shown.picture, exposure).blurry
            pair = Pair(blurry=blurry, sharp=shown.picture, name=f"{severity}_{number:03d}.png")
            yield TextPair(pair=pair, text=shown.text, area=around)


class DrawnSigns(Photographs):
    """`count` sharp signs, in equal shares, to simulate blur on; each is drawn and cached when it is first needed."""

    def __init__(self, count: int, style: SignStyle, behind: Photographs | None, source: str) -> None:
        """Draw signs before the photographs `behind`, or before soft colours. Raises UnblurError as `sign` does."""
        pictures = _Pictures(count, style, behind)
        # A sign that cannot be drawn raises here, before training starts.
        pictures[0]
        super().__init__(
            source=source,
            names=[f"sign_{number:04d}" for number in range(count)],
            photos=pictures,
            weights=torch.full((count,), 1 / count, dtype=torch.float64),
        )

    @property
    def shortest_side_px(self) -> int:
        """The shortest side of a sign; all signs are equally large."""
        return min(self.photos[0].shape[1:])


class _Pictures(Sequence[Tensor]):
    """Sequence of signs, (3, H, W) uint8.

    It is safe to use from threads; Matplotlib draws for one of them at a time.
    """

    def __init__(self, count: int, style: SignStyle, behind: Photographs | None) -> None:
        self.numbers, self.style, self.behind = range(count), style, behind
        self._drawn: dict[int, Tensor] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, number: int) -> Tensor: ...
    @overload
    def __getitem__(self, number: slice) -> list[Tensor]: ...
    def __getitem__(self, number: int | slice) -> Tensor | list[Tensor]:
        if isinstance(number, slice):
            return [self[one] for one in self.numbers[number]]
        place = self.numbers[number]
        with self._lock:
            if place not in self._drawn:
                picture = draw_sign(place, self.style, self.behind).picture
                self._drawn[place] = (picture * 255).round().to(torch.uint8)
            return self._drawn[place]


def draw_signs(count: int, style: SignStyle, photos: Photographs) -> DrawnSigns:
    """Draw signs in front of parts of those of `photos` that are large enough, or of soft colours where none is.

    Raises UnblurError as `sign` does.
    """
    wide = [photo.shape[1] >= style.height_px and photo.shape[2] >= style.width_px for photo in photos.photos]
    behind = Photographs(
        source=photos.source,
        names=list(compress(photos.names, wide)),
        photos=list(compress(photos.photos, wide)),
        weights=photos.weights[torch.tensor(wide)],
    )
    return DrawnSigns(count, style, behind if len(behind) else None, f"Signs before {photos.source}")


def draw_sign(number: int, settings: SignStyle, photos: Photographs | None = None) -> Sign:
    """Draw sign `number` of a set in front of a part of a photograph, or of soft colours where there are none.

    Raises UnblurError when letters do not fit, when a photograph is smaller than the picture, and when Matplotlib,
    which draws text, is missing.
    """
    generator = make_generator(settings.seed, "sign", number)
    low, high = settings.capital_px
    capital_px = low * (high / low) ** _draw_uniform(generator)
    font = settings.fonts[_draw_below(len(settings.fonts), generator)]
    board, letters = BOARDS[_draw_below(len(BOARDS), generator)]
    border_px, spacing_px = round(2 * SPACING * capital_px), round(SPACING * capital_px)
    width_px, height_px = (side - 2 * (MARGIN_PX + border_px) for side in (settings.width_px, settings.height_px))
    most = int((height_px + spacing_px) / (math.ceil((ABOVE + BELOW) * capital_px) + spacing_px))
    if most < 1 or width_px < 4 * capital_px:
        raise UnblurError(
            f"Letters {capital_px:.0f} px high do not fit on a sign in {settings.width_px} x {settings.height_px} "
            "pixels; ask for larger pictures or smaller letters."
        )
    texts, lines = [], []
    for _ in range(min(1 + _draw_below(settings.most_lines, generator), most)):
        text, line = _choose_line(width_px, font, capital_px, settings.invented, generator)
        texts.append(text)
        lines.append(line)
    coverage = _stack_lines(lines, spacing_px, border_px)
    height, width = coverage.shape
    top = MARGIN_PX + _draw_below(settings.height_px - 2 * MARGIN_PX - height + 1, generator)
    left = MARGIN_PX + _draw_below(settings.width_px - 2 * MARGIN_PX - width + 1, generator)
    light = srgb_to_linear(_draw_background(settings, photos, number))
    ink, plain = (srgb_to_linear(torch.tensor(colour).view(3, 1, 1) / 255) for colour in (letters, board))
    light[:, top : top + height, left : left + width] = plain + coverage * (ink - plain)
    picture = (linear_to_srgb(light) * 255).round() / 255
    return Sign(picture=picture, text="\n".join(texts), board=(top, left, height, width))


def _choose_line(
    room_px: int, font: Font, capital_px: float, invented: bool, generator: torch.Generator
) -> tuple[str, Tensor]:
    """Return one to three words or numbers, as many as fit, and their coverage."""
    text, line = "", torch.empty(0, 0)
    wanted = 1 + _draw_below(3, generator)
    while wanted > 0:
        longer = f"{text} {_draw_item(invented, generator)}".strip()
        drawn = draw_line(longer, font, capital_px)
        if drawn.shape[1] > room_px:
            if text:
                break
            continue  # Numbers fit where words do not.
        text, line, wanted = longer, drawn, wanted - 1
    return text, line


def _draw_item(invented: bool, generator: torch.Generator) -> str:
    """Return a word, or, as often, something that no dictionary knows: a number, or a letter and a number."""
    kind = _draw_uniform(generator)
    if kind < 0.5:
        words = [_invent_word(generator)] if invented else WORDS.split()
        word = words[_draw_below(len(words), generator)]
        return word if _draw_uniform(generator) < 0.6 else word.capitalize()
    digits = str(1 + _draw_below(9999, generator))
    return digits if kind < 0.8 else f"{'ABCDEFGHKLMNPRSTUVWXYZ'[_draw_below(22, generator)]}{digits}"


def _invent_word(generator: torch.Generator) -> str:
    letters = [ascii_uppercase[_draw_below(26, generator)] for _ in range(2 + _draw_below(8, generator))]
    word = "".join(letters)
    return word if _draw_uniform(generator) < 0.5 else word.lower()


def _stack_lines(lines: list[Tensor], spacing_px: int, border_px: int) -> Tensor:
    """Return lines one below the other, centred, (H, W)."""
    width = max(line.shape[1] for line in lines)
    rows = []
    for line in lines:
        left = (width - line.shape[1]) // 2
        rows.append(F.pad(line, (left, width - line.shape[1] - left, 0, spacing_px)))
    # The last line's spacing is part of the border below.
    return F.pad(torch.cat(rows), (border_px, border_px, border_px, border_px - spacing_px))


def _draw_background(settings: SignStyle, photos: Photographs | None, number: int) -> Tensor:
    """Return the background of sign `number`, (3, H, W) sRGB in [0, 1]."""
    generator = make_generator(settings.seed, "background", number)
    height, width = settings.height_px, settings.width_px
    if photos is None:
        coarse = (
            0.2 + 0.5 * torch.rand(1, 1, 5, 7, generator=generator) + 0.2 * torch.rand(1, 3, 5, 7, generator=generator)
        )
        return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False)[0].clamp(0, 1)
    which = _draw_below(len(photos), generator)
    photo = photos.photos[which]
    if photo.shape[1] < height or photo.shape[2] < width:
        raise UnblurError(
            f"In {photos.source}, {photos.names[which]} is {photo.shape[2]} x {photo.shape[1]} pixels; "
            f"signs hang before photographs of at least {width} x {height}, so remove it."
        )
    top, left = _draw_below(photo.shape[1] - height + 1, generator), _draw_below(photo.shape[2] - width + 1, generator)
    return photo[:, top : top + height, left : left + width].float() / 255


def _draw_uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _draw_below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
