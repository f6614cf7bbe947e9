"""What keeps `import syntra` light: dataclasses whose methods are not each compiled at import, and asyncio when it is first needed.

The dataclass decorator writes six methods a class as source and compiles them, half a millisecond each time and a hundred times here. The
one below has the same classes out of it (``fields``, ``replace``, ``match``, slots, pickling) with shared methods, and compiles a
class's ``__init__`` when its first object is made. Type checkers see the real one.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any


class _Lazy:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        __import__(self._name)
        value = self.__dict__[name] = getattr(sys.modules[self._name], name)
        return value


def _repr(self: Any) -> str:
    shown = (f"{f.name}={getattr(self, f.name)!r}" for f in dataclasses.fields(self) if f.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, f.name) for f in dataclasses.fields(self))


def _eq(self: Any, other: object) -> Any:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: Any) -> int:
    return hash(_values(self))


def _no_set(self: Any, name: str, value: Any = None) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


def _getstate(self: Any) -> tuple[Any, ...]:
    return _values(self)


def _setstate(self: Any, state: tuple[Any, ...]) -> None:
    for field, value in zip(dataclasses.fields(self), state):
        object.__setattr__(self, field.name, value)


def _first_init(self: Any, *args: Any, **kwargs: Any) -> None:
    """Stands in every class for the ``__init__`` that the first object made of it compiles."""
    cls: Any = self.__class__
    cls.__init__ = init = _compiled(cls)
    init(self, *args, **kwargs)


def _compiled(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {"_new": dataclasses.MISSING}
    signature, body = ["self"], list[str]()
    for field in dataclasses.fields(cls):
        name = field.name
        # Past the class's own refusal, straight into the slot.
        names[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            signature.append(f"{name}=_default_{name}")
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            signature.append(f"{name}=_new")
            value = f"_make_{name}() if {name} is _new else {name}"
        else:
            signature.append(name)
        body.append(f" _set_{name}(self, {value})")
    exec(f"def __init__({', '.join(signature)}):\n" + "\n".join(body or [" pass"]), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


_METHODS: dict[str, Any] = {
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _no_set,
    "__delattr__": _no_set,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}


def _frozen(*, frozen: bool, slots: bool) -> Callable[[Any], Any]:
    assert frozen and slots, "that is what all of them are"

    def wrap(cls: Any) -> Any:
        shows = "__repr__" in cls.__dict__
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
        for name, method in _METHODS.items():
            setattr(made, name, method)
        if not shows:
            made.__repr__ = _repr
        made.__init__ = _first_init
        setattr(made, "__match_args__", tuple(f.name for f in dataclasses.fields(made)))  # noqa: B010 (mypy forbids the other way)
        return made

    return wrap


def lazily(cls: Any, name: str, kind: type[Any], make: Callable[[Any], Any]) -> None:
    """Lets the field ``name`` hold something of ``kind``, of which ``make`` makes the value when it is first looked at."""
    slot = cls.__dict__[name]

    def get(self: Any) -> Any:
        value = slot.__get__(self, cls)
        if isinstance(value, kind):
            value = make(value)
            slot.__set__(self, value)
        return value

    setattr(cls, name, property(get, slot.__set__))


if TYPE_CHECKING:
    import asyncio as asyncio
    from dataclasses import dataclass as dataclass
else:
    asyncio = _Lazy("asyncio")
    dataclass = _frozen
