"""A network applied to pictures of every type and size, whole and in tiles."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from unblur.errors import UnblurError
from unblur.restoration.memory import is_out_of_memory
from unblur.restoration.picture_restorer import mean_change
from unblur.restoration.restorer import RestorationSettings, Restorer

EXACT = RestorationSettings(precision="float32", pooling_window_px=96)


def _texture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return (H, W, 3) float32 in [0, 1]: noise at several scales, like foliage."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for scale in (1, 4, 16):
        coarse = rng.random((height // scale + 1, width // scale + 1, 3), np.float32)
        picture += coarse.repeat(scale, 0).repeat(scale, 1)[:height, :width] / 3
    return picture


def _gradient(height: int, width: int) -> np.ndarray:
    """Return (H, W, 3) float32 in [0, 1]: a clear sky."""
    row = np.linspace(0.2, 0.9, width, dtype=np.float32)
    column = np.linspace(0, 0.1, height, dtype=np.float32)
    return np.stack([row + 0 * column[:, None], row - column[:, None], 1 - row + column[:, None]], 2).clip(0, 1)


class Local(nn.Module):
    """A correction with a reach of 4 px, so that tiles cannot matter."""

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        wide = nn.functional.pad(blurry, (4, 4, 4, 4), mode="replicate")
        return blurry + 0.5 * (blurry - nn.functional.avg_pool2d(wide, 9, stride=1))


class Adds(nn.Module):
    """A network that adds `amount` everywhere, or only where a picture is brighter than a half."""

    def __init__(self, amount: float, *, bright_only: bool = False) -> None:
        super().__init__()
        self.amount = amount
        self.bright_only = bright_only

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        if self.bright_only and float(blurry.mean()) <= 0.5:
            return blurry
        return blurry + self.amount


class Small(nn.Module):
    """A network that runs out of memory on more than `side_px` squared, with PyTorch's message for a CPU."""

    def __init__(self, side_px: int, error: Exception) -> None:
        super().__init__()
        self.side_px = side_px
        self.error = error

    def forward(self, blurry: torch.Tensor) -> torch.Tensor:
        if blurry.shape[2] * blurry.shape[3] > self.side_px**2:
            raise self.error
        return blurry + 0.12


# --- tiles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(300, 500), (129, 1000), (200, 64)])
def test_tiles_of_a_local_network_equal_the_whole(shape) -> None:
    restorer = Restorer(Local(), EXACT, device="cpu")
    picture = _texture(*shape) * 0.6 + 0.2
    whole, tiled = restorer.restore(picture, tile=0), restorer.restore(picture, tile=128)
    assert mean_change(picture, whole) > 0.01
    np.testing.assert_allclose(tiled, whole, atol=2e-6)


@pytest.mark.parametrize("make", [_texture, _gradient])
def test_no_visible_seams_with_a_real_network(tiny_network, make) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    picture = make(448, 640)
    whole, tiled = restorer.restore(picture, tile=0), restorer.restore(picture, tile=256)
    assert mean_change(picture, whole) > 5 / 255
    difference = np.abs(tiled - whole)
    # Pooled statistics still differ within half a window of a tile's edge, but by less than is visible.
    assert difference.max() < 1 / 255
    assert difference.mean() < 0.1 / 255
    # A seam is a step: neighbouring pixels must not differ by more than they do in the whole.
    for axis in (0, 1):
        steps = np.abs(np.diff(tiled, axis=axis) - np.diff(whole, axis=axis))
        assert steps.max() < 0.5 / 255


def test_a_pooling_window_makes_tiles_agree(tiny_network) -> None:
    picture = np.concatenate([_texture(320, 320) * 0.2, _texture(320, 320) * 0.2 + 0.8], axis=1)
    differences = {}
    for window_px in (None, 96):
        settings = RestorationSettings(precision="float32", pooling_window_px=window_px)
        restorer = Restorer(tiny_network, settings, device="cpu")
        whole, tiled = restorer.restore(picture, tile=0), restorer.restore(picture, tile=192)
        differences[window_px] = np.abs(tiled - whole).mean()
    assert differences[96] < differences[None] / 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 3), (1, 700), (700, 1), (65, 64), (97, 131)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size(tiny_network, shape, channels: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*shape, channels), np.uint8)
    result = Restorer(tiny_network, EXACT, device="cpu").restore(picture, tile=64)
    assert result.shape == picture.shape
    assert result.dtype == np.uint8


