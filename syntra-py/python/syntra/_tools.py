"""Functions as tools that the assistant runs itself."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin

from ._convert import decode
from ._types import Scope
from ._value import dataclass, inspect

_PLAIN: dict[Any, str] = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object", list: "array"}


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One call of a tool by a model, beside its arguments."""

    #: For whom the model asks.
    scope: Scope
    turn_id: str
    #: Unique in the conversation.
    call_id: str


class FunctionTool:
    """A function that models may call and that the assistant runs: the model reads what it returns and goes on.

    It is called with the arguments by name, may be ``async``, and returns a text or what can be written as JSON. What it raises the model
    is told. ``name`` is the function's own, ``description`` its docstring and ``parameters``, the JSON schema of its arguments, is made of
    its annotations (``str``, ``int``, ``float``, ``bool``, ``list``, ``dict``, ``Literal``, ``Optional``) where it is not given. With
    ``with_use`` its first argument is the :class:`ToolUse`, which says for whom. A call may take ``timeout`` seconds.
    """

    __slots__ = ("description", "function", "name", "parameters", "timeout", "with_use")

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        with_use: bool = False,
        timeout: float = 30.0,
    ) -> None:
        if not callable(function):
            raise TypeError(f"a tool is a function, not {type(function).__name__}")
        self.function = function
        self.name = name if name is not None else getattr(function, "__name__", type(function).__name__)
        self.description = description if description is not None else inspect.getdoc(function) or ""
        self.with_use = with_use
        self.parameters = dict(parameters) if parameters is not None else _schema(self.name, function, with_use)
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"FunctionTool({self.name!r})"


class ToolObject:
    """A tool, as the engine calls it."""

    def __init__(self, tool: FunctionTool) -> None:
        self._tool = tool

    def call(self, argument: dict[str, Any]) -> Any:
        arguments = argument.pop("arguments")
        if self._tool.with_use:
            return self._tool.function(decode(ToolUse, argument), **arguments)
        return self._tool.function(**arguments)


def _schema(name: str, function: Callable[..., Any], with_use: bool) -> dict[str, Any]:
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:
        raise TypeError(f"the annotations of the tool {name} cannot be read ({error}): give its parameters as a JSON schema") from error
    properties: dict[str, Any] = {}
    required: list[str] = []
    for place, parameter in enumerate(inspect.signature(function).parameters.values()):
        if with_use and place == 0:
            continue
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"the tool {name} takes {parameter}: give its parameters as a JSON schema")
        properties[parameter.name] = _of(name, parameter.name, hints.get(parameter.name, str))
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of(tool: str, parameter: str, hint: Any) -> dict[str, Any]:
    origin, given = get_origin(hint), get_args(hint)
    if hint is Any:
        return {}
    if origin is Literal:
        return {"enum": list(given)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [{"type": "null"} if one is type(None) else _of(tool, parameter, one) for one in given]}
    if origin is list and given:
        return {"type": "array", "items": _of(tool, parameter, given[0])}
    plain = _PLAIN.get(origin or hint)
    if plain is None:
        raise TypeError(f"the argument {parameter} of the tool {tool} is of a type that has no schema here: give its parameters as a JSON schema")
    return {"type": plain}
