"""Describes in words how weights do not fit a network."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

NAMED = 3
"""Entries quoted of each kind; a wrong network makes hundreds."""


def state_dict_mismatch(expected: Mapping[str, Tensor], given: Mapping[str, Any]) -> str:
    """Describe missing, unexpected and misshapen entries of `given`; the text is empty if it fits exactly."""
    misshapen = [
        f"{name} is {_shape(given[name])} instead of {_shape(value)}"
        for name, value in expected.items()
        if name in given and _shape(given[name]) != _shape(value)
    ]
    return "; ".join(
        f"{len(names)} {problem} ({', '.join(names[:NAMED])}{', ...' * (len(names) > NAMED)})"
        for problem, names in (
            ("entries missing", [name for name in expected if name not in given]),
            ("not expected", [name for name in given if name not in expected]),
            ("of another shape", misshapen),
        )
        if names
    )


def _shape(value: object) -> tuple[int, ...] | None:
    """Return the shape of a tensor; None for other objects, which match nothing."""
    return tuple(value.shape) if isinstance(value, Tensor) else None