# --- strength --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_strength_0_returns_the_input_without_the_network(dtype) -> None:
    class Refuses(nn.Module):
        def forward(self, blurry: torch.Tensor) -> torch.Tensor:
            raise AssertionError(f"asked about {blurry.shape}")

    picture = (_texture(40, 50) * (np.iinfo(dtype).max if dtype != np.float32 else 1)).astype(dtype)
    result = Restorer(Refuses(), EXACT, device="cpu").restore(picture, strength=0)
    assert np.array_equal(result, picture)
    assert not np.shares_memory(result, picture)


def test_strength_scales_the_change(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    picture = _texture(70, 90)
    whole = restorer.restore(picture) - picture
    assert np.abs(whole).max() > 5 / 255
    for strength in (0.3, 0.7):
        np.testing.assert_allclose(restorer.restore(picture, strength) - picture, strength * whole, atol=1e-6)


@pytest.mark.parametrize("strength", [-1, 1.5, float("nan")])
def test_strength_out_of_range_is_refused(tiny_network, strength: float) -> None:
    with pytest.raises(UnblurError, match="strength"):
        Restorer(tiny_network, EXACT, device="cpu").restore(_texture(8, 8), strength)


def test_tiles_that_are_too_small_are_refused(tiny_network) -> None:
    with pytest.raises(UnblurError, match="tile"):
        Restorer(tiny_network, EXACT, device="cpu").restore(_texture(8, 8), tile=3)


# --- kinds of pictures -----------------------------------------------------------------------------------


def test_every_type_of_picture_has_the_same_pixels(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    array = (_texture(40, 60) * 255).astype(np.uint8)
    expected = restorer.restore(array)
    image = restorer.restore(Image.fromarray(array))
    tensor = restorer.restore(torch.from_numpy(array).permute(2, 0, 1))
    assert isinstance(image, Image.Image)
    assert isinstance(tensor, torch.Tensor)
    assert np.array_equal(np.asarray(image), expected)
    assert np.array_equal(tensor.permute(1, 2, 0).numpy(), expected)
    in_float = restorer.restore(array.astype(np.float32) / 255)
    assert np.abs(in_float * 255 - expected).max() < 0.51


def test_a_batch_equals_its_pictures_one_by_one(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    batch = torch.stack([torch.from_numpy(_texture(33, 47, seed)).permute(2, 0, 1) for seed in range(3)])
    restored = restorer.restore(batch)
    assert restored.shape == batch.shape
    for picture, result in zip(batch, restored, strict=True):
        assert torch.equal(restorer.restore(picture), result)


def test_a_grey_result_is_the_mean_of_the_colour_result(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    # Clipping comes after the mean, so nothing may need clipping for this to be exact.
    grey = _texture(40, 60)[..., 0] * 0.1 + 0.45
    colour = restorer.restore(np.repeat(grey[..., None], 3, axis=2))
    result = restorer.restore(grey)
    assert result.shape == grey.shape
    assert 0 < colour.min() < colour.max() < 1
    np.testing.assert_allclose(result, colour.mean(axis=2), atol=1e-6)


def test_16_bits_are_not_passed_through_8() -> None:
    restorer = Restorer(Adds(0.1), device="cpu")
    picture = np.arange(0, 50_000, 5, dtype=np.uint16).reshape(100, 100)
    result = restorer.restore(picture)
    assert result.dtype == np.uint16
    assert np.abs(result.astype(int) - picture - 6553.5).max() <= 1


def test_hidden_pixels_and_alpha_are_unchanged(tiny_network) -> None:
    rgba = (np.random.default_rng(0).random((40, 50, 4)) * 255).astype(np.uint8)
    rgba[:20, :, 3] = 0
    result = Restorer(tiny_network, EXACT, device="cpu").restore(rgba)
    assert np.array_equal(result[..., 3], rgba[..., 3])
    assert np.array_equal(result[:20], rgba[:20])
    assert not np.array_equal(result[20:], rgba[20:])


def test_the_input_is_not_modified(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    for picture in (_texture(30, 30), (_texture(30, 30) * 255).astype(np.uint8)):
        before = picture.copy()
        restorer.restore(picture)
        assert np.array_equal(picture, before)


def test_invalid_pictures_are_refused(tiny_network) -> None:
    with pytest.raises(UnblurError, match="not a picture"):
        Restorer(tiny_network, EXACT, device="cpu").restore(42)


# --- precision, guard, memory ----------------------------------------------------------------------------


def test_bfloat16_is_close_to_float32(tiny_network) -> None:
    picture = (_texture(64, 96) * 255).astype(np.uint8)
    results = [
        Restorer(tiny_network, RestorationSettings(precision=precision, pooling_window_px=96), device="cpu").restore(
            picture
        )
        for precision in ("float32", "bfloat16")
    ]
    assert not np.array_equal(results[0], picture)
    assert np.abs(results[0].astype(int) - results[1]).max() <= 2


def test_automatic_precision_is_float32_for_more_than_8_bits(tiny_network) -> None:
    picture = (_texture(64, 96) * 65535).astype(np.uint16)
    automatic = Restorer(tiny_network, RestorationSettings(pooling_window_px=96), device="cpu")
    exact = Restorer(tiny_network, EXACT, device="cpu")
    assert np.array_equal(automatic.restore(picture), exact.restore(picture))


@pytest.mark.parametrize("amount", [float("nan"), float("inf"), -float("inf"), 0.5])
def test_implausible_outputs_leave_the_tile_unchanged(amount: float) -> None:
    from unblur.photos.photo import Photo

    picture = np.full((64, 384, 3), 10, np.uint8)
    picture[:, 256:] = 250
    restorer = Restorer(Adds(amount, bright_only=True), EXACT, device="cpu")
    restoration = restorer.restore_photo(Photo(pixels=picture), tile=128)
    assert np.array_equal(restoration.photo.pixels, picture)
    assert 0 < restoration.fallback_share < 1


def test_smaller_tiles_are_tried_when_memory_runs_out() -> None:
    from unblur.photos.photo import Photo

    picture = np.full((300, 300, 3), 100, np.uint8)
    for error in (
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    ):
        restorer = Restorer(Small(100, error), EXACT, device="cpu")
        restoration = restorer.restore_photo(Photo(pixels=picture), tile=0)
        assert 64 <= restoration.tile_px <= 100
        assert (restoration.photo.pixels == 131).all()


def test_too_little_memory_for_the_smallest_tiles_is_an_error() -> None:
    with pytest.raises(UnblurError, match="not enough memory"):
        Restorer(Small(10, MemoryError()), EXACT, device="cpu").restore(_texture(200, 200))


def test_other_errors_do_not_count_as_out_of_memory() -> None:
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="shapes"):
        Restorer(Small(10, RuntimeError("shapes")), EXACT, device="cpu").restore(_texture(200, 200))


# --- facts -----------------------------------------------------------------------------------------------


def test_the_facts_of_a_restoration() -> None:
    from unblur.photos.photo import Photo

    photo = Photo(pixels=np.full((100, 300, 3), 100, np.uint8))
    restoration = Restorer(Adds(0.1), EXACT, device="cpu").restore_photo(photo, 0.5, tile=128)
    assert restoration.tile_px == 128
    assert restoration.fallback_share == 0
    assert restoration.strength == 0.5
    assert restoration.change == pytest.approx(13 / 255)
    assert not restoration.hardly_changed
    assert restoration.seconds > 0
    assert Restorer(Adds(0.1), EXACT, device="cpu").restore_photo(photo).tile_px == 0


def test_an_invisible_change_is_reported_as_hardly_changed() -> None:
    from unblur.photos.photo import Photo

    photo = Photo(pixels=np.full((20, 20, 1), 10_000, np.uint16))
    assert Restorer(Adds(0.2 / 255), EXACT, device="cpu").restore_photo(photo).hardly_changed
    assert not Restorer(Adds(0.5 / 255), EXACT, device="cpu").restore_photo(photo).hardly_changed
    # At a fifth of the strength, a visible change is not a hint that the photograph is sharp.
    assert not Restorer(Adds(0.5 / 255), EXACT, device="cpu").restore_photo(photo, 0.2).hardly_changed
    assert not Restorer(Adds(0.0), EXACT, device="cpu").restore_photo(photo, 0).hardly_changed


def test_progress_rises_to_one(tiny_network) -> None:
    shares: list[float] = []
    batch = torch.rand(2, 3, 100, 150)
    Restorer(tiny_network, EXACT, device="cpu").restore(batch, tile=64, progress=shares.append)
    assert len(shares) > 4
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_threads_can_share_a_restorer(tiny_network) -> None:
    restorer = Restorer(tiny_network, EXACT, device="cpu")
    pictures = [_texture(50, 60, seed) for seed in range(4)]
    expected = [restorer.restore(picture, tile=64) for picture in pictures]
    results: list[np.ndarray | None] = [None] * len(pictures)

    def restore(index: int) -> None:
        results[index] = restorer.restore(pictures[index], tile=64)

    threads = [threading.Thread(target=restore, args=(index,)) for index in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for result, wanted in zip(results, expected, strict=True):
        assert result is not None
        assert np.array_equal(result, wanted)


def test_an_unavailable_device_is_refused(tiny_network) -> None:
    with pytest.raises(UnblurError, match="no device"):
        Restorer(tiny_network, device="warp-drive")
