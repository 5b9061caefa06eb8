import math

import torch
from skimage.metrics import peak_signal_noise_ratio

from unblur.blur.undirected import undirected
from unblur.training.losses import path_loss, psnr_loss


def test_is_minus_the_mean_psnr_of_the_images() -> None:
    sharp = torch.rand(3, 3, 16, 16)
    restored = sharp + 0.05 * torch.randn(3, 3, 16, 16)
    reference = [
        peak_signal_noise_ratio(s.numpy(), r.numpy(), data_range=1.0) for s, r in zip(sharp, restored, strict=True)
    ]
    assert math.isclose(float(psnr_loss(restored, sharp, 0.0)), -sum(reference) / 3, rel_tol=1e-4)


def test_the_floor_bounds_what_perfection_is_worth() -> None:
    sharp = torch.rand(1, 3, 8, 8)
    assert math.isclose(float(psnr_loss(sharp, sharp, 1e-5)), -50.0, rel_tol=1e-5)


def test_path_loss_is_the_distance_of_the_ends_where_only_the_length_is_wrong() -> None:
    end = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    truth = undirected(-end, end)
    answer = undirected(-2 * end, 2 * end)
    # Ten pixels long; the ends are five pixels off.
    assert math.isclose(float(path_loss(answer, truth)), 5 / math.sqrt(10 + 4), rel_tol=1e-3)


def test_path_loss_does_not_know_the_start_from_the_end_and_has_a_gradient_at_the_truth() -> None:
    start, end = torch.randn(2, 3, 2, 4, 4)
    assert torch.equal(
        path_loss(undirected(start, end), undirected(end, start)),
        path_loss(undirected(start, end), undirected(start, end)),
    )
    answer = undirected(start, end).requires_grad_()
    path_loss(answer, undirected(start, end)).backward()
    assert answer.grad is not None
    assert answer.grad.isfinite().all()
