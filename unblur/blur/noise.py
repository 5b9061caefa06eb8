"""Sensor noise in linear light: photons arrive at random (shot noise) and reading them adds a little (read noise)."""

import torch
from torch import Tensor

from unblur.seeds import make_generator


def add_sensor_noise(linear: Tensor, shot_noise: float, read_noise: float, seed: int) -> Tensor:
    """Return the noise of variance `shot_noise * signal + read_noise**2`, not clipped. Any shape, linear light.

    Drawn on the CPU: alike on every device.

    The Gaussian approximation of the Poisson-Gaussian model (Foi et al. 2008, doi 10.1109/TIP.2008.2001399).
    """
    if shot_noise == 0 and read_noise == 0:
        return linear
    normal = torch.randn(linear.shape, generator=make_generator(seed, "sensor noise")).to(linear.device)
    return linear + normal * (shot_noise * linear.clamp(min=0) + read_noise**2).sqrt()
