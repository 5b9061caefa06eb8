"""Captions of training patches, as tokens for GLOWDeblur's cross attention."""

from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.captioner import load_captioner
from unblur.checkpoints.text_encoder import load_text_encoder
from unblur.errors import UnblurError
from unblur.seeds import make_generator
from unblur.training.objective_settings import CaptionSettings


class PatchCaptions:
    """Describes sharp patches and encodes the descriptions. It is safe to use from threads."""

    def __init__(self, settings: CaptionSettings, channels: int, device: str = "cpu") -> None:
        """Load the captioner and the text encoder. Raises UnblurError when one is missing or does not fit.

        `channels` is the number of channels of the network's tokens.
        """
        self.settings = settings
        self._captioner = load_captioner(settings.captioner, device)
        self._encoder = load_text_encoder(settings.text_encoder, device, longest=settings.longest_tokens)
        if self._encoder.channels != channels:
            raise UnblurError(
                f"The text encoder {settings.text_encoder or 'MiniLM'} returns {self._encoder.channels} channels for a "
                f"token, where the recipe's network expects {channels}; give another text encoder, or a network for it."
            )
        # Tokenizers of the library refuse to be used from two threads at once.
        self._lock = Lock()

    def encode(self, sharp: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens of the caption of a patch, and their mask.

        Shape: (3, P, P) sRGB in [0, 1] -> (N, C) and (N,) bool with N = `longest_tokens`.
        """
        with self._lock:
            tokens = self._encoder([self._captioner(sharp)])
        padding = self.settings.longest_tokens - tokens.values.shape[1]
        return F.pad(tokens.values[0].cpu(), (0, 0, 0, padding)), F.pad(tokens.mask[0].cpu(), (0, padding))

    def is_captioned(self, seed: int, index: int) -> Tensor:
        """Return whether training example `index` gets its caption instead of regions. Scalar bool."""
        return torch.rand((), generator=make_generator(seed, "captioned", index)) < self.settings.share
