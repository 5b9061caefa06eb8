import torch

from unblur.models import KernelEstimator, KernelEstimatorConfig

SMALL = KernelEstimatorConfig(channels=(8, 16, 16))


def test_kernels_sum_to_one_and_have_the_features_size() -> None:
    log_kernels, log_errors = KernelEstimator(SMALL)(torch.randn(3, 9, 65, 65))
    assert log_kernels.shape == (3, 65, 65)
    assert log_errors.shape == (3,)
    assert torch.allclose(log_kernels.exp().sum(dim=(1, 2)), torch.ones(3), atol=1e-5)


def test_every_parameter_has_a_gradient() -> None:
    network = KernelEstimator(SMALL)
    log_kernels, log_errors = network(torch.randn(2, 9, 33, 41))
    torch.autograd.backward(log_kernels[:, 3, 5].sum() + log_errors.sum())
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in network.parameters())


def test_bfloat16_is_near_float32() -> None:
    network, features = KernelEstimator(SMALL), torch.randn(2, 9, 65, 65)
    with torch.autocast("cpu", torch.bfloat16):
        half, _ = network(features)
    assert half.dtype == torch.float32
    assert torch.allclose(half, network(features)[0], atol=0.1)
