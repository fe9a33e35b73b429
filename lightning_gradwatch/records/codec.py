"""Records to JSON and back.

Plain JSON only: infinities and NaN are the strings ``"inf"``, ``"-inf"``, ``"nan"`` (JSON has none), enums their words,
tuples lists.  Reading checks types and never runs anything that the data names.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import types
import typing
from enum import Enum
from typing import Any, TypeVar, cast

from lightning_gradwatch.errors import UnreadableRecord

FORMAT = 1  # raised whenever a reader of the previous format would misread what is written

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Anything made of records, as what the json module takes.

    Example:
        >>> from lightning_gradwatch.records import Quantity
        >>> encode(Quantity(name="lost", value=float("-inf"), unit="decades"))
        {'name': 'lost', 'value': '-inf', 'unit': 'decades'}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {f.name: encode(getattr(value, f.name)) for f in fields if getattr(value, f.name) is not None}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if math.isfinite(value) else repr(value)
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def decode(kind: type[T], data: Any) -> T:
    """The record of that kind that ``encode`` made this data from.

    Raises:
        UnreadableRecord: the data is not that record; the message says where and what was expected.
    """
    try:
        return cast(T, _decode(kind, data, kind.__name__))
    except RecursionError:
        raise UnreadableRecord(f"{kind.__name__}: the data is nested too deeply to be one of ours.") from None


def dumps(value: Any) -> str:
    """One line of JSON."""
    return json.dumps(encode(value), separators=(",", ":"), allow_nan=False)


def loads(text: str, what: str = "record") -> Any:
    """The data of one JSON text.

    Raises:
        UnreadableRecord: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableRecord(f"{what}: not JSON ({error}).") from None


@functools.cache
def _fields(kind: type) -> dict[str, tuple[Any, bool]]:
    """Field name -> (type, whether it must be there)."""
    hints = typing.get_type_hints(kind)
    return {
        f.name: (
            hints[f.name],
            f.default is dataclasses.MISSING
            and f.default_factory is dataclasses.MISSING
            and type(None) not in typing.get_args(hints[f.name]),
        )
        for f in dataclasses.fields(kind)
    }


def _decode(kind: Any, data: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_record(kind, data, where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _decode_word(kind, data, where)
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):  # only ever "something or None"
        return None if data is None else _decode(args[0], data, where)
    if origin is tuple:
        return _decode_tuple(args, data, where)
    if origin is dict:
        _expect(isinstance(data, dict), "an object", data, where)
        return {key: _decode(args[1], item, f"{where}.{key}") for key, item in data.items()}
    if kind is Any:
        return data
    return _decode_scalar(kind, data, where)


def _decode_record(kind: type, data: Any, where: str) -> Any:
    _expect(isinstance(data, dict), "an object", data, where)
    known = {}
    for name, (hint, required) in _fields(kind).items():
        if name in data:
            known[name] = _decode(hint, data[name], f"{where}.{name}")
        elif required:
            raise UnreadableRecord(f"{where}: the field {name!r} is missing.")
        elif type(None) in typing.get_args(hint):
            known[name] = None
    return kind(**known)


def _decode_word(kind: type[Enum], data: Any, where: str) -> Any:
    words = [member.value for member in kind]
    _expect(data in words, "one of " + ", ".join(words), data, where)
    return kind(data)


def _decode_tuple(args: tuple[Any, ...], data: Any, where: str) -> tuple[Any, ...]:
    _expect(isinstance(data, list), "a list", data, where)
    if args[-1] is Ellipsis:
        return tuple(_decode(args[0], item, f"{where}[{i}]") for i, item in enumerate(data))
    _expect(len(data) == len(args), f"{len(args)} items", data, where)
    return tuple(_decode(arg, item, f"{where}[{i}]") for i, (arg, item) in enumerate(zip(args, data, strict=True)))


def _decode_scalar(kind: Any, data: Any, where: str) -> Any:
    if kind is float and (data in ("inf", "-inf", "nan") or (type(data) is int and abs(data) < 1 << 1000)):
        return float(data)
    _expect(type(data) is kind, kind.__name__, data, where)
    return data


def _expect(condition: bool, wanted: str, data: Any, where: str) -> None:
    if not condition:
        raise UnreadableRecord(f"{where}: expected {wanted}, got {str(data)[:60]!r}.")
