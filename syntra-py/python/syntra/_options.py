"""How a question and what is to be remembered are written for the engine, and what comes back is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Union

from ._convert import decode, encode
from ._types import (
    Answer,
    Citation,
    MemoryType,
    Message,
    NewMemory,
    Reasoning,
    Response,
    Scope,
    Text,
    ToolCall,
    Usage,
)
from ._value import keywords

Question = Union[str, Message]
Item = Union[str, NewMemory]
_PLAIN = frozenset(
    (
        *("thread", "history", "model", "instructions", "temperature", "max_tokens", "max_tool_rounds", "seed", "reasoning", "policy"),
        *("recall", "remember", "recall_limit", "now", "recovery", "deadline", "cache"),
    )
)


def ask_params(scope: Scope, question: Question, options: Mapping[str, Any]) -> str:
    """The question and its options, as the engine takes them."""
    ask = list[str]()
    role, name_of_speaker, parts = "user", None, list[Any]()
    if not isinstance(question, str):
        role, name_of_speaker = question.role, question.name
        parts = [p for p in question.parts if getattr(p, "text", None) != ""]
    elif question:
        parts = [Text(question)]
    for name, value in options.items():
        if name in _PLAIN:
            if value is not None:
                ask.append(f'"{name}":{_json(value)}')
        elif name in ("images", "documents"):
            parts.extend(value)
        elif name == "tool_results":
            parts.extend(value)
            role = "tool" if value else role
        elif name in ("tools", "stop", "extra"):
            ask.append(f'"{name}":{_json(value)}')
        elif name == "tool_choice":
            if value is not None:
                choice = value if value in ("auto", "none", "required") else {"named": value}
                ask.append(f'"tool_choice":{_json(choice)}')
        elif name == "json_schema":
            if value is not None:
                schema = {"name": options.get("json_schema_name", "answer"), "schema": encode(value)}
                ask.append(f'"output":{_json({"json_schema": schema})}')
        elif name == "json":
            if value and options.get("json_schema") is None:
                ask.append('"output":"json"')
        elif name == "max_cost_usd":
            if value is not None:
                ask.append(f'"max_cost":{round(value * 1e9)}')
        elif name != "json_schema_name":
            known = ", ".join(sorted(keywords.AskOptions.__annotations__))
            raise TypeError(f"unknown option {name!r}; there are {known}")
    said = ",".join([f'{{"type":"text","text":{_quoted(p.text)}}}' if isinstance(p, Text) else _json(p) for p in parts])
    speaker = "" if name_of_speaker is None else f',"name":{_quoted(name_of_speaker)}'
    ask.append(f'"message":{{"role":{_quoted(role)},"parts":[{said}]{speaker}}}')
    return f'{{"scope":{_json(scope)},"ask":{{{",".join(ask)}}}}}'


_quoted = json.encoder.encode_basestring_ascii


def _json(value: Any) -> str:
    """``value`` as JSON. Piece by piece that takes a third of what it does by way of a tree of dictionaries."""
    kind: Any = value.__class__
    if kind is bool:
        return "true" if value else "false"
    if kind is str:
        return _quoted(value)
    if kind is Scope:
        return f'{{"org":{_quoted(value.org)},"user":{_quoted(value.user)}}}'
    if kind is list and not value:
        return "[]"
    return json.dumps(encode(value))


def params(scope: Scope | None = None, /, **named: Any) -> str:
    """Arguments of a call, ``None`` left out."""
    out = {name: encode(value) for name, value in named.items() if value is not None}
    if scope is not None:
        if not isinstance(scope, Scope):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"the first argument is the Scope on whose behalf it is done, not {type(scope).__name__}")
        out["scope"] = encode(scope)
    return json.dumps(out)


def memory_items(items: Item | Sequence[Item], kind: MemoryType, options: keywords.MemoryOptions) -> list[Any]:
    """What is to be remembered, as a list."""
    out: list[Any] = []
    for item in [items] if isinstance(items, (str, NewMemory)) else items:
        if isinstance(item, str):
            item = NewMemory(item, kind, **options)
        elif options:
            raise TypeError("options go with a plain text; a NewMemory says it all itself")
        out.append(encode(item))
    return out


def id_list(ids: str | Sequence[str]) -> list[str]:
    """One id or several."""
    return [ids] if isinstance(ids, str) else list(ids)


def memory_filter(
    kinds: MemoryType | Sequence[MemoryType] | None,
    conversation: str | None,
    said_from: datetime | None,
    said_to: datetime | None,
) -> dict[str, Any]:
    """What a search is narrowed to."""
    return {
        "kinds": [] if kinds is None else id_list(kinds),
        "conversation": conversation,
        "from": encode(said_from),
        "to": encode(said_to),
    }


def answer(row: tuple[Any, ...]) -> Answer:
    """The answer whose fields are those of ``row``, in their order: lists with something in them are JSON still."""
    values = list(row)
    values[2] = decode(list[ToolCall], json.loads(values[2])) if values[2] else []
    values[3] = decode(list[Citation], json.loads(values[3])) if values[3] else []
    values[11] = Usage(*values[11])
    return Answer(*values)


def response(data: dict[str, Any]) -> Response:
    """A model's whole answer, taken apart."""
    parts = decode(Message, data["message"]).parts
    return Response(
        text="".join(p.text for p in parts if isinstance(p, Text)),
        reasoning="".join(p.text for p in parts if isinstance(p, Reasoning)),
        tool_calls=[p for p in parts if isinstance(p, ToolCall)],
        citations=decode(list[Citation], data["citations"]),
        usage=decode(Usage, data["usage"]),
        finish=decode(str, data["finish"]),
        id=data["id"],
        model=data["model"],
        refusal=data.get("refusal"),
    )
