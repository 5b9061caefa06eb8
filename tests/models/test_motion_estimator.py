"""The motion estimator: its size, any picture, and that it can learn what it is for."""

from pathlib import Path

import pytest
import torch

from unblur.blur.undirected import compute_endpoint_error_px, to_directed, to_undirected
from unblur.checkpoints.folder import load_checkpoint, save_checkpoint
from unblur.models import MotionEstimator, MotionEstimatorConfig, build
from unblur.models.pooling import use_local_pooling

TINY = MotionEstimatorConfig(channels=(4, 6, 8, 8), blocks=(1, 1, 1, 1))


def lively(config: MotionEstimatorConfig = TINY) -> MotionEstimator:
    """Return a network with random weights where training begins with zeros."""
    torch.manual_seed(0)
    network = MotionEstimator(config)
    for name, parameter in network.named_parameters():
        if "ending" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return network


def test_is_as_light_as_motion_etr() -> None:
    """Motion-ETR's network has 1.13 M parameters, "about 1 M"."""
    count = sum(parameter.numel() for parameter in build(MotionEstimatorConfig()).parameters())
    assert 0.9e6 < count < 1.3e6


@pytest.mark.parametrize(("height", "width"), [(1, 1), (7, 9), (16, 24), (33, 50), (64, 64)])
def test_any_size_gives_a_path_for_every_eight_pixels(height: int, width: int) -> None:
    path = lively()(torch.rand(2, 3, height, width))
    assert path.shape == (2, 4, max(1, height // 8), max(1, width // 8))


def test_begins_at_rest() -> None:
    assert MotionEstimator(TINY)(torch.rand(1, 3, 32, 32)).abs().max() == 0


def test_every_parameter_has_a_gradient() -> None:
    network = lively()
    network(torch.rand(1, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().max() > 0 for parameter in network.parameters())


def test_paths_move_with_the_picture() -> None:
    network = lively().eval()
    use_local_pooling(network, 32)
    wide = torch.rand(1, 3, 256, 416)
    inner = network(wide[..., 64:])
    assert torch.allclose(network(wide)[..., 8 + 16 :], inner[..., 16:], atol=1e-4)


def test_the_loaded_network_equals_the_saved_one(tmp_path: Path) -> None:
    network = lively()
    save_checkpoint(tmp_path, network, TINY, train_patch_px=64, card="For tests.\n", dtype=torch.float32)
    blurry = torch.rand(1, 3, 32, 40)
    assert torch.equal(load_checkpoint(tmp_path).model(blurry), network(blurry))


@pytest.mark.slow
def test_learns_lines_of_any_direction() -> None:
    """Streaks at random angles: after a short while the ends are found to a fraction of their distance."""
    torch.manual_seed(1)
    network = MotionEstimator(MotionEstimatorConfig(channels=(8, 12, 16, 16), blocks=(1, 1, 1, 1)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        angle = torch.rand(16) * torch.pi
        ends = 6 * torch.stack([angle.cos(), angle.sin()], dim=1)
        frequency = torch.fft.fftfreq(32)
        along = ends[:, 0, None, None] * frequency + ends[:, 1, None, None] * frequency[:, None]
        noise = torch.fft.fft2(torch.rand(16, 3, 32, 32))
        blurry = torch.fft.ifft2(noise * torch.sinc(2 * along)[:, None]).real
        field = ends[:, :, None, None].expand(-1, -1, 4, 4)
        return blurry, to_undirected(-field, field)

    for _ in range(150):
        blurry, truth = batch()
        loss = (network(blurry) - truth).square().sum(dim=1).sqrt().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    blurry, truth = batch()
    error_px = compute_endpoint_error_px(*to_directed(network(blurry)), *to_directed(truth)).mean()
    assert error_px < 0.3 * 12
