"""Initial noise of generative restoration: one field for a whole photograph, of which tiles are crops."""

import torch
from torch import Tensor

from unblur.seeds import make_generator


def sample_latent_noise(seed: int, channels: int, rows: range, columns: range) -> Tensor:
    """Sample standard normal noise at `rows` x `columns` of the grid of latents, (1, channels, rows, columns).

    The noise at a position depends on `seed` and the position alone, so overlapping windows have equal noise, whatever
    their size and order.
    """
    places = [
        [torch.randn(channels, generator=make_generator(seed, "noise of latents", row, column)) for column in columns]
        for row in rows
    ]
    return torch.stack([torch.stack(row, dim=1) for row in places], dim=1)[None]
