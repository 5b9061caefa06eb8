"""Layers: what hides what, what lies behind, and how far things seem to move."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve

from unblur.blur import Camera, Exposure, Layer, render, sample_exposure
from unblur.blur.average import average_over_poses
from unblur.blur.matte import Frame, Shape, compute_coverage, sample_figure
from unblur.blur.scene import composite, defocus, fill_holes, interpolate_disparity, render_layers
from unblur.photos.color import linear_to_srgb, srgb_to_linear

HEIGHT, WIDTH, FOCAL_PX = 60, 80, 500.0
FRAME = Frame(left_px=0.0, top_px=0.0, width_px=WIDTH, height_px=HEIGHT)
STILL = ((0.0,) * 6,)
DISK = (Shape(centre=(0.5, 0.5), radii=(0.25, 0.25), softness_px=1.0),)
CPU = torch.device("cpu")


def exposed(poses: tuple[tuple[float, ...], ...], *layers: Layer, readout: float = 0.0) -> Exposure:
    return Exposure(
        poses=poses,  # type: ignore[arg-type]
        focal_px=FOCAL_PX,
        principal_px=((WIDTH - 1) / 2, (HEIGHT - 1) / 2),
        frame=FRAME,
        layers=layers,
        readout=readout,
    )


def sideways(pixels: list[float]) -> tuple[tuple[float, ...], ...]:
    return tuple((0.0, 0.0, 0.0, x / FOCAL_PX, 0.0, 0.0) for x in pixels)


def random_photo(seed: int = 0) -> torch.Tensor:
    return torch.rand(3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def observed(light: torch.Tensor, exposure: Exposure, *pictures: torch.Tensor | None) -> torch.Tensor:
    return average_over_poses(render_layers(light, exposure, pictures), exposure)


def test_a_shape_covers_its_area() -> None:
    share = compute_coverage(DISK, FRAME, HEIGHT, WIDTH, CPU)
    assert math.isclose(float(share.sum()), math.pi * 15**2, rel_tol=0.01)
    assert share[0, 30, 40] == 1
    assert share[0, 0, 0] == 0


def test_a_crop_of_a_frame_shows_the_same_part_of_a_shape() -> None:
    outline = sample_figure((0.5, 0.5), 0.4, 2.0, FRAME, torch.Generator().manual_seed(1))
    whole = compute_coverage(outline, FRAME, HEIGHT, WIDTH, CPU)
    part = compute_coverage(outline, replace(FRAME, left_px=-20.0, top_px=-10.0), 40, 30, CPU)
    torch.testing.assert_close(part, whole[:, 10:50, 20:50])
    assert 0.02 < whole.mean() < 0.5


def test_filling_keeps_known_pixels_and_continues_them() -> None:
    ramp = torch.linspace(0, 1, WIDTH).expand(3, HEIGHT, WIDTH)
    hole = compute_coverage(DISK, FRAME, HEIGHT, WIDTH, CPU)
    result = fill_holes(torch.where(hole > 0, 5.0, ramp), (hole == 0).float())
    assert torch.equal(result[:, hole[0] == 0], ramp[:, hole[0] == 0])
    assert (result - ramp).abs().max() < 0.2


def test_defocus_is_convolution_with_a_disk() -> None:
    offsets = np.arange(-4, 5)
    disk = np.clip(3.5 - np.hypot(offsets[:, None], offsets), 0, 1)
    light = random_photo()
    expected = np.stack([convolve(channel, disk / disk.sum(), mode="nearest") for channel in light.numpy()])
    np.testing.assert_allclose(defocus(light, 3.0).numpy(), expected, atol=1e-5)
    assert torch.equal(defocus(light, 0.0), light)


def test_displacement_is_in_proportion_to_disparity() -> None:
    """The parallax between two planes is the ratio of their distances."""
    point = torch.zeros(3, HEIGHT, WIDTH)
    point[:, 30, 40] = 1.0
    places = {}
    for disparity in (0.5, 1.0, 1.5):
        light = observed(point, exposed(sideways([12.0]), Layer(disparity=((disparity,),))))
        places[disparity] = 40 - int(light[0, 30].argmax())
    assert places == {0.5: 6, 1.0: 12, 1.5: 18}


def test_a_relief_moves_each_place_by_its_own_disparity() -> None:
    tilted = Layer(disparity=((0.5, 1.5), (0.5, 1.5)))
    relief = interpolate_disparity(tilted, FRAME, HEIGHT, WIDTH, CPU)
    assert isinstance(relief, torch.Tensor)
    torch.testing.assert_close(relief[7], torch.linspace(0.5, 1.5, WIDTH))
    ramp = torch.arange(WIDTH, dtype=torch.float32).expand(3, HEIGHT, WIDTH) / 100
    moved = (observed(ramp, exposed(sideways([10.0]), tilted)) - ramp)[0, 7, :60] * 100
    torch.testing.assert_close(moved, 10 * torch.linspace(0.5, 1.5, WIDTH)[:60], atol=1e-3, rtol=0)


def test_a_relief_of_equal_points_is_a_plane() -> None:
    poses = sideways([-4.0, 0.0, 4.0])
    plane = observed(random_photo(), exposed(poses, Layer(disparity=((0.7,),))))
    relief = observed(random_photo(), exposed(poses, Layer(disparity=((0.7,) * 4,) * 4)))
    torch.testing.assert_close(relief, plane, atol=1e-4, rtol=0)


def test_a_moving_object_blurs_itself_and_nothing_else() -> None:
    steps = [float(x) for x in range(-5, 6)]
    thing = Layer(matte=DISK, poses=sideways(steps), picture="other.png")  # type: ignore[arg-type]
    still = exposed(STILL * len(steps), Layer(), thing)
    rendering = render(random_photo(), still, pictures=[None, random_photo(1)])
    away = compute_coverage((replace(DISK[0], radii=(0.37, 0.37)),), FRAME, HEIGHT, WIDTH, CPU)[0] == 0
    torch.testing.assert_close(rendering.blurry[:, away], random_photo()[:, away], atol=2e-4, rtol=0)
    within = compute_coverage((replace(DISK[0], radii=(0.12, 0.12)),), FRAME, HEIGHT, WIDTH, CPU)[0] == 1
    assert (rendering.blurry - rendering.sharp)[:, within].abs().mean() > 0.1
    torch.testing.assert_close(rendering.sharp[:, within], random_photo(1)[:, within], atol=1e-5, rtol=0)


def test_a_followed_object_is_sharp_before_a_blurred_background() -> None:
    steps = [float(x) for x in range(-5, 6)]
    against = sideways([-x for x in steps])
    thing = Layer(matte=DISK, poses=against, picture="other.png")  # type: ignore[arg-type]
    rendering = render(random_photo(), exposed(sideways(steps), Layer(), thing), pictures=[None, random_photo(1)])
    within = compute_coverage((replace(DISK[0], radii=(0.2, 0.2)),), FRAME, HEIGHT, WIDTH, CPU)[0] == 1
    torch.testing.assert_close(rendering.blurry[:, within], random_photo(1)[:, within], atol=1e-4, rtol=0)
    assert (rendering.blurry - rendering.sharp)[:, :10].abs().mean() > 0.1


def test_light_that_an_object_blocks_for_a_share_of_the_exposure_is_missing_by_that_share() -> None:
    """Light at the edge of a black moving object before a white wall is the share of time without the object."""
    steps = [float(x) for x in range(-8, 9)]
    thing = Layer(matte=DISK, poses=sideways(steps), picture="black.png")  # type: ignore[arg-type]
    white, black = torch.ones(3, HEIGHT, WIDTH), torch.zeros(3, HEIGHT, WIDTH)
    light = observed(white, exposed(STILL * len(steps), Layer(), thing), None, black)
    matte = compute_coverage(DISK, FRAME, HEIGHT, WIDTH, CPU)
    covered = torch.stack([matte.roll(int(x), dims=2) for x in steps]).mean(dim=0)
    torch.testing.assert_close(light[:1], 1 - covered, atol=1e-4, rtol=0)


def test_the_nearer_layer_hides_the_farther() -> None:
    layers = [
        torch.zeros(3, 4, 4),
        torch.ones(4, 4, 4) * 0.5,
        torch.cat([torch.full((3, 4, 4), 0.2), torch.ones(1, 4, 4)]),
    ]
    torch.testing.assert_close(composite(layers), torch.full((3, 4, 4), 0.2))


def test_every_row_of_a_rolling_shutter_has_its_own_part_of_the_path() -> None:
    """A path that rests, then moves: the first rows stay sharp, the last are blurred."""
    path = [0.0] * 30 + [float(x) for x in range(31)]
    light = srgb_to_linear(random_photo())
    blurry = observed(light, exposed(sideways(path), readout=0.5))
    error = (blurry - light).abs().mean(dim=(0, 2))
    assert error[:3].max() < 0.02
    assert error[-3:].min() > 0.1


def test_without_readout_time_a_rolling_shutter_is_a_global_one() -> None:
    path = sideways([float(x) for x in range(-6, 7)])
    almost = observed(random_photo(), exposed(path, readout=1e-9))
    torch.testing.assert_close(almost, observed(random_photo(), exposed(path)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("margin_px", [0, 12])
def test_convolution_equals_sampling_where_the_blur_is_uniform(margin_px: int) -> None:
    steps = torch.randn(21, 2, generator=torch.Generator().manual_seed(3)).cumsum(0)
    steps = steps - steps.mean(0)
    poses = tuple((0.0, 0.0, 0.0, x / FOCAL_PX, y / FOCAL_PX, 0.0) for x, y in steps.tolist())
    layers = render_layers(random_photo(), exposed(poses), ())
    sampled = average_over_poses(layers, exposed(poses), margin_px)
    convolved = average_over_poses(layers, exposed(poses), margin_px, tolerance_px=0.01)
    inner = slice(None), slice(10 - min(10, margin_px), -10 + margin_px or None), slice(14, -14)
    torch.testing.assert_close(convolved[inner], sampled[inner], atol=1e-4, rtol=0)


def test_the_faster_way_stays_within_its_tolerance() -> None:
    """A tenth of a pixel of displacement changes smooth pictures by a tenth of their slope at most."""
    camera = Camera(still_share=0, relief_share=0, planes_share=0, object_share=0, defocus_share=0, rolling_share=0)
    camera = replace(camera, noise_share=0, mosaic_share=0, jpeg_share=0, highlight_share=0, extent_px=(2, 12))
    smooth = torch.nn.functional.avg_pool2d(random_photo(), 7, 1, 3)
    slope = max(float(smooth.diff(dim=d).abs().max()) for d in (1, 2))
    for seed in range(20):
        exposure = sample_exposure(camera, HEIGHT, WIDTH, seed)
        layers = render_layers(smooth, exposure, ())
        inner = slice(None), slice(14, -14), slice(14, -14)
        difference = average_over_poses(layers, exposure)[inner] - average_over_poses(layers, exposure, 0, 0.1)[inner]
        assert difference.abs().max() <= 0.1 * slope * math.sqrt(2) + 1e-4


def test_drawn_scenes_keep_flat_light_flat_and_render_alike_from_their_record() -> None:
    grey = torch.full((3, HEIGHT, WIDTH), 0.4)
    quiet = Camera(noise_share=0, mosaic_share=0, jpeg_share=0, highlight_share=0, extent_px=(2, 20))
    for seed in range(40):
        exposure = sample_exposure(quiet, HEIGHT, WIDTH, seed)
        torch.testing.assert_close(render(grey, exposure).blurry, grey, atol=1e-4, rtol=0)


def test_clipped_light_is_marked() -> None:
    bright = torch.full((3, HEIGHT, WIDTH), 0.2)
    bright[:, 20:40, 30:50] = 1.0
    rendering = render(bright, replace(exposed(STILL), highlight_gain=2.0))
    assert rendering.saturated.sum() == 400
    assert rendering.saturated[0, 20:40, 30:50].all()
    assert linear_to_srgb(torch.ones(1)).item() == pytest.approx(1.0)


def test_views_made_together_as_on_an_accelerator_are_the_views_made_one_by_one() -> None:
    photo = random_photo()
    camera = Camera(extent_px=(3, 20), object_share=0.7, planes_share=0.5, rolling_share=0.5)
    kinds = set()
    for seed in range(12):
        exposure = sample_exposure(camera, HEIGHT, WIDTH, seed)
        layers = render_layers(photo, exposure, ())
        kinds.add((len(layers) > 1, exposure.readout > 0))
        alone = average_over_poses(layers, exposure, 5)
        for poses_at_once in (7, 1000):
            together = average_over_poses(layers, exposure, 5, poses_at_once=poses_at_once)
            torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    assert len(kinds) == 4
