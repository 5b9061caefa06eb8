"""Whether a configuration describes a network of its weights' size, before memory is asked for to build it."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from unblur.errors import UnblurError
from unblur.models import ModelConfig, find_shapes

_LARGEST_NUMBER, _MOST_BLOCKS = 1_000_000, 1_000
"""No network that this program knows has more channels, pixels or words, or more blocks in one of its stages."""


def refuse_absurd_numbers(config: object, source: Path) -> None:
    """Raise UnblurError for whole numbers that no network has, before a huge network is built."""
    for name, number in _find_numbers(config):
        most = _MOST_BLOCKS if "blocks" in name or "depth" in name or "layers" in name else _LARGEST_NUMBER
        least = 1 if name == "train_patch_px" else 0
        if not least <= number <= most:
            raise UnblurError(f"{source} does not fit any network: `{name}` is {number}; get it again from its origin.")


def check_fit(config: ModelConfig, tensors: Mapping[str, Tensor]) -> None:
    """Raise ValueError when the network has other tensors than these; it is built without memory for them."""
    expected = find_shapes(config)
    for name in sorted(expected.keys() | tensors.keys()):
        there = tensors[name].shape if name in tensors else None
        if expected.get(name) != there:
            wanted = tuple(expected[name]) if name in expected else "none"
            found = "none" if there is None else tuple(there)
            raise ValueError(f"{name}: the configuration asks for {wanted}, the file has {found}")


def _find_numbers(value: Any, name: str = "") -> Iterator[tuple[str, int]]:
    """Yield every whole number in the configuration, with the name of its field."""
    if is_dataclass(value):
        for part in fields(value):
            yield from _find_numbers(getattr(value, part.name), part.name)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _find_numbers(one, name)
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, value
