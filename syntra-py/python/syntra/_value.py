"""What keeps `import syntra` light: dataclasses without the module that makes them, and modules that are imported when first needed.

The dataclass decorator of the standard library writes six methods a class as source and compiles them, half a millisecond each time and a
hundred times here, and its module reads the sources of others by way of a dozen more. The one below has the same classes out of it
(``fields``, ``replace``, ``match``, slots, pickling) with shared methods, compiles a class's ``__init__`` when its first object is made, and
has the standard library describe a class when somebody asks. Type checkers see the real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

__all__ = [
    "MISSING",
    "Field",
    "asyncio",
    "base64",
    "dataclass",
    "dataclasses",
    "field",
    "fields",
    "inspect",
    "keywords",
    "lazily",
    "rooms",
    "threading",
    "weakref",
]


class _Later:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self.__dict__["_name"] = name

    def __getattr__(self, name: str) -> Any:
        __import__(self._name)
        value = self.__dict__[name] = getattr(sys.modules[self._name], name)
        return value


#: Where a field has no default.
MISSING: Any = object()


class Field:
    """One field of a class, as :func:`dataclasses.field` describes it."""

    __slots__ = ("default", "default_factory", "name", "repr")

    def __init__(self, *, default: Any = MISSING, default_factory: Any = MISSING, repr: bool = True) -> None:
        self.name = ""
        self.default = default
        self.default_factory = default_factory
        self.repr = repr


def fields(cls: Any) -> tuple[Field, ...] | None:
    """The fields of a class that was made here; ``None`` of any other."""
    own: tuple[Field, ...] | None = cls.__dict__.get("_syntra_fields")
    return own


class _Described:
    """What the standard library would know of a class; it is asked when somebody looks."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, _: object, owner: Any) -> Any:
        if not hasattr(owner, "_syntra_fields"):
            raise AttributeError(self._name)  # what all have in common is no dataclass itself
        body = dict[str, Any]()
        for of in owner._syntra_fields:
            if of.default is not MISSING:
                body[of.name] = dataclasses.field(default=of.default, repr=of.repr)
            elif of.default_factory is not MISSING:
                body[of.name] = dataclasses.field(default_factory=of.default_factory, repr=of.repr)
            elif not of.repr:
                body[of.name] = dataclasses.field(repr=False)
        hints = {name: hint for of in reversed(owner.__mro__[:-1]) for name, hint in of.__annotations__.items()}
        body["__annotations__"] = {of.name: hints[of.name] for of in owner._syntra_fields}
        alike: Any = dataclasses.dataclass(frozen=True)(type(owner.__name__, (), body))
        setattr(owner, self._name, getattr(alike, self._name))
        return getattr(alike, self._name)


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(getattr(self, of.name) for of in self._syntra_fields)


def _first_init(self: Any, *args: Any, **kwargs: Any) -> None:
    """Stands in every class for the ``__init__`` that the first object made of it compiles."""
    cls: Any = self.__class__
    cls.__init__ = init = _compiled(cls)
    init(self, *args, **kwargs)


def _no_set(self: Any, name: str, value: Any = None) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot change field {name!r}")


class _Value:
    """What the decorator of the standard library writes into each class anew."""

    __slots__ = ()
    _syntra_fields: ClassVar[tuple[Field, ...]]
    __init__ = _first_init
    __setattr__ = _no_set
    __delattr__ = _no_set
    __dataclass_fields__ = _Described("__dataclass_fields__")
    __dataclass_params__ = _Described("__dataclass_params__")

    def __repr__(self) -> str:
        shown = (f"{of.name}={getattr(self, of.name)!r}" for of in self._syntra_fields if of.repr)
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> Any:
        return _values(self) == _values(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(_values(self))

    def __getstate__(self) -> tuple[Any, ...]:
        return _values(self)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for of, value in zip(self._syntra_fields, state):
            object.__setattr__(self, of.name, value)


def _compiled(cls: Any) -> Callable[..., None]:
    names: dict[str, Any] = {"_new": MISSING}
    signature, body = ["self"], list[str]()
    for of in cls._syntra_fields:
        name = of.name
        # Past the class's own refusal, straight into the slot.
        names[f"_set_{name}"] = getattr(cls, name).__set__
        value = name
        if of.default is not MISSING:
            names[f"_default_{name}"] = of.default
            signature.append(f"{name}=_default_{name}")
        elif of.default_factory is not MISSING:
            names[f"_make_{name}"] = of.default_factory
            signature.append(f"{name}=_new")
            value = f"_make_{name}() if {name} is _new else {name}"
        else:
            signature.append(name)
        body.append(f" _set_{name}(self, {value})")
    exec(f"def __init__({', '.join(signature)}):\n" + "\n".join(body or [" pass"]), names)
    init: Callable[..., None] = names["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


def _frozen(*, frozen: bool, slots: bool) -> Callable[[Any], Any]:
    assert frozen and slots, "that is what all of them are"

    def wrap(cls: Any) -> Any:
        body = {name: value for name, value in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
        own = list[Field]()
        for name, hint in cls.__annotations__.items():
            if not hint.startswith("ClassVar"):
                value = body.pop(name, MISSING)
                of = value if isinstance(value, Field) else Field(default=value)
                of.name = name
                own.append(of)
        all_fields = (*getattr(cls, "_syntra_fields", ()), *own)
        body["__slots__"] = tuple([of.name for of in own])
        body["__match_args__"] = tuple([of.name for of in all_fields])
        body["__annotations__"] = cls.__annotations__
        body["_syntra_fields"] = all_fields
        bases = cls.__bases__
        if bases == (object,):
            bases = (_Value,)
        else:
            body["__init__"] = _first_init  # that of the class above may be compiled already
        # Slots are only given to a class that is being made, so it is made once more.
        made = type(cls)(cls.__name__, bases, body)
        made.__qualname__ = cls.__qualname__
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
    import asyncio
    import base64
    import dataclasses
    import inspect
    import threading
    import weakref
    from dataclasses import dataclass, field

    import syntra._lent as rooms
    import syntra._settings as keywords
else:
    asyncio = _Later("asyncio")
    base64 = _Later("base64")
    dataclasses = _Later("dataclasses")
    inspect = _Later("inspect")
    threading = _Later("threading")
    weakref = _Later("weakref")
    dataclass = _frozen
    field = Field
    rooms = _Later("syntra._lent")
    keywords = _Later("syntra._settings")
