"""The public API as text: every name of `unblur`, its signature, and the public members of its classes.

    python tests/api_surface.py --write

rewrites `tests/api_surface.json` after a change that is meant; `tests/app/test_public_api.py` compares the two.
"""

import inspect
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import unblur

PATH = Path(__file__).with_suffix(".json")


def describe_api() -> dict[str, Any]:
    """Return the description of each public name: a signature, the members of a class, or the names of a module."""
    return {name: _describe(getattr(unblur, name)) for name in dir(unblur) if name != "__version__"}


def _describe(thing: Any) -> Any:
    if isinstance(thing, ModuleType):
        return sorted(thing.__all__)
    if not inspect.isclass(thing):
        return _signature(thing)
    if issubclass(thing, Exception):
        return "exception"
    members = {name: member for name, member in inspect.getmembers(thing) if not name.startswith("_")}
    described = {
        name: _signature(member) if inspect.isfunction(member) else "attribute" for name, member in members.items()
    }
    return {"()": _signature(thing), **described}


def _signature(function: Any) -> str:
    """Return the parameters with their kinds, and the defaults that are plain values."""
    parts = []
    kind = None
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and kind is not parameter.KEYWORD_ONLY:
            parts.append("*")
        kind = parameter.kind
        default = parameter.default
        if default is parameter.empty:
            parts.append(parameter.name)
        else:
            plain = isinstance(default, (str, int, float, bool, tuple, type(None)))
            parts.append(f"{parameter.name}={default!r}" if plain else f"{parameter.name}=...")
    return f"({', '.join(parts)})"


if __name__ == "__main__":
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/api_surface.py --write")
    PATH.write_text(json.dumps(describe_api(), indent=1) + "\n", encoding="utf-8")
