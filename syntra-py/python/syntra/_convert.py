"""JSON to dataclasses and back, driven by their annotations."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from enum import Enum
from os import PathLike, fspath
from typing import Any, TypeVar, Union

from ._value import MISSING, base64, dataclasses, fields

T = TypeVar("T")
Converter = Callable[[Any], Any]

#: Tests set this: a field that no dataclass has is then an error instead of being left out.
STRICT = False

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


def parse_time(text: str) -> datetime:
    """A timestamp of the library (RFC 3339, up to nanoseconds) as an aware ``datetime``; what is finer than a microsecond is cut off."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a timestamp: {text!r}")
    whole, fraction, zone = match.groups()
    return datetime.fromisoformat(f"{whole}.{(fraction or '0')[:6]:0<6}{'+00:00' if zone == 'Z' else zone}")


def format_time(time: datetime) -> str:
    """An aware ``datetime`` as the library reads it. A naive one is taken as local time, as everywhere in Python."""
    return time.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")


def converter(cls: type[T]) -> Callable[[Any], T]:
    """What makes ``cls`` of what ``json.loads`` gives."""
    return _converter(cls)


def decode(cls: type[T], data: Any) -> T:
    """``data`` (what ``json.loads`` gives) as ``cls``."""
    return typing.cast(T, _converter(cls)(data))


def encode(value: Any) -> Any:
    """``value`` as what ``json.dumps`` takes: dataclasses without their ``None`` fields, times as text, bytes in base64."""
    kind: Any = value.__class__
    if kind in _AS_IS:
        return value
    encoder = _ENCODERS.get(kind)
    if encoder is not None:
        return encoder(value)
    if isinstance(value, (str, int, float)) and not isinstance(value, Enum):
        return typing.cast(Any, value)
    own: Any = getattr(typing.cast(Any, value), "_to_json", None)
    if own is not None:
        return own()
    if fields(kind) is not None or hasattr(kind, "__dataclass_fields__"):
        encoder = _ENCODERS[kind] = _encoder(kind)
        return encoder(value)
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, date):
        raise TypeError("a date has no time of day: give a datetime")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        mapping: Mapping[Any, Any] = typing.cast(Any, value)
        return {str(key): encode(item) for key, item in mapping.items()}
    if isinstance(value, PathLike):
        return fspath(typing.cast("PathLike[str]", value))
    if isinstance(value, (list, tuple, set, frozenset)):
        return [encode(item) for item in typing.cast("Sequence[Any]", value)]
    as_list: Any = getattr(value, "tolist", None)
    if as_list is not None:  # numpy arrays and scalars
        return as_list()
    raise TypeError(f"cannot be given to syntra: {type(value).__name__}")


_AS_IS: frozenset[Any] = frozenset((str, int, float, bool, type(None)))
#: By dataclass; those of the package, and the few that a host may make of its own.
_ENCODERS: dict[Any, Converter] = {}


def _encoder(kind: Any) -> Converter:
    tag = getattr(kind, "type", None)
    names = tuple(of.name for of in fields(kind) or dataclasses.fields(kind))

    def encoded(value: Any) -> dict[str, Any]:
        out: dict[str, Any] = {"type": tag} if isinstance(tag, str) else {}
        for name in names:
            item = getattr(value, name)
            if item is not None:
                out[name] = encode(item)
        return out

    return encoded


_CONVERTERS: dict[Any, Converter] = {}


def _converter(hint: Any) -> Converter:
    found = _CONVERTERS.get(hint)
    if found is None:
        found = _CONVERTERS[hint] = _make(hint)
    return found


def _make(hint: Any) -> Converter:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, bool, int):
        return lambda data: data
    if hint is float:
        return lambda data: float(data)
    if hint is str or origin is typing.Literal:
        # An open set of names: what has none of ours comes as {"other": word}.
        return _word
    if hint is datetime:
        return parse_time
    if origin in (Union, types.UnionType):
        rest = [a for a in args if a is not type(None)]
        if len(rest) == 1:
            inner = _converter(rest[0])
            return lambda data: None if data is None else inner(data)
        by_type = {a.type: _converter(a) for a in rest}
        return lambda data: by_type[data["type"]](data)
    if origin in (list, Sequence):
        item = _converter(args[0])
        return lambda data: [item(d) for d in data] if data else []
    if origin is tuple and len(args) == 2 and args[1] is Ellipsis:
        item = _converter(args[0])
        return lambda data: tuple(item(d) for d in data)
    if origin is tuple:
        items = [_converter(a) for a in args]
        return lambda data: tuple(convert(d) for convert, d in zip(items, data))
    if origin in (dict, Mapping):
        item = _converter(args[1])
        return lambda data: {k: item(v) for k, v in _pairs(data)}
    if hasattr(hint, "_from_json"):
        return typing.cast(Converter, hint._from_json)
    if fields(hint) is not None:
        return _dataclass(hint)
    raise TypeError(f"no converter for {hint!r}")


def _word(data: Any) -> Any:
    if data.__class__ is str:
        return data
    return typing.cast("dict[str, Any]", data).get("other", data) if isinstance(data, dict) else data


def _pairs(data: Any) -> Any:
    items: Any = getattr(data, "items", None)
    return data if items is None else items()


def _dataclass(cls: Any) -> Converter:
    """A function made for the class, as its ``__init__`` is: a stream's event is made in a microsecond that way."""
    hints = typing.get_type_hints(cls)
    names: dict[str, Any] = {"_cls": cls, "_word": _word, "_checked": _checked}
    known, arguments = {"type"}, list[str]()
    for of in fields(cls) or ():
        name, hint = of.name, hints[of.name]
        known.add(name)
        value = f"data[{name!r}]"
        if hint not in (Any, bool, int):
            names[f"_make_{name}"] = _converter(hint)
            value = f"_make_{name}({value})"
        if of.default is not MISSING:
            names[f"_default_{name}"] = of.default
            value = f"{value} if {name!r} in data else _default_{name}"
        elif of.default_factory is not MISSING:
            names[f"_new_{name}"] = of.default_factory
            value = f"{value} if {name!r} in data else _new_{name}()"
        arguments.append(f"{name}={value}")
    names["_known"] = known
    lines = ["def convert(data):", " _checked(_cls, data, _known)"]
    exec("\n".join([*lines, f" return _cls({', '.join(arguments)})"]), names)
    return typing.cast(Converter, names["convert"])


def _checked(cls: Any, data: dict[str, Any], known: set[str]) -> None:
    if STRICT and (unknown := data.keys() - known):
        raise TypeError(f"{cls.__name__} has no field {sorted(unknown)}")
