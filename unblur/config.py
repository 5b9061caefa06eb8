"""Strict JSON for frozen dataclasses: an unknown, misspelt or mistyped entry is an error, never a guess."""

import json
import math
import types
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn
from cattrs.v import format_exception

from unblur.errors import UnblurError

T = TypeVar("T")

_ACCEPTED: dict[type, tuple[type, ...]] = {bool: (bool,), int: (int,), float: (float, int), str: (str,)}
"""The Python types that JSON may hold for each plain type. cattrs by itself would read "false" as True and 3.7 as 3."""

_MOST_PROBLEMS, _LONGEST_PROBLEM = 20, 400
"""Number of problems of a file that are reported, and of letters of each."""


def to_json(value: object, type_: Any = None) -> str:
    """Return `value` as indented JSON; members of unions of dataclasses carry their class's name under `kind`.

    Pass the union as `type_` to have the outermost value carry it too.
    """
    type_ = type_ if type_ is not None else type(value)
    return json.dumps(_strict_converter().unstructure(value, unstructure_as=type_), indent=2) + "\n"


def from_json(text: str, type_: type[T], source: str | Path = "this text") -> T:
    """Parse the dataclass written by `to_json`. Raises UnblurError naming every wrong entry and its place."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        # Invalid JSON, numbers of thousands of digits, and lists nested too deep.
        raise UnblurError(f"{source} is not valid JSON ({error}); restore it from its origin.") from error
    try:
        return _strict_converter().structure(content, type_)
    except (cattrs.BaseValidationError, TypeError, ValueError) as error:
        name = " | ".join(member.__name__ for member in _list_members(type_) or (type_,))
        problems = cattrs.transform_error(error, format_exception=_describe_problem)
        more = f"; and {len(problems) - _MOST_PROBLEMS} more" if len(problems) > _MOST_PROBLEMS else ""
        raise UnblurError(f"{source} does not fit {name}: {'; '.join(problems[:_MOST_PROBLEMS])}{more}.") from error


def _describe_problem(error: BaseException, type_: type | None) -> str:
    named_by_cattrs = isinstance(error, (KeyError, cattrs.ForbiddenExtraKeysError))
    return _shorten(format_exception(error, type_) if named_by_cattrs else str(error))


def _shorten(text: str) -> str:
    """Return the beginning of a text that may be as long as the file that it is from."""
    return text if len(text) <= _LONGEST_PROBLEM else f"{text[:_LONGEST_PROBLEM]}..."


def _is_union(type_: Any) -> bool:
    return bool(_list_members(type_))


def _list_members(type_: Any) -> tuple[type, ...]:
    """Return the dataclasses of which `type_` is a union; none for any other type."""
    members = typing.get_args(type_)
    is_union = typing.get_origin(type_) in (types.UnionType, typing.Union)
    return members if is_union and all(is_dataclass(member) for member in members) else ()


def _strict_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    for plain, accepted in _ACCEPTED.items():
        converter.register_structure_hook(plain, _make_plain_reader(plain, accepted))

    @converter.register_structure_hook_factory(is_dataclass)
    def dataclass_reader(type_: Any) -> Callable[[Any, Any], Any]:
        read = make_dict_structure_fn(type_, converter, _cattrs_forbid_extra_keys=True)
        return lambda data, _: read(_check_entries(data), type_)

    @converter.register_structure_hook_factory(_is_union)
    def union_reader(type_: Any) -> Callable[[Any, Any], Any]:
        members = {member.__name__: member for member in _list_members(type_)}

        def read(data: Any, _: Any) -> Any:
            kind = _check_entries(data).get("kind")
            if not isinstance(kind, str) or kind not in members:
                raise TypeError(f"`kind` is {_shorten(repr(kind))}, expected one of {', '.join(members)}")
            rest = {key: value for key, value in data.items() if key != "kind"}
            return converter.structure(rest, members[kind])

        return read

    @converter.register_unstructure_hook_factory(_is_union)
    def union_writer(_: Any) -> Callable[[Any], dict[str, Any]]:
        return lambda value: {"kind": type(value).__name__, **converter.unstructure(value)}

    return converter


def _make_plain_reader(plain: type, accepted: tuple[type, ...]) -> Callable[[Any, Any], Any]:
    def read(data: Any, _: Any) -> Any:
        # Exact types, because to Python True is an int.
        if type(data) not in accepted:
            raise TypeError(f"{data!r} is not {plain.__name__}")
        # JSON has no such numbers, but Python reads them.
        if isinstance(data, float) and not math.isfinite(data):
            raise TypeError(f"{data!r} is not a finite number")
        return plain(data)

    return read


def _check_entries(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError(f"{data!r} is not an object with named entries")
    return data
