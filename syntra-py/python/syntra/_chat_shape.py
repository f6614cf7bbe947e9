"""Conversations in the shape of OpenAI's Chat Completions, for the wrappers of other packages' interfaces."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ._errors import InvalidInputError
from ._types import Image, Message, Part, Target, Text, Tool, ToolCall, ToolResult

if TYPE_CHECKING:
    from ._settings import AskOptions

#: Fields of a request that say nothing of the answer.
_IGNORED = frozenset(("user", "n", "stream", "stream_options", "store", "parallel_tool_calls", "safety_identifier", "service_tier", "metadata"))
_PLAIN = {"temperature": "temperature", "max_tokens": "max_tokens", "max_completion_tokens": "max_tokens", "seed": "seed"}


class Conversation(NamedTuple):
    """A conversation as `ask` takes it."""

    question: Message
    history: list[Message]
    instructions: str | None


def conversation(messages: Iterable[Mapping[str, Any]]) -> Conversation:
    """System texts become instructions, the last message is the question, the rest the history."""
    system: list[str] = []
    said: list[Message] = []
    for message in messages:
        role = message["role"]
        if role in ("system", "developer"):
            system.append("".join(part.text for part in _parts(message.get("content")) if isinstance(part, Text)))
        elif role in ("tool", "function"):
            content = "".join(part.text for part in _parts(message.get("content")) if isinstance(part, Text))
            result = ToolResult(str(message.get("tool_call_id") or message.get("name") or ""), content, message.get("name"))
            if said and said[-1].role == "tool":
                result_before = said.pop()
                said.append(Message("tool", [*result_before.parts, result]))
            else:
                said.append(Message.tool(result))
        elif role == "assistant":
            parts = [*_parts(message.get("content")), *(_call(call) for call in message.get("tool_calls") or ())]
            said.append(Message("assistant", parts))
        elif role == "user":
            said.append(Message("user", _parts(message.get("content")), message.get("name")))
        else:
            raise InvalidInputError(f"unknown role {role!r}: use system, user, assistant or tool")
    if not said or said[-1].role == "assistant":
        raise InvalidInputError("the last message must be the user's or a tool's")
    return Conversation(said[-1], said[:-1], "\n\n".join(text for text in system if text) or None)


def _parts(content: Any) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [_part(part) for part in content]


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return Text(part)
    kind = part.get("type")
    if kind in ("text", "refusal"):
        return Text(part[kind])
    if kind == "image_url":
        given = part["image_url"]
        url, detail = (given, None) if isinstance(given, str) else (given["url"], given.get("detail"))
        if url.startswith("data:"):
            head, _, data = url[5:].partition(",")
            return Image(data=base64.b64decode(data), media_type=head.split(";")[0], detail=detail)
        return Image(url=url, detail=detail)
    raise InvalidInputError(f"a part of type {kind!r} cannot be sent: use text or image_url")


def _call(call: Mapping[str, Any]) -> ToolCall:
    function = call["function"]
    arguments = function.get("arguments") or "{}"
    return ToolCall(call["id"], function["name"], json.loads(arguments) if isinstance(arguments, str) else arguments)


def ask_options(given: Mapping[str, Any]) -> AskOptions:
    """The fields of a request as options of `ask`. What cannot be honoured is an error, never dropped."""
    out: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or name in _IGNORED:
            if name == "n" and value not in (None, 1):
                raise InvalidInputError("one answer a request: n must be 1")
        elif name in _PLAIN:
            out[_PLAIN[name]] = value
        elif name == "stop":
            out["stop"] = [value] if isinstance(value, str) else list(value)
        elif name == "reasoning_effort":
            out["reasoning"] = value
        elif name == "tools":
            out["tools"] = [_tool(tool) for tool in value]
        elif name == "tool_choice":
            out["tool_choice"] = _choice(value)
        elif name == "response_format":
            out.update(_format(value))
        else:
            out.setdefault("extra", {})[name] = value
    return out  # type: ignore[return-value]


def _tool(tool: Mapping[str, Any]) -> Tool:
    function: Mapping[str, Any] = tool["function"] if "function" in tool else tool
    parameters: Mapping[str, Any] = function.get("parameters") or {"type": "object", "properties": {}}
    return Tool(function["name"], function.get("description") or "", parameters)


def _choice(choice: Any) -> str:
    if isinstance(choice, str):
        return "required" if choice == "any" else choice
    return str(choice["function"]["name"])


def _format(value: Mapping[str, Any]) -> dict[str, Any]:
    if value["type"] == "json_schema":
        given = value["json_schema"]
        return {"json_schema": given["schema"], "json_schema_name": given.get("name", "answer")}
    return {"json": True} if value["type"] == "json_object" else {}


def pinned(model: str | None, known: Sequence[Target]) -> str | None:
    """The model that must answer: ``auto`` and the like leave it to the router, a bare name is looked for among the providers'."""
    if model in (None, "", "auto", "syntra"):
        return None
    found = [str(target) for target in known if model in (target.model, str(target))]
    return found[0] if found else model


def finish_reason(finish: str) -> str:
    """Why it ended, in OpenAI's words."""
    return finish if finish in ("stop", "length", "tool_calls", "content_filter") else "content_filter" if finish == "refusal" else "stop"
