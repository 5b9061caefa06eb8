"""A discriminator that learns to tell reconstructions from photographs, beside the network that learns to fool it."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from unblur.seeds import seed_for

CHANNELS = (32, 64, 128)
"""Channels at strides 2, 4 and 8. The receptive field is 38 pixels."""

LEARNING_RATE = 2e-4
BETAS = (0.5, 0.9)


class PatchDiscriminator(nn.Sequential):
    """Scores how real each position looks, any number. Shape: (B, 3, H, W) RGB in [0, 1] -> (B, 1, H/8, W/8).

    PatchGAN's (Isola et al. 2017, arXiv 1611.07004) strided convolutions, their largest gain held at 1 by spectral
    normalisation (Miyato et al. 2018, arXiv 1802.05957) in place of batch normalisation.
    """

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        channels_in = 3
        for channels in CHANNELS:
            layers += [spectral_norm(nn.Conv2d(channels_in, channels, 4, stride=2, padding=1)), nn.LeakyReLU(0.2)]
            channels_in = channels
        super().__init__(*layers, spectral_norm(nn.Conv2d(channels_in, 1, 3, padding=1)))


class Adversary:
    """A discriminator, its optimizer and what is needed to go on after being killed.

    Loss and counter-loss are the hinge's (Lim, Ye 2017, arXiv 1705.02894).
    """

    def __init__(self, seed: int, device: str) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_for(seed, "discriminator"))
            self.discriminator = PatchDiscriminator().to(device)
        self.optimizer = torch.optim.Adam(self.discriminator.parameters(), lr=LEARNING_RATE, betas=BETAS)

    def learn(self, reconstructed: Tensor, sharp: Tensor) -> float:
        """One update on two batches (B, 3, H, W). The loss before it: 2 for one that knows nothing, 0 at best."""
        self.discriminator.train().requires_grad_(True)
        true, false = self.discriminator(torch.cat([sharp, reconstructed.detach()]) - 0.5).chunk(2)
        loss = (1 - true).relu().mean() + (1 + false).relu().mean()
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self.optimizer.step()
        return float(loss.detach())

    def compute_fooling_loss(self, reconstructed: Tensor) -> Tensor:
        """Return the adversarial loss of (B, 3, H, W) for the generator; the discriminator gets no gradient. Scalar."""
        self.discriminator.eval().requires_grad_(False)
        found: Tensor = self.discriminator(reconstructed - 0.5)
        return -found.mean()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the discriminator and of its optimizer."""
        return {"discriminator": self.discriminator.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state returned by `state_dict`."""
        self.discriminator.load_state_dict(state["discriminator"])
        self.optimizer.load_state_dict(state["optimizer"])
