"""What a question and a set-up can say, as keyword arguments, and how it is written for the engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, TypedDict, Union

from ._convert import decode, encode
from ._host import Embedder, Provider, StreamingProvider
from ._lent import Clock, ContextBuilder, MemoryStore, Ranker, Reranker, Router, ThreadStore
from ._tools import FunctionTool
from ._types import (
    Answer,
    Breaker,
    Budget,
    Citation,
    Document,
    EmbedderConfig,
    Experiment,
    HedgePolicy,
    Image,
    IndexLimits,
    MemorySource,
    MemoryType,
    Message,
    NewMemory,
    PaceLimits,
    Persona,
    ProviderConfig,
    Reasoning,
    ReasoningEffort,
    Recovery,
    Response,
    ResponseCacheOptions,
    RetryPolicy,
    Role,
    RoutingPolicy,
    Scope,
    SemanticCacheOptions,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Usage,
)

Question = Union[str, Message]
Item = Union[str, NewMemory]
AnyProvider = Union[Provider, StreamingProvider, ProviderConfig]


class Settings(TypedDict, total=False):
    """How an assistant is set up."""

    #: Servers by :class:`ProviderConfig`, or objects of your own, see :class:`Provider`.
    providers: Sequence[AnyProvider]
    #: Instead of the embedder in the package: a server by :class:`EmbedderConfig`, or an object of your own.
    embedder: Embedder | EmbedderConfig | None
    #: A router of your own, which is asked for each question.
    router: Router | None
    #: A ranker of recalled memories of your own; or weights for the default one, ``{"people": {"length": 0.0}}``, whose kinds and signals are those
    #: of ``docs/ranking.md``; or an older one by name: ``"classic"`` weighs by the kind of question, ``"classic_fixed"`` does not.
    ranker: Ranker | Mapping[str, Mapping[str, float]] | Literal["classic", "classic_fixed"] | None
    #: Reads the best of what was recalled again, together with the question.
    reranker: Reranker | None
    #: Functions that models may call in every turn and that run here, see :class:`FunctionTool`: the model reads what they return and
    #: goes on.
    tools: Sequence[Callable[..., Any] | FunctionTool]
    #: How many times in a row a turn runs the model's calls of these tools before it has to answer. Default 8.
    max_tool_rounds: int | None
    #: A context builder of your own.
    context_builder: ContextBuilder | None
    #: Keeps the memories instead of SQLite.
    memory_store: MemoryStore | None
    #: Keeps the threads instead of SQLite.
    thread_store: ThreadStore | None
    #: Tells the time instead of the machine's clock.
    clock: Clock | None
    #: Rows that are added to the catalogue of models and prices or correct it (see ``docs/catalogue.md``), or the path of a file of them.
    catalogue: Sequence[Mapping[str, Any]] | str | PathLike[str] | None
    #: Looks for a llama.cpp and an Ollama server on this machine.
    discover_local_servers: bool
    #: Who speaks.
    persona: Persona | None
    #: Tokens of the context by section.
    budget: Budget | None
    #: What the router aims at, from the cheapest capable model (0) to the best (1). Default 0.5.
    quality: float | None
    #: What is allowed and wanted of the choice of a model, for everybody: a strategy by name, lists, regions, a limit.
    policy: RoutingPolicy | None
    #: And beside that for single organisations, by name.
    organisation_policies: Mapping[str, RoutingPolicy]
    #: Ways to choose a model that are compared, each for its share of the users; see :meth:`Syntra.experiments`.
    experiments: Sequence[Experiment]
    #: By provider, the regions in which it works on data, for the residency of a policy.
    regions: Mapping[str, Sequence[str]]
    #: How often and how patiently models are called.
    retry_policy: RetryPolicy | None
    #: What happens when a stream fails after some of the answer was shown. Default ``"resume"``.
    recovery: Recovery | None
    #: How long a turn may take in seconds, from the question to its end. No limit by default.
    deadline: float | None
    #: Calls a second model beside one that is slow to answer. Off by default.
    hedging: HedgePolicy | None
    #: What is sent to each provider at the most: limits, ``"classic"`` for cautious ones, or ``"unlimited"``, the default: nothing but
    #: what the provider itself says holds calls back.
    pacing: PaceLimits | Literal["classic", "unlimited"] | None
    #: When a model that fails is left alone.
    breaker: Breaker | None
    #: Gives an answer again to the same request. Off by default.
    response_cache: ResponseCacheOptions | None
    #: Gives an answer again to a question that means the same. Off by default.
    semantic_cache: SemanticCacheOptions | None
    #: How much of the memories' indexes is held in memory.
    index_limits: IndexLimits | None
    #: IANA name of the time zone in which ``yesterday`` is understood. UTC by default.
    time_zone: str | None
    #: How many messages of a thread a turn reads back.
    history_messages: int | None
    #: Whether a question that no model answers is answered from memory. Default ``True``.
    extractive_fallback: bool
    #: Whether a turn says its steps in words (`ThinkingEvent`); it does by default.
    thinking: bool


class MemoryOptions(TypedDict, total=False):
    """What else can be said of a plain text that is to be remembered."""

    id: str | None
    title: str | None
    speaker: str | None
    role: Role | None
    conversation: str | None
    said_at: datetime | None
    source: MemorySource | None
    reliability: float | None
    metadata: Mapping[str, Any] | None


class AskOptions(TypedDict, total=False):
    """Options of :meth:`Syntra.ask`, :meth:`Syntra.stream` and :meth:`Syntra.plan`."""

    #: The thread it belongs to; created if it is not there. A new one where there is none.
    thread: str | None
    #: The conversation so far, oldest first, where you keep it yourself: it takes the place of a thread, and nothing is written to one.
    history: Sequence[Message] | None
    #: ``provider/model`` that must answer.
    model: str | None
    #: Instructions for this turn, after the persona's own.
    instructions: str | None
    #: Pictures to look at.
    images: Sequence[Image]
    #: Documents handed to the model as such.
    documents: Sequence[Document]
    #: Answers to the tool calls of the turn before; the question is then left empty.
    tool_results: Sequence[ToolResult]
    #: Tools that the model may call and that you run: see ``Answer.tool_calls``.
    tools: Sequence[Tool]
    #: How many times in a row calls of the assistant's own tools are run; 0 keeps them from the model.
    max_tool_rounds: int | None
    #: ``"auto"``, ``"none"``, ``"required"``, or the name of the tool that has to be called.
    tool_choice: str | None
    #: JSON schema that the answer must follow.
    json_schema: Mapping[str, Any] | None
    #: The schema's name.
    json_schema_name: str
    #: Any JSON object as answer.
    json: bool
    #: Sampling temperature, 0 to 2.
    temperature: float | None
    #: The most tokens to generate.
    max_tokens: int | None
    #: Texts at which generation ends.
    stop: Sequence[str]
    #: Seed for repeatable sampling.
    seed: int | None
    #: How hard to think.
    reasoning: ReasoningEffort | None
    #: Provider fields passed through untouched.
    extra: Mapping[str, Any]
    #: The most the call may cost, in dollars; dearer models are left out.
    max_cost_usd: float | None
    #: What is allowed and wanted of the choice of a model for this question, beside what holds for all.
    policy: RoutingPolicy | None
    #: Whether memory is recalled. Default ``True``.
    recall: bool
    #: Whether the exchange is remembered. Default ``True``.
    remember: bool
    #: How many memories to recall at the most.
    recall_limit: int | None
    #: The time of asking, where it is not now.
    now: datetime | None
    #: What happens when the stream fails after some of the answer was shown; as the assistant was set up by default.
    recovery: Recovery | None
    #: How long the turn may take in seconds; as the assistant was set up by default.
    deadline: float | None
    #: Whether an answer that was given before will do, where there is a cache. Default ``True``.
    cache: bool | None


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
            known = ", ".join(sorted(AskOptions.__annotations__))
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


def memory_items(items: Item | Sequence[Item], kind: MemoryType, options: MemoryOptions) -> list[Any]:
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
