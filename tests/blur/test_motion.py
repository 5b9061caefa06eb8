"""The exported motion, held against what the renderer does."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from unblur.blur import Camera, Exposure, Layer, compute_motion_field, render, sample_exposure
from unblur.blur.matte import Frame, Shape
from unblur.photos.color import linear_to_srgb, srgb_to_linear

SIDE = 160
FRAME = Frame(left_px=0.0, top_px=0.0, width_px=SIDE, height_px=SIDE)
CLEAN = Camera(
    extent_px=(4, 16),
    still_share=0,
    noise_share=0,
    jpeg_share=0,
    highlight_share=0,
    object_share=0,
    planes_share=0,
    defocus_share=0,
    rolling_share=0,
    mosaic_share=0,
)


def moved(pixels: list[tuple[float, float]], *layers: Layer) -> Exposure:
    return Exposure(
        poses=tuple((0.0, 0.0, 0.0, x / 500, y / 500, 0.0) for x, y in pixels),
        focal_px=500.0,
        principal_px=(79.5, 79.5),
        frame=FRAME,
        layers=layers,
    )


def smooth_photo(seed: int = 0) -> torch.Tensor:
    noise = torch.rand(3, SIDE + 8, SIDE + 8, generator=torch.Generator().manual_seed(seed))
    return F.avg_pool2d(noise, 9, 1).sub(0.5).mul(4).add(0.5).clamp(0, 1)


def test_uniform_motion_is_exported_as_it_is() -> None:
    field = compute_motion_field(moved([(-3.0, -4.0), (0.0, 0.0), (3.0, 4.0)]), SIDE, SIDE)
    assert field.start.shape == field.end.shape == (2, 10, 10)
    torch.testing.assert_close(field.start, torch.tensor([-3.0, -4.0])[:, None, None].expand(2, 10, 10))
    torch.testing.assert_close(field.magnitude_px, torch.full((10, 10), 10.0))


def test_the_quadratic_fit_of_a_quadratic_path_is_exact() -> None:
    s = torch.linspace(-1, 1, 21)
    path = [(2 * float(a) + 3 * float(a) ** 2 - 1, -float(a)) for a in s]
    c0, c1, c2 = compute_motion_field(moved(path), SIDE, SIDE).fit_quadratic()[:, :, 4, 4]
    torch.testing.assert_close(
        torch.stack([c0, c1, c2]), torch.tensor([[-1.0, 0.0], [2.0, -1.0], [3.0, 0.0]]), atol=1e-4, rtol=0
    )


def test_a_still_photograph_has_no_motion() -> None:
    field = compute_motion_field(moved([(0.0, 0.0)]), SIDE, SIDE)
    assert not field.fit_quadratic().any()
    assert not field.magnitude_px.any()


def test_the_nearest_layer_is_the_one_that_moves() -> None:
    disk = (Shape(centre=(0.5, 0.5), radii=(0.25, 0.25)),)
    own = tuple((0.0, 0.0, 0.0, x / 500, 0.0, 0.0) for x in (-6.0, 6.0))
    field = compute_motion_field(moved([(0.0, -1.0), (0.0, 1.0)], Layer(), Layer(matte=disk, poses=own)), SIDE, SIDE)
    torch.testing.assert_close(field.end[:, 5, 5], torch.tensor([6.0, 1.0]))
    torch.testing.assert_close(field.end[:, 0, 0], torch.tensor([0.0, 1.0]))


def test_cropping_an_exposure_crops_its_motion() -> None:
    exposure = sample_exposure(replace(CLEAN, relief_share=1), SIDE, SIDE, seed=2)
    whole = compute_motion_field(exposure, SIDE, SIDE)
    part = compute_motion_field(exposure.crop(32, 48), 96, 96)
    torch.testing.assert_close(part.offsets, whole.offsets[:, :, 3:9, 2:8], atol=1e-3, rtol=0)


@pytest.mark.parametrize("rolling", [0, 1])
def test_reblurring_the_sharp_photograph_with_the_exported_trajectories_gives_the_blurry_one(rolling: int) -> None:
    """Expect 45 dB in the mean and 38 dB at least on still scenes; trajectories are known at every 16th pixel only."""
    decibels = []
    for seed in range(12):
        exposure = sample_exposure(replace(CLEAN, rolling_share=rolling), SIDE, SIDE, seed)
        rendering = render(smooth_photo(seed), exposure)
        offsets = compute_motion_field(exposure, SIDE, SIDE).offsets
        reblurred = linear_to_srgb(_reblurred(srgb_to_linear(rendering.sharp), offsets).clamp(0, 1))
        inner = slice(None), slice(24, -24), slice(24, -24)
        error = (reblurred - rendering.blurry)[inner].square().mean()
        decibels.append(-10 * math.log10(float(error)))
    assert sum(decibels) / len(decibels) > 45, decibels
    assert min(decibels) > 38, decibels


def _reblurred(light: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """Mean of the light at the offsets (T, 2, h, w), interpolated to every pixel; independent of the renderer."""
    dense = F.interpolate(offsets, (SIDE, SIDE), mode="bilinear", align_corners=False)
    pixels = torch.stack(torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="xy")).float()
    total = torch.zeros_like(light)
    for offset in dense:
        grid = ((pixels + offset + 0.5) / SIDE * 2 - 1).permute(1, 2, 0)[None]
        total += F.grid_sample(light[None], grid, padding_mode="reflection", align_corners=False)[0]
    return total / len(offsets)
