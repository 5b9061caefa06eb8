"""Laws of the way from light to pixels: mosaic, noise, demosaicing, response."""

import math
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from unblur.blur.sensor import A7R3_RESPONSE, Pattern, Sensor, demosaic, develop, expose, photograph, respond
from unblur.config import from_json, to_json
from unblur.errors import UnblurError
from unblur.photos.color import linear_to_srgb, srgb_to_linear

PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
SENSOR = Sensor(pattern="RGGB", red_gain=2.1, blue_gain=1.6, response="srgb")

# X-Rite ColorChecker Classic, sRGB in eight bits as published by the maker.
COLOR_CHECKER = """
    115 82 68   194 150 130  98 122 157   87 108 67   133 128 177  103 189 170
    214 126 44  80 91 166    193 90 99    94 60 108   157 188 64   224 163 46
    56 61 150   70 148 73    175 54 60    231 199 31  187 86 149   8 133 161
    243 243 242 200 200 200  160 160 160  122 122 121 85 85 85     52 52 52
"""


def light(height: int = 48, width: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def flat(red: float, green: float, blue: float, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.tensor([red, green, blue])[:, None, None].expand(3, height, width)


def clean(linear: torch.Tensor, sensor: Sensor) -> torch.Tensor:
    return photograph(linear, sensor, shot_noise=0.0, read_noise=0.0, seed=0)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_flat_light_stays_flat_for_any_gains(pattern: Pattern) -> None:
    for red_gain, blue_gain in ((1.0, 1.0), (1.9, 1.5), (2.4, 1.9), (0.5, 3.0)):
        sensor = replace(SENSOR, pattern=pattern, red_gain=red_gain, blue_gain=blue_gain)
        for grey in (0.0, 0.01, 0.4, 0.99, 1.0):
            torch.testing.assert_close(clean(flat(grey, grey, grey), sensor), flat(grey, grey, grey), atol=2e-6, rtol=0)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_colour_chart_keeps_its_colours(pattern: Pattern) -> None:
    colours = srgb_to_linear(torch.tensor([int(n) for n in COLOR_CHECKER.split()]).view(4, 6, 3) / 255)
    chart = colours.permute(2, 0, 1).repeat_interleave(12, dim=1).repeat_interleave(12, dim=2)
    away_from_edges = torch.zeros(12, 12, dtype=torch.bool)
    away_from_edges[2:-2, 2:-2] = True
    inside = away_from_edges.repeat(4, 6)
    taken = clean(chart, replace(SENSOR, pattern=pattern))
    torch.testing.assert_close(taken[:, inside], chart[:, inside], atol=1e-5, rtol=0)
    assert (taken - chart)[:, ~inside].abs().max() > 0.05  # Demosaicing is not the identity: edges show it.


def test_a_smooth_picture_is_nearly_unchanged() -> None:
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(80.0), indexing="ij")
    waves = [torch.cos(x / 9 + y / 11 + phase) for phase in (0.0, 1.0, 2.0)]
    smooth = 0.45 + 0.35 * torch.stack(waves)
    error = (clean(smooth, SENSOR) - smooth).abs()
    assert error[:, 2:-2, 2:-2].max() < 8e-3
    assert error.mean() < 3e-3


def test_demosaicing_is_that_of_malvar_he_and_cutler() -> None:
    """Golden numbers of colour-demosaicing 0.2.7 (`demosaicing_CFA_Bayer_Malvar2004`): rows and columns 2 to 3."""
    mosaic = torch.tensor(
        [
            [208, 145, 80, 155, 133, 161],
            [99, 68, 78, 159, 218, 249],
            [50, 204, 71, 95, 213, 186],
            [25, 71, 168, 252, 179, 58],
            [175, 222, 238, 226, 41, 47],
            [194, 159, 118, 56, 148, 225],
        ]
    ).float()
    sixteenths: dict[Pattern, list[list[list[int]]]] = {
        "RGGB": [[[1136, 1537], [2470, 4244]], [[1586, 1520], [2688, 4000]], [[1309, 2580], [2558, 4032]]],
        "BGGR": [[[1309, 2580], [2558, 4032]], [[1586, 1520], [2688, 4000]], [[1136, 1537], [2470, 4244]]],
        "GRBG": [[[1794, 1520], [3804, 3661]], [[1136, 1998], [3072, 4032]], [[1205, 1399], [2688, 4127]]],
        "GBRG": [[[1205, 1399], [2688, 4127]], [[1136, 1998], [3072, 4032]], [[1794, 1520], [3804, 3661]]],
    }
    for pattern, expected in sixteenths.items():
        assert torch.equal(demosaic(mosaic, pattern)[:, 2:4, 2:4] * 16, torch.tensor(expected).float())


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_mosaic_selects_the_colour_of_each_filter(pattern: Pattern) -> None:
    plain = replace(SENSOR, pattern=pattern, red_gain=1.0, blue_gain=1.0)
    weaker = replace(plain, red_gain=2.0, blue_gain=4.0)
    darker = expose(light(), plain) / expose(light(), weaker)
    factor = {"R": 2.0, "G": 1.0, "B": 4.0}
    for place, colour in enumerate(pattern):
        there = darker[place // 2 :: 2, place % 2 :: 2]
        torch.testing.assert_close(there, torch.full_like(there, factor[colour]))


def test_camera_colours_are_those_of_rsblurs_matrices() -> None:
    # Both matrices at the full precision of RSBlur's a7r3_xyz2cam.mat and M_lin2xyz.mat, multiplied by NumPy.
    to_camera = np.array(
        [
            [0.596505873, 0.2536655, 0.1498286271],
            [0.0610020148, 0.7203618164, 0.2186361688],
            [0.0092425968, 0.206654885, 0.7841025183],
        ]
    )
    plain = replace(SENSOR, red_gain=1.0, blue_gain=1.0)
    raw = expose(flat(0.9, 0.3, 0.1), plain)
    expected = to_camera @ [0.9, 0.3, 0.1]
    np.testing.assert_allclose([raw[0, 0], raw[0, 1], raw[1, 1]], expected, atol=2e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_exposing_what_was_developed_gives_back_the_mosaic(pattern: Pattern) -> None:
    sensor = replace(SENSOR, pattern=pattern)
    raw = light(33, 47)[0]
    torch.testing.assert_close(expose(develop(raw, sensor), sensor), raw, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 5), (31, 44), (30, 45), (33, 47)])
def test_borders_are_mirrored_at_any_size(height: int, width: int) -> None:
    picture = light(height, width)
    beyond = F.pad(picture, (2, 3, 2, 3), mode="reflect")
    whole = clean(beyond, SENSOR)[:, 2 : 2 + height, 2 : 2 + width]
    alone = clean(picture, SENSOR)
    assert alone.shape == picture.shape
    torch.testing.assert_close(alone, whole, atol=1e-6, rtol=0)


def test_a_crop_by_an_odd_number_of_pixels_shifts_the_pattern() -> None:
    whole = clean(light(), SENSOR)
    shifted: dict[Pattern, tuple[int, int]] = {"GRBG": (0, 1), "GBRG": (1, 0), "BGGR": (1, 1)}
    for pattern, (top, left) in shifted.items():
        part = clean(light()[:, top:, left:], replace(SENSOR, pattern=pattern))
        torch.testing.assert_close(part[:, 2:, 2:], whole[:, top + 2 :, left + 2 :], atol=1e-6, rtol=0)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_raw_noise_has_the_variance_it_claims(pattern: Pattern) -> None:
    """A flat field, read back from the finished picture: demosaicing keeps what each filter let through."""
    sensor = replace(SENSOR, pattern=pattern)
    field = flat(0.5, 0.4, 0.3, 240, 240)
    raw = expose(photograph(field, sensor, shot_noise=4e-4, read_noise=6e-3, seed=1), sensor)
    noise = raw - expose(field, sensor)
    for place in range(4):
        there = slice(place // 2, None, 2), slice(place % 2, None, 2)
        signal = expose(field, sensor)[there].mean().item()
        assert math.isclose(noise[there].var().item(), 4e-4 * signal + 36e-6, rel_tol=0.06)
        assert abs(noise[there].mean().item()) < 4e-4
    beside = (noise[:, 1:] * noise[:, :-1]).mean() / noise.square().mean()
    assert abs(beside) < 0.02


def test_noise_in_the_picture_is_spread_over_neighbours() -> None:
    field = flat(0.4, 0.4, 0.4, 240, 240)
    noise = photograph(field, SENSOR, shot_noise=4e-4, read_noise=0.0, seed=1) - field
    beside = (noise[:, :, 1:] * noise[:, :, :-1]).mean() / noise.square().mean()
    assert beside > 0.2


def test_saturated_channels_keep_their_clean_value() -> None:
    picture = light() * 0.9
    picture[:, 10:20, 10:20] = 3.0
    picture[0, 30:40, 30:40] = 1.0
    saturated = picture >= 1
    taken = photograph(picture, SENSOR, shot_noise=1e-2, read_noise=1e-2, seed=0)
    assert (taken[saturated] == 1).all()
    assert (taken != picture)[~saturated].float().mean() > 0.9
    assert taken.min() >= 0
    assert taken.max() <= 1


def test_the_same_seed_takes_the_same_photograph() -> None:
    first, again, other = (photograph(light(), SENSOR, 1e-4, 1e-3, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_work_is_done_where_the_picture_lies() -> None:
    somewhere = torch.empty(3, 9, 12, device="meta")
    assert develop(expose(somewhere, SENSOR), SENSOR).device == somewhere.device
    assert respond(somewhere, "a7r3").device == somewhere.device


def test_a_sensor_survives_json_and_refuses_unknown_patterns() -> None:
    assert from_json(to_json(SENSOR), Sensor) == SENSOR
    with pytest.raises(UnblurError, match="RGBG"):
        from_json(to_json(SENSOR).replace("RGGB", "RGBG"), Sensor)


@pytest.mark.parametrize(("height", "width"), [(3, 8), (8, 3)])
def test_a_picture_too_small_to_demosaic_is_refused(height: int, width: int) -> None:
    with pytest.raises(UnblurError, match=f"{width} x {height}"):
        clean(light(height, width), SENSOR)


def test_the_srgb_response_is_srgb() -> None:
    torch.testing.assert_close(respond(light(), "srgb"), linear_to_srgb(light()))


def test_the_a7r3_response_is_the_published_polynomial() -> None:
    linear = torch.linspace(0, 1, 2001)
    expected = np.polyval(A7R3_RESPONSE[::-1], linear.double().numpy()).clip(0, 1)
    np.testing.assert_allclose(respond(linear, "a7r3").numpy(), expected, atol=1e-4)
    # a7r3_polynomial_alpha.mat of RSBlur, at its full precision, evaluated by NumPy.
    published = {0.0: 0.0, 0.01: 0.0730942, 0.18: 0.7104886, 0.5: 0.9451566, 0.9: 0.9825691, 1.0: 1.0}
    ours = respond(torch.tensor(list(published)), "a7r3")
    np.testing.assert_allclose(ours, list(published.values()), atol=1e-4)


def test_the_a7r3_response_rises_but_for_its_published_dip() -> None:
    encoded = respond(torch.linspace(0, 1, 2001, dtype=torch.float64), "a7r3")
    below_peak = encoded.cummax(dim=0).values - encoded
    assert 0 < below_peak.max() < 7e-4
    assert below_peak[torch.linspace(0, 1, 2001) < 0.83].max() == 0
