"""The model card `README.md` of a checkpoint: its header in YAML, as the Hugging Face hub defines it.

The header states the licence, the training data (`training_data`, in words), the SHA-256 of the other files
(`checksums`), and measured results (`model-index`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unblur.errors import UnblurError

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

LIBRARY = "unblur"
"""The name of this program on the hub."""

TASK = "image-to-image"

_BEGINNING = "---\n"


@dataclass(frozen=True, kw_only=True)
class CardResult:
    """A measured result of a network."""

    data_set: str
    """The name of the data set, with the protocol and the number of pictures."""
    data_set_id: str
    """A short name of the data set in lower case."""
    metric: str
    """The name of the metric in lower case, such as psnr."""
    metric_title: str
    value: float


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """The facts in the header of a model card."""

    licence: str | None
    training_data: str | None
    checksums: dict[str, str]
    measurements: tuple[CardResult, ...]


def read_card(content: bytes, source: object) -> CardFacts:
    """Read the header of a card. Raises UnblurError, which names `source`, if it is invalid."""
    data = _parse(_decode(content, source), source).data
    checksums = data.get("checksums") or {}
    if not isinstance(checksums, dict) or not all(isinstance(one, str) for one in checksums.values()):
        raise UnblurError(f"{source} has invalid `checksums`; get it again from its origin.")
    licence, training_data = data.get("license"), data.get("training_data")
    results = getattr(data, "eval_results", None) or []
    return CardFacts(
        licence=None if licence is None else str(licence),
        training_data=None if training_data is None else str(training_data),
        checksums={str(name): one.lower() for name, one in checksums.items()},
        measurements=tuple(
            CardResult(
                data_set=str(one.dataset_name),
                data_set_id=str(one.dataset_type),
                metric=str(one.metric_type),
                metric_title=str(one.metric_name or one.metric_type),
                value=float(one.metric_value),
            )
            for one in results
            if isinstance(one.metric_value, int | float)
        ),
    )


def state_checksums(card: str, checksums: dict[str, str]) -> str:
    """Return the card with `checksums` in its header; a card without a header remains as it is."""
    if not card.startswith(_BEGINNING):
        return card
    parsed = _parse(card, "The model card")
    parsed.data["checksums"] = checksums
    return str(parsed)


def make_hub_card(
    content: bytes, source: object, name: str, checksums: dict[str, str], measurements: Sequence[CardResult]
) -> str:
    """Return the card for the hub: the one in `content` with checksums, and these measurements in place of its own.

    Raises UnblurError, which names `source`, if the header is invalid or names no licence.
    """
    from huggingface_hub import EvalResult

    card = _parse(_decode(content, source), source)
    if not card.data.get("license"):
        raise UnblurError(
            f"{source} names no licence; add `license: apache-2.0`, or that of the weights, to the header of the card."
        )
    card.data["library_name"] = LIBRARY
    card.data["checksums"] = checksums
    if measurements:
        card.data["model_name"] = name
        card.data["eval_results"] = [
            EvalResult(
                task_type=TASK,
                dataset_type=one.data_set_id,
                dataset_name=one.data_set,
                metric_type=one.metric,
                metric_name=one.metric_title,
                metric_value=one.value,
            )
            for one in measurements
        ]
    text = str(card)
    # Parse the header with the hub's library, which raises an error for a header that the hub would reject.
    _parse(text, source)
    return text


def _decode(content: bytes, source: object) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise UnblurError(f"{source} is no text in UTF-8; get it again from its origin.") from error


def _parse(text: str, source: object) -> "ModelCard":
    from huggingface_hub import ModelCard
    from huggingface_hub.utils import logging
    from yaml import YAMLError

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return ModelCard(text)
    # The library checks types in part only, so a hostile header may raise anything.
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError, YAMLError) as error:
        reason = _first_line(error)
        raise UnblurError(f"The header of {source} is invalid ({reason}); correct it, or get it again.") from error
    finally:
        logging.set_verbosity(before)


def _first_line(error: Any) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
