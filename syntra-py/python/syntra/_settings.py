"""What a question and a set-up can say, as keyword arguments. Imported where somebody looks: a program that only calls needs none of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, TypedDict, Union

from ._host import Embedder, Provider, StreamingProvider
from ._tools import FunctionTool
from ._types import (
    Breaker,
    Budget,
    Document,
    EmbedderConfig,
    Experiment,
    HedgePolicy,
    Image,
    IndexLimits,
    MemorySource,
    Message,
    PaceLimits,
    Persona,
    ProviderConfig,
    ReasoningEffort,
    Recovery,
    RerankerConfig,
    ResponseCacheOptions,
    RetryPolicy,
    Role,
    RoutingPolicy,
    SemanticCacheOptions,
    Tool,
    ToolResult,
)
from ._value import rooms

AnyProvider = Union[Provider, StreamingProvider, ProviderConfig]


class Settings(TypedDict, total=False):
    """How an assistant is set up."""

    #: Servers by :class:`ProviderConfig`, or objects of your own, see :class:`Provider`.
    providers: Sequence[AnyProvider]
    #: Instead of the embedder in the package: a server or a local model by :class:`EmbedderConfig`, or an object of your own.
    embedder: Embedder | EmbedderConfig | None
    #: A router of your own, which is asked for each question.
    router: rooms.Router | None
    #: A ranker of recalled memories of your own; or weights for the default one, ``{"people": {"length": 0.0}}``, whose kinds and signals are those
    #: of ``docs/ranking.md``; or an older one by name: ``"classic"`` weighs by the kind of question, ``"classic_fixed"`` does not.
    ranker: rooms.Ranker | Mapping[str, Mapping[str, float]] | Literal["classic", "classic_fixed"] | None
    #: Reads the best of what was recalled again, together with the question: a local model, or an object of your own.
    reranker: rooms.Reranker | RerankerConfig | None
    #: Functions that models may call in every turn and that run here, see :class:`FunctionTool`: the model reads what they return and
    #: goes on.
    tools: Sequence[Callable[..., Any] | FunctionTool]
    #: How many times in a row a turn runs the model's calls of these tools before it has to answer. Default 8.
    max_tool_rounds: int | None
    #: A context builder of your own.
    context_builder: rooms.ContextBuilder | None
    #: Keeps the memories instead of SQLite.
    memory_store: rooms.MemoryStore | None
    #: Keeps the threads instead of SQLite.
    thread_store: rooms.ThreadStore | None
    #: Tells the time instead of the machine's clock.
    clock: rooms.Clock | None
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
