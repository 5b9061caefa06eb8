"""Laws of the simulator: what exposing a photograph must and must not do."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from unblur.blur import Camera, Exposure, render, sample_exposure
from unblur.blur.average import average_over_poses
from unblur.blur.matte import Frame
from unblur.blur.render import extend_highlights, reach_px
from unblur.blur.scene import render_layers
from unblur.config import from_json, to_json
from unblur.photos.color import srgb_to_linear

CLEAN = Camera(
    still_share=0,
    noise_share=0,
    jpeg_share=0,
    highlight_share=0,
    relief_share=0,
    planes_share=0,
    object_share=0,
    defocus_share=0,
    rolling_share=0,
    mosaic_share=0,
)

STILL = Exposure(
    poses=((0.0,) * 6,),
    focal_px=500.0,
    principal_px=(31.5, 23.5),
    frame=Frame(left_px=0.0, top_px=0.0, width_px=64, height_px=48),
)


def photo(height: int = 48, width: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def lateral(pixels: list[float], focal_px: float = 500.0) -> tuple[tuple[float, ...], ...]:
    """Poses that shift the picture by so many pixels to the side, without turning it."""
    return tuple((0.0, 0.0, 0.0, x / focal_px, 0.0, 0.0) for x in pixels)


def averaged(light: torch.Tensor, exposure: Exposure, tolerance_px: float = 0.0) -> torch.Tensor:
    """Mean of linear `light` over the exposure."""
    return average_over_poses(render_layers(light, exposure, ()), exposure, tolerance_px=tolerance_px)


def test_zero_motion_is_the_identity() -> None:
    rendering = render(photo(), STILL)
    torch.testing.assert_close(rendering.blurry, photo(), atol=1e-6, rtol=0)
    assert torch.equal(rendering.sharp, photo())


def test_flat_light_stays_flat_under_any_motion() -> None:
    grey = torch.full((3, 48, 64), 0.4)
    for seed in range(5):
        exposure = sample_exposure(replace(CLEAN, extent_px=(5, 30)), 48, 64, seed)
        torch.testing.assert_close(render(grey, exposure).blurry, grey, atol=1e-5, rtol=0)


def test_uniform_translation_is_convolution_with_the_line_kernel_in_linear_light() -> None:
    shifts = [-2.0, -1.0, 0.0, 1.0, 2.0]
    exposure = replace(STILL, poses=lateral(shifts))
    linear = srgb_to_linear(photo()).double().numpy()
    expected = convolve1d(linear, np.full(5, 0.2), axis=2)[:, :, 4:-4]
    ours = srgb_to_linear(render(photo(), exposure).blurry).numpy()[:, :, 4:-4]
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_rotation_about_the_centre_leaves_the_centre_sharp() -> None:
    angles = np.linspace(-0.1, 0.1, 41)
    exposure = replace(STILL, poses=tuple((0.0, 0.0, float(a), 0.0, 0.0, 0.0) for a in angles))
    points = torch.zeros(3, 49, 65)
    points[:, 24, 32] = points[:, 24, 60] = 1.0
    exposure = replace(exposure, principal_px=(32.0, 24.0))
    light = averaged(points, exposure)
    assert light[0, 24, 32] > 0.95
    assert light[0, 24, 60] < 0.5


def test_a_point_light_draws_its_trajectory() -> None:
    # A pose looks where the light comes from, so the light itself is drawn on the other side.
    exposure = replace(STILL, poses=lateral([0.0, 3.0, 6.0]))
    point = torch.zeros(3, 48, 64)
    point[:, 20, 30] = 1.0
    light = averaged(point, exposure)[0]
    lit = {(int(y), int(x)) for y, x in torch.nonzero(light > 0.1)}
    assert lit == {(20, 30), (20, 27), (20, 24)}


def test_light_is_neither_lost_nor_made() -> None:
    point = torch.zeros(3, 101, 101)
    point[:, 50, 50] = 1.0
    for seed in range(10):
        exposure = sample_exposure(replace(CLEAN, extent_px=(8, 20), zoom=0.0), 101, 101, seed)
        assert math.isclose(float(averaged(point, exposure)[0].sum()), 1.0, rel_tol=0.05)


@pytest.mark.parametrize("extent_px", [2.0, 6.0, 24.0])
def test_the_blur_extent_is_the_one_asked_for(extent_px: float) -> None:
    """Measured independently on rendered points of light, not with the simulator's own displacements."""
    side = 241
    spots = [(60, 60), (60, 180), (120, 120), (180, 60), (180, 180)]
    measured = []
    for seed in range(8):
        camera = replace(CLEAN, extent_px=(extent_px, extent_px), roll=0.1, zoom=0.0)
        exposure = sample_exposure(camera, side, side, seed)
        for y, x in spots:
            point = torch.zeros(3, side, side)
            point[:, y, x] = 1.0
            rows, columns = torch.nonzero(averaged(point, exposure)[0] > 1e-6, as_tuple=True)
            # Bilinear sampling spreads each end by a pixel at most.
            box = (rows.max() - rows.min()).item() - 1, (columns.max() - columns.min()).item() - 1
            measured.append(math.hypot(max(0, box[0]), max(0, box[1])))
    assert abs(np.mean(measured) - extent_px) < 0.12 * extent_px + 1


