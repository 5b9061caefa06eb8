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

    def encode(self, sharp: Tensor) -> Tensor:
        """Return the tokens of the caption of a patch, at most `longest_tokens`.

        Shape: (3, P, P) sRGB in [0, 1] -> (N, C). Raises UnblurError when the captioner or the text encoder is missing,
        does not fit, or computes no numbers.
        """
        with self._lock:
            caption = self._captioner(sharp)
            values = self._encoder([caption]).values[0].cpu()
        if not bool(values.isfinite().all()):
            raise UnblurError(
                f"The text encoder {self.settings.text_encoder or 'MiniLM'} overflows for a caption ({caption!r}); "
                "give one whose config.json has the dtype bfloat16 or float32."
            )
        return values

    def pad(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pad tokens to `longest_tokens`, and return them with their mask. (N, C) -> (`longest_tokens`, C) and bool."""
        padding = self.settings.longest_tokens - len(tokens)
        return F.pad(tokens, (0, 0, 0, padding)), torch.arange(self.settings.longest_tokens) < len(tokens)

    def release(self) -> None:
        """Free the memory of the captioner and the text encoder, which are loaded again when they are needed."""
        with self._lock:
            if self.__dict__.pop("_captioner", None) is not None:
                del self.__dict__["_encoder"]
                torch.cuda.empty_cache()

    def is_captioned(self, seed: int, index: int) -> Tensor:
        """Return whether training example `index` gets its caption instead of regions. Scalar bool."""
        return torch.rand((), generator=make_generator(seed, "captioned", index)) < self.settings.share
