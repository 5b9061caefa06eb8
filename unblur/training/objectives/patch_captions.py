"""Captions of training patches, as tokens for GLOWDeblur's cross attention."""

from functools import cached_property
from threading import Lock

import torch
import torch.nn.functional as F
from torch import Tensor

from unblur.checkpoints.captioner import Captioner, load_captioner
from unblur.checkpoints.text_encoder import TextEncoder, load_text_encoder
from unblur.errors import UnblurError
from unblur.seeds import make_generator
from unblur.training.objective_settings import CaptionSettings


class PatchCaptions:
    """Describes sharp patches and encodes the descriptions. It is safe to use from threads.

    The captioner and the text encoder are loaded for the first description, so that a run whose patches are all cached
    needs no memory for them.
    """

    def __init__(self, settings: CaptionSettings, channels: int, device: str = "cpu") -> None:
        """Take the number of channels of the network's tokens, and the device of the captioner and the encoder."""
        self.settings = settings
        self._channels, self._device = channels, device
        # Tokenizers of the library refuse to be used from two threads at once.
        self._lock = Lock()

    @cached_property
    def _captioner(self) -> Captioner:
        return load_captioner(self.settings.captioner, self._device)

    @cached_property
    def _encoder(self) -> TextEncoder:
        name = self.settings.text_encoder
        encoder = load_text_encoder(name, self._device, longest=self.settings.longest_tokens)
        if encoder.channels != self._channels:
            raise UnblurError(
                f"The text encoder {name or 'MiniLM'} returns {encoder.channels} channels for a token, where the "
                f"recipe's network expects {self._channels}; give another text encoder, or a network for it."
            )
        return encoder

    def encode(self, sharp: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens of the caption of a patch, and their mask.

        Shape: (3, P, P) sRGB in [0, 1] -> (N, C) and (N,) bool with N = `longest_tokens`. Raises UnblurError when the
        captioner or the text encoder is missing or does not fit.
        """
        with self._lock:
            tokens = self._encoder([self._captioner(sharp)])
        padding = self.settings.longest_tokens - tokens.values.shape[1]
        return F.pad(tokens.values[0].cpu(), (0, 0, 0, padding)), F.pad(tokens.mask[0].cpu(), (0, padding))

    def is_captioned(self, seed: int, index: int) -> Tensor:
        """Return whether training example `index` gets its caption instead of regions. Scalar bool."""
        return torch.rand((), generator=make_generator(seed, "captioned", index)) < self.settings.share