def test_a_margin_equals_cropping_the_larger_picture() -> None:
    exposure = sample_exposure(replace(CLEAN, extent_px=(4, 8)), 80, 96, seed=3)
    whole = render(photo(80, 96), exposure)
    part = render(photo(80, 96)[:, 4:72, 10:90], exposure.crop(10, 4), margin_px=14)
    torch.testing.assert_close(part.blurry, whole.blurry[:, 18:58, 24:76], atol=1e-4, rtol=0)
    assert torch.equal(part.sharp, whole.sharp[:, 18:58, 24:76])


def test_reach_bounds_what_a_pixel_sees() -> None:
    for seed in range(5):
        exposure = sample_exposure(replace(CLEAN, extent_px=(10, 20)), 80, 80, seed)
        reach = reach_px(exposure, 80, 80)
        point = torch.zeros(3, 80, 80)
        point[:, 40, 40] = 1.0
        rows, columns = torch.nonzero(averaged(point, exposure)[0], as_tuple=True)
        assert max((rows - 40).abs().max(), (columns - 40).abs().max()) <= reach


def test_the_same_seed_draws_and_renders_the_same_photograph() -> None:
    camera = Camera(extent_px=(4, 8))
    first = sample_exposure(camera, 48, 64, seed=5)
    again = from_json(to_json(first), Exposure)
    assert again == first == sample_exposure(camera, 48, 64, seed=5)
    assert first != sample_exposure(camera, 48, 64, seed=6)
    assert torch.equal(render(photo(), first).blurry, render(photo(), again).blurry)


def test_changing_one_range_leaves_everything_else_drawn_alike() -> None:
    quiet = sample_exposure(replace(Camera(), noise_share=0.0), 48, 64, seed=5)
    noisy = sample_exposure(replace(Camera(), noise_share=1.0), 48, 64, seed=5)
    assert noisy.shot_noise > 0
    assert replace(noisy, shot_noise=0.0, read_noise=0.0) == quiet


def test_noise_has_the_variance_it_claims() -> None:
    grey = torch.full((3, 200, 200), 0.5)
    exposure = replace(STILL, shot_noise=1e-3, read_noise=5e-3)
    light = srgb_to_linear(torch.tensor(0.5)).item()
    noisy = srgb_to_linear(render(grey, exposure).blurry)
    assert math.isclose(noisy.var().item(), 1e-3 * light + 25e-6, rel_tol=0.05)
    assert math.isclose(noisy.mean().item(), light, rel_tol=0.01)


def test_saturated_lights_draw_streaks_that_stay_bright() -> None:
    dark = torch.full((3, 48, 64), 0.05)
    dark[:, 20:23, 30:33] = 1.0
    exposure = replace(STILL, poses=lateral([float(x) for x in range(-6, 7)]))
    plain = render(dark, exposure).blurry[:, 21, 31]
    streak = render(dark, replace(exposure, highlight_gain=8.0)).blurry[:, 21, 31]
    assert (plain < 0.6).all()
    torch.testing.assert_close(streak, torch.ones(3))


def test_extending_highlights_touches_nothing_else() -> None:
    linear = torch.linspace(0, 1, 100).expand(3, 1, 100)
    extended = extend_highlights(linear, 4.0)
    assert torch.equal(extended[..., :80], linear[..., :80])
    assert math.isclose(extended.max().item(), 5.0, rel_tol=1e-5)
    assert (extended.diff(dim=-1) > 0).all()


def test_jpeg_costs_what_its_quality_says() -> None:
    smooth = torch.nn.functional.avg_pool2d(photo(), 5, 1, 2)
    errors = [
        (render(smooth, replace(STILL, jpeg_quality=quality)).blurry - smooth).square().mean()
        for quality in (30, 60, 95)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


def test_extents_are_log_uniform_and_directions_flat() -> None:
    camera = replace(CLEAN, extent_px=(1.0, 64.0), roll=0.0, zoom=0.0)
    angles = []
    for seed in range(300):
        poses = torch.tensor(sample_exposure(camera, 100, 100, seed).poses)
        path = poses[:, 3:5] + poses[:, [1, 0]] * torch.tensor([1.0, -1.0])
        end = path[-1] - path[0]
        angles.append(math.atan2(end[1], end[0]))
    histogram, _ = np.histogram(angles, bins=6, range=(-math.pi, math.pi))
    assert histogram.min() > 25  # 50 expected in each sixth of the circle
