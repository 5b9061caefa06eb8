"""NIQE, BRISQUE and PIQE against other people's code, whose numbers for the two example photographs stand here."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import gennorm
from torch import Tensor
from torch.nn import functional as F

from unblur.errors import UnblurError
from unblur.metrics import brisque, niqe, piqe
from unblur.metrics.natural_scenes import fit_asymmetric_gaussian, fit_gaussian, halve

ALL = pytest.mark.parametrize("metric", [niqe, brisque, piqe])
Metric = Callable[[Tensor], Tensor]


def test_niqe_agrees_with_basicsr(blurry: Tensor, sharp: Tensor) -> None:
    # basicsr 1.4.2, calculate_niqe(..., crop_border=0, convert_to="y"), which computes in float32.
    assert niqe(torch.cat([blurry, sharp])).tolist() == pytest.approx([6.490475, 2.254796], abs=2e-3)


def test_brisque_agrees_with_libsvm_on_the_converted_release(blurry: Tensor, sharp: Tensor) -> None:
    # The release's brisque_feature.m retold with SciPy, its allmodel evaluated by LIBSVM 3.37.
    assert brisque(torch.cat([blurry, sharp])).tolist() == pytest.approx([24.112344, 7.298143], abs=1e-3)


def test_piqe_agrees_with_pypiqe(blurry: Tensor, sharp: Tensor) -> None:
    # pypiqe 1.2 on the gray image that rgb2gray makes.
    assert piqe(torch.cat([blurry, sharp])).tolist() == pytest.approx([45.618358837882, 31.019020427811], abs=1e-8)


@ALL
def test_blur_makes_it_worse(metric: Metric, sharp: Tensor) -> None:
    values = [metric(F.avg_pool2d(F.pad(sharp, (n,) * 4, mode="replicate"), 2 * n + 1, 1)).item() for n in (0, 1, 3)]
    assert values == sorted(values)
    assert values[0] < values[1] < values[2]


@ALL
def test_noise_makes_it_worse(metric: Metric, sharp: Tensor) -> None:
    noise = torch.randn(sharp.shape, dtype=sharp.dtype, generator=torch.Generator().manual_seed(0))
    assert metric(sharp).item() < metric((sharp + 0.1 * noise).clamp(0, 1)).item()


@ALL
def test_images_are_independent_and_keep_their_type(metric: Metric, blurry: Tensor, sharp: Tensor) -> None:
    pair = torch.cat([blurry, sharp])[..., :200, :256].float()
    measured = metric(pair)
    assert measured.dtype == torch.float32
    assert measured.tolist() == pytest.approx([metric(image[None]).item() for image in pair], rel=1e-5)


@ALL
@pytest.mark.parametrize(
    ("image", "said"),
    [
        (torch.zeros(1, 3, 15, 300), r"at least .* not 300 x 15"),
        (torch.full((1, 3, 200, 200), math.nan), "NaN"),
        (torch.zeros(3, 200, 200), "batch axis"),
        (torch.zeros(1, 1, 200, 200), r"\(1, 1, 200, 200\)"),
        (torch.zeros(1, 3, 200, 200).byte(), "uint8"),
    ],
)
def test_what_cannot_be_measured_is_refused(metric: Metric, image: Tensor, said: str) -> None:
    with pytest.raises(UnblurError, match=said):
        metric(image)


def test_flat_images_have_no_statistics() -> None:
    flat = torch.full((1, 3, 200, 200), 0.3)
    with pytest.raises(UnblurError, match="0 of 4 blocks"):
        niqe(flat)
    with pytest.raises(UnblurError, match="flat"):
        brisque(torch.zeros(1, 3, 200, 200))
    assert piqe(flat).tolist() == [100]
    assert piqe(torch.zeros(1, 3, 16, 16)).tolist() == [100]


def test_niqe_refuses_a_single_block() -> None:
    with pytest.raises(UnblurError, match="two blocks"):
        niqe(torch.rand(1, 3, 191, 191))


def test_niqe_leaves_flat_blocks_out(sharp: Tensor) -> None:
    # Clipped skies are common; the statistics of the rest still count.
    clipped = sharp[..., :192, :288].clone()
    clipped[..., :96, :96] = 1
    assert niqe(clipped).isfinite().all()


@pytest.mark.parametrize("shape", [0.5, 1, 2, 4])
def test_the_fits_find_what_scipy_drew(shape: float) -> None:
    drawn = torch.from_numpy(gennorm.rvs(shape, size=(1, 200_000), random_state=0))
    fitted, variance = fit_gaussian(drawn)
    assert fitted.item() == pytest.approx(shape, rel=0.03)
    assert variance.item() == pytest.approx(gennorm.var(shape), rel=0.05)
    # Two halves of unlike width make an asymmetric one, its sides in proportion.
    widened = torch.where(drawn < 0, drawn, 2 * drawn)
    chosen = torch.rand(drawn.shape, generator=torch.Generator().manual_seed(0)) < torch.where(drawn < 0, 0.5, 1.0)
    fitted, left, right = fit_asymmetric_gaussian(widened[chosen][None])
    assert fitted.item() == pytest.approx(shape, rel=0.03)
    assert (right / left).item() == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(("height", "width"), [(64, 48), (63, 49)])
def test_half_size_agrees_with_pillow_inside(height: int, width: int, sharp: Tensor) -> None:
    levels = sharp[0, 1, :height, :width] * 255
    ours = halve(levels)
    assert ours.shape == ((height + 1) // 2, (width + 1) // 2)
    if height % 2 == 0:
        # Pillow stretches odd sides to fit, MATLAB does not.
        image = Image.fromarray(levels.float().numpy())
        theirs = np.array(image.resize((width // 2, height // 2), Image.Resampling.BICUBIC))
        np.testing.assert_allclose(ours[2:-2, 2:-2].numpy(), theirs[2:-2, 2:-2], atol=1e-3)


def test_half_size_preserves_constant_images() -> None:
    torch.testing.assert_close(halve(torch.full((1, 7, 10), 93.0)), torch.full((1, 4, 5), 93.0))
