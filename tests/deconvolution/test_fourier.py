import torch
from scipy import fft as scipy_fft
from scipy.signal import fftconvolve

from unblur.deconvolution.fourier import (
    compute_difference_transfers,
    compute_taper,
    compute_transfer_function,
    extend,
    find_fast_length,
)


def test_fast_lengths_are_even_and_hardly_longer_than_scipys() -> None:
    for shortest in range(1, 3000, 37):
        length = find_fast_length(shortest)
        assert length >= shortest
        assert length % 2 == 0
        assert length <= 1.15 * scipy_fft.next_fast_len(shortest, real=True) + 2


def test_an_image_lies_unchanged_in_its_extension_and_wraps_without_an_edge() -> None:
    image = torch.rand(3, 37, 52) * 0.1 + torch.linspace(0, 1, 52)
    extended = extend(image, 12)
    assert torch.equal(extended.crop(extended.image), image)
    assert float(extended.known.sum()) == 37 * 52
    largest_inside = float((image[..., 1:] - image[..., :-1]).abs().max())
    wrapped = extended.image - extended.image.roll(1, -1)
    assert float(wrapped.abs().max()) < 2 * largest_inside


def test_a_transfer_function_convolves_like_scipy() -> None:
    image, kernel = torch.rand(40, 48, dtype=torch.float64), torch.rand(7, 7, dtype=torch.float64)
    ours = torch.fft.irfft2(torch.fft.rfft2(image) * compute_transfer_function(kernel, (40, 48)), s=(40, 48))
    theirs = fftconvolve(image.numpy(), kernel.numpy(), mode="valid")
    assert torch.allclose(ours[3:-3, 3:-3], torch.from_numpy(theirs))


def test_difference_transfers_give_differences_to_the_next_pixel() -> None:
    image = torch.rand(12, 16, dtype=torch.float64)
    across, down = torch.fft.irfft2(torch.fft.rfft2(image) * compute_difference_transfers((12, 16), image), s=(12, 16))
    assert torch.allclose(across, image.roll(-1, 1) - image)
    assert torch.allclose(down, image.roll(-1, 0) - image)


def test_a_taper_is_symmetric_and_one_inside() -> None:
    window = compute_taper(40, 60, 8)
    assert torch.equal(window, window.flip(0, 1))
    assert bool((window[8:-8, 8:-8] == 1).all())
    assert float(window[0].max()) < 0.05
