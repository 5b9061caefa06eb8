"""The noise that restoration among latents begins with: one field for a whole photograph, from which tiles are cut."""

import torch
from torch import Tensor

from unblur.seeds import generator_for


def latent_noise(seed: int, channels: int, rows: range, columns: range) -> Tensor:
    """Standard normal noise at the places `rows` x `columns` of the grid of latents, (1, channels, rows, columns).

    What is drawn at a place depends on `seed` and the place alone, so that windows that overlap begin alike, whatever
    their size and their order.
    """
    places = [
        [torch.randn(channels, generator=generator_for(seed, "noise of latents", row, column)) for column in columns]
        for row in rows
    ]
    return torch.stack([torch.stack(row, dim=1) for row in places], dim=1)[None]
