"""Captioners of the library transformers: any model that answers a picture with text, by hub id or folder.

They differ in what they want beside the picture: vision-language models (Qwen-VL, LLaVA, ...) a conversation,
Florence-2 the name of a task, plain captioners (BLIP, GIT, ...) nothing. GLOWDeblur (arXiv 2601.06525) asks a Qwen-VL;
our question has its captions' contents: one paragraph, concrete objects, light and background.
"""

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from unblur.errors import UnblurError
from unblur.models.transformers_backbone import import_transformers

QUESTION = (
    "Describe this photograph in one paragraph: the objects, the light and the background. Do not speak of its "
    "quality or of blur."
)

FLORENCE_TASK = "<MORE_DETAILED_CAPTION>"

LONGEST_TOKENS = 200
"""Of an answer: a paragraph; text encoders read 300."""


class TransformersCaptioner:
    """One model. Answers do not depend on chance."""

    def __init__(self, source: str | Path, device: str = "cpu", question: str = QUESTION) -> None:
        """`question` is put to models that take one. Raises UnblurError when the model or the library is missing."""
        transformers = import_transformers("A captioner", "generative")
        self.model, self.question = str(source), question
        try:
            self._processor: Any = transformers.AutoProcessor.from_pretrained(self.model)
            network: Any = transformers.AutoModelForImageTextToText.from_pretrained(self.model)
        except Exception as error:  # Files that are no model of theirs make the libraries raise anything.
            raise UnblurError(
                f"{source} is neither a folder nor a hub id of a model that captions pictures, with its processor "
                f"({next(iter(str(error).splitlines()), type(error).__name__)}); check the name and the connection."
            ) from error
        self._network = network.to(device).eval()

    @torch.no_grad()
    def caption(self, photo: Tensor, name: str) -> str:  # noqa: ARG002 - the captioner's interface
        """`photo`: (3, H, W) sRGB in [0, 1]."""
        pixels = (photo.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        inputs = self._inputs(pixels).to(self._network.device, self._network.dtype)
        answer = self._network.generate(**inputs, max_new_tokens=LONGEST_TOKENS, do_sample=False)[0]
        asked = inputs["input_ids"][0] if "input_ids" in inputs else answer[:0]
        # Models that continue text repeat the question first; those that translate it do not.
        if torch.equal(answer[: len(asked)], asked):
            answer = answer[len(asked) :]
        return cast(str, self._processor.decode(answer, skip_special_tokens=True)).strip()

    def _inputs(self, pixels: Any) -> Any:
        if getattr(self._processor, "chat_template", None):
            content = [{"type": "image", "image": pixels}, {"type": "text", "text": self.question}]
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
