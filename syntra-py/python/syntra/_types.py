"""What goes in and what comes out: plain dataclasses, ``None`` for what is absent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, ClassVar, Literal, Union

from ._convert import decode
from ._native import Lazy
from ._value import base64, dataclass, field, lazily

MemoryType = Literal["profile", "semantic", "episodic", "procedural"]
Role = Literal["system", "user", "assistant", "tool"]
Strategy = Literal["vector", "keyword", "graph", "profile", "recent"]
ReasoningEffort = Literal["none", "minimal", "low", "medium", "high"]
#: What happens when a stream fails after some of the answer was shown: a model that can goes on from that text, and where none can there is
#: an error (``resume``, the default) or a :class:`RestartEvent`, on which what was shown has to be cleared, and a new answer
#: (``resume_or_restart``); or there is an error at once (``fail``).
Recovery = Literal["resume", "resume_or_restart", "fail"]
#: How the models that can answer are put in order: expected quality against cost and latency (``balanced``, the default), by one of these alone,
#: in turns, drawn by weight, or from the cheapest up as far as an answer is no good (``ladder``).
RoutingStrategy = Literal["balanced", "cheapest", "fastest", "best", "round_robin", "weighted", "ladder"]
#: What a question is about, as the router sees it.
Intent = Literal["social_chat", "qa_retrieval", "coding_help", "editing_writing", "reasoning_math", "web_search", "shopping", "vision"]
#: What a question wants of the assistant.
QueryIntent = Literal["conversation", "question", "recall", "command"]
#: Where in a context something stands.
Section = Literal["system", "profile", "semantic", "episodic", "procedural", "entities", "history", "current"]


@dataclass(frozen=True, slots=True)
class Scope:
    """The organisation and the user on whose behalf something is read or written. There is no default: every call names one."""

    org: str
    user: str

    @classmethod
    def local(cls) -> Scope:
        """The scope of a program with a single user."""
        return cls("local", "local")


# --- messages ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    type: ClassVar[str] = "text"
    text: str


def _source_json(url: str | None, data: bytes | None, media_type: str | None) -> dict[str, Any]:
    if (url is None) == (data is None):
        raise ValueError("give either a url or data")
    if url is not None:
        return {"url": url}
    if not media_type:
        raise ValueError("data needs its media_type, 'image/png' say")
    return {"bytes": {"media_type": media_type, "data": base64.b64encode(data or b"").decode("ascii")}}


@dataclass(frozen=True, slots=True)
class Image:
    """A picture: a ``url`` that the provider fetches, or the file's ``data`` with its ``media_type``."""

    type: ClassVar[str] = "image"
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    detail: str | None = None

    @classmethod
    def from_path(cls, path: str | PathLike[str], *, detail: str | None = None) -> Image:
        """The picture in a file; its type is told by its name."""
        import mimetypes
        from pathlib import Path

        file = Path(path)
        media_type = mimetypes.guess_type(file.name)[0]
        if media_type is None or not media_type.startswith("image/"):
            raise ValueError(f"{file.name} is not named like a picture")
        return cls(data=file.read_bytes(), media_type=media_type, detail=detail)

    def _to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "image", "source": _source_json(self.url, self.data, self.media_type)}
        if self.detail is not None:
            out["detail"] = self.detail
        return out

    @classmethod
    def _from_json(cls, data: dict[str, Any]) -> Image:
        source, detail = data["source"], data.get("detail")
        if "url" in source:
            return cls(url=source["url"], detail=detail)
        file = source["bytes"]
        return cls(data=base64.b64decode(file["data"]), media_type=file["media_type"], detail=detail)


@dataclass(frozen=True, slots=True)
class Document:
    """A document handed to the model as such: ``text``, a ``url``, or the file's ``data`` with its ``media_type``."""

    type: ClassVar[str] = "document"
    text: str | None = None
    url: str | None = None
    data: bytes | None = field(default=None, repr=False)
    media_type: str | None = None
    title: str | None = None

    def _to_json(self) -> dict[str, Any]:
        if self.text is not None:
            source: dict[str, Any] = {"text": self.text}
        else:
            source = _source_json(self.url, self.data, self.media_type)
        out: dict[str, Any] = {"type": "document", "source": source}
        if self.title is not None:
            out["title"] = self.title
        return out

    @classmethod
    def _from_json(cls, data: dict[str, Any]) -> Document:
        source, title = data["source"], data.get("title")
        if "bytes" in source:
            file = source["bytes"]
            return cls(data=base64.b64decode(file["data"]), media_type=file["media_type"], title=title)
        return cls(text=source.get("text"), url=source.get("url"), title=title)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks the application to make."""

    type: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: Any
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answered to a :class:`ToolCall`."""

    type: ClassVar[str] = "tool_result"
    call_id: str
    content: str
    name: str | None = None
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A stretch of the model's thinking; ``opaque`` is what its provider needs to see again."""

    type: ClassVar[str] = "reasoning"
    text: str
    opaque: Any = None


Part = Union[Text, Image, Document, ToolCall, ToolResult, Reasoning]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation: a role and its parts in order."""

    role: Role
    parts: list[Part]
    name: str | None = None

    @classmethod
    def user(cls, *parts: str | Part, name: str | None = None) -> Message:
        """A user's message; strings are text."""
        return cls("user", [Text(p) if isinstance(p, str) else p for p in parts], name)

    @classmethod
    def system(cls, text: str) -> Message:
        """Instructions."""
        return cls("system", [Text(text)])

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """An assistant's message; strings are text."""
        return cls("assistant", [Text(p) if isinstance(p, str) else p for p in parts])

    @classmethod
    def tool(cls, *results: ToolResult) -> Message:
        """The message that answers tool calls."""
        return cls("tool", list(results))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(p.text for p in self.parts if isinstance(p, Text))


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool that the model may call; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that an answer leans on: a URL, or the id of a memory."""

    type: ClassVar[str] = "citation"
    url: str
    title: str | None = None
    snippet: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens and money of one call or several; ``None`` means that the server did not say."""

    type: ClassVar[str] = "usage"
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    provider_cost: int | None = None
    estimated: bool = False

    @property
    def total_tokens(self) -> int | None:
        """Input and output together; ``None`` when neither is known."""
        if self.input_tokens is None and self.output_tokens is None:
            return None
        return (self.input_tokens or 0) + (self.output_tokens or 0)


# --- what a provider of your own is given -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """One request to one model, as a provider written in Python gets it."""

    model: str
    messages: list[Message]
    tools: list[Tool] = field(default_factory=list[Tool])
    tool_choice: Any = "auto"
    output: Any = "text"
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: list[str] = field(default_factory=list[str])
    seed: int | None = None
    reasoning: str | None = None
    cache_prefix: bool = False
    extra: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer, as a provider written in Python may give it; a plain string does too."""

    text: str = ""
    reasoning: str = ""
    tool_calls: Sequence[ToolCall] = ()
    citations: Sequence[Citation] = ()
    usage: Usage = field(default_factory=Usage)
    finish: str | None = None
    id: str | None = None
    model: str | None = None
    #: In which words it was refused, where it was.
    refusal: str | None = None


# --- memory -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemorySource:
    """Where in a document a memory is from."""

    document: str
    line_from: int | None = None
    line_to: int | None = None


@dataclass(frozen=True, slots=True)
class NewMemory:
    """Something to remember; an ``id`` of the caller's makes writing it twice harmless."""

    text: str
    kind: MemoryType = "semantic"
    id: str | None = None
    title: str | None = None
    speaker: str | None = None
    role: Role | None = None
    conversation: str | None = None
    said_at: datetime | None = None
    source: MemorySource | None = None
    reliability: float | None = None
    metadata: Mapping[str, Any] | None = None
    vector: Sequence[float] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Memory:
    """A remembered thing."""

    id: str
    kind: MemoryType
    text: str
    said_at: datetime
    created_at: datetime
    valid_from: datetime
    title: str | None = None
    speaker: str | None = None
    role: Role | None = None
    conversation: str | None = None
    valid_to: datetime | None = None
    superseded_by: str | None = None
    source: MemorySource | None = None
    reliability: float | None = None
    access_count: int = 0
    last_accessed: datetime | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of an item."""

    id: str
    outcome: Literal["created", "duplicate", "superseded"]


@dataclass(frozen=True, slots=True)
class RecalledMemory:
    """A memory in its place: ``parts`` are what each signal contributed to ``score``."""

    memory: Memory
    score: float
    parts: dict[str, float] = field(default_factory=dict[str, float])
    found_by: list[Strategy] = field(default_factory=list[Strategy])


@dataclass(frozen=True, slots=True)
class EntityFact:
    """What memory knows of somebody or something that a question names, by who is named in what."""

    name: str
    aliases: list[str]
    memories: int
    #: How many of them there are of each type.
    kinds: dict[str, int]
    #: Other names in the same memories.
    related: list[str]
    #: The ids of the memories that are about it the most.
    sources: list[str]
    first_said_at: datetime | None = None
    last_said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Recall:
    """What memory has on a question, best first."""

    items: list[RecalledMemory]
    #: What is known of whom and what the question names, with ``graph`` among the strategies.
    entities: list[EntityFact]
    strategies: list[StrategyReport]
    analysis: QueryAnalysis
    #: How many candidates the strategies found together, and how many of them were different ones.
    before_dedup: int
    after_dedup: int
    #: Microseconds of each step.
    spans: dict[str, int]
    #: What became of reading the best again, where a reranker is set.
    rerank: RerankReport | None = None

    @property
    def memories(self) -> list[Memory]:
        """The memories, best first."""
        return [item.memory for item in self.items]


@dataclass(frozen=True, slots=True)
class MemoryStats:
    """How many memories a scope has."""

    by_type: dict[str, int]
    total: int
    superseded: int
    with_vector: int
    #: Those whose vector another embedding model made; they are found by words until they are embedded anew.
    with_other_vector: int


@dataclass(frozen=True, slots=True)
class Erased:
    """What erasing removed."""

    memories: int
    vectors: int
    messages: int


# --- threads ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thread:
    """A conversation; ``messages`` is how many it has."""

    id: str
    created_at: datetime
    updated_at: datetime
    messages: int
    title: str | None = None


@dataclass(frozen=True, slots=True)
class ThreadMessage:
    """A message in its place, counted from 0 without gaps."""

    id: str
    place: int
    message: Message
    created_at: datetime
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


# --- routing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class Planned:
    """One target to be tried, and why."""

    target: Target
    reason: str


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """What the router thought of one candidate."""

    target: Target
    standing: Literal["chosen", "fallback", "excluded"]
    reason: str
    rank: int | None = None
    predicted_quality: float | None = None
    quality_source: str | None = None
    estimated_cost: int | None = None
    #: Tokens of the prompt that are expected to come out of the provider's cache, which is in the cost.
    cached_tokens: int | None = None
    expected_first_token_ms: int | None = None
    #: To the end of an answer of the predicted length; where first token and tokens per second were both seen.
    expected_latency_ms: int | None = None
    tokens_per_second: float | None = None
    context_window: int | None = None


@dataclass(frozen=True, slots=True)
class ExperimentArm:
    """The arm of an experiment that a turn was in."""

    experiment: str
    arm: str
    #: Whether the user's own arm was ended by a guard-rail, and this is the first.
    diverted: bool = False


@dataclass(frozen=True, slots=True)
class Escalation:
    """A turn that went on to a stronger model: whose answer was no good, who was asked instead, and what was wrong."""

    #: ``refused``, ``empty`` or ``malformed``.
    why: str
    from_: Target
    to: Target

    @classmethod
    def _from_json(cls, data: Mapping[str, Any]) -> Escalation:
        return cls(data["why"], Target(**data["from"]), Target(**data["to"]))

    def _to_json(self) -> dict[str, Any]:
        both = {"from": self.from_, "to": self.to}
        return {"why": self.why, **{k: {"provider": t.provider, "model": t.model} for k, t in both.items()}}


@dataclass(frozen=True, slots=True)
class Plan:
    """An ordered choice of models with its reasons."""

    order: list[Planned]
    candidates: list[CandidateReport]
    intent: Intent
    confidence: float
    #: How the candidates were put in order.
    strategy: RoutingStrategy = "balanced"
    #: The arms of experiments that it was made for.
    experiments: Sequence[ExperimentArm] = ()
    explanation: str = ""

    def explain(self) -> str:
        """The plan in words, for a person."""
        return self.explanation


# --- the trace --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A stretch of time that a question speaks of; ``to`` is exclusive. ``yearly``: no year was said (``in June``)."""

    phrase: str
    from_: datetime
    to: datetime
    yearly: bool = False

    @classmethod
    def _from_json(cls, data: dict[str, Any]) -> TimeRange:
        from ._convert import parse_time

        return cls(data["phrase"], parse_time(data["from"]), parse_time(data["to"]), data["yearly"])


@dataclass(frozen=True, slots=True)
class QueryAnalysis:
    """What was understood of a question."""

    intent: QueryIntent
    keywords: list[str]
    entities: list[str]
    about_now: bool
    asks_when: bool
    needs_memory: bool
    memory_types: list[MemoryType]
    exact: list[str]
    time: TimeRange | None = None
    asks_for: Literal["name", "number"] | None = None


@dataclass(frozen=True, slots=True)
class TracedMemory:
    """A recalled memory with its score and what each signal contributed."""

    id: str
    kind: MemoryType
    snippet: str
    score: float
    parts: dict[str, float]
    found_by: list[Strategy]
    source: str | None = None


@dataclass(frozen=True, slots=True)
class StrategyReport:
    """What one strategy found, and how long it took."""

    strategy: Strategy
    found: int
    elapsed_us: int
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class RerankReport:
    """What became of reading the best memories again; ``error`` says how it failed, the order is the ranker's then."""

    name: str
    read: int
    elapsed_us: int
    error: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ThreadSummary:
    """What the older messages of a thread said; ``covered`` is how many, from the thread's first."""

    covered: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ContextLine:
    """One line of the context and where it is from; ``label`` is the number an answer can cite it by."""

    section: Section
    tokens: int
    label: int | None = None
    memory_id: str | None = None
    #: What it says, where no memory or message is there to be looked up: entity lines and the summary.
    text: str | None = None
    #: The memories that an entity line is known from.
    sources: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that was left out of the context, and why."""

    section: Section
    tokens: int
    reason: str
    memory_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One call and how it went."""

    target: Target
    elapsed_ms: int
    usage: Usage
    #: Whether it read along with an identical call in flight, which bears the cost.
    shared: bool
    #: Whether it was begun beside another that was slow.
    hedge: bool
    #: Whether it went on from text that another attempt had shown before it failed.
    resumed: bool
    #: Whether it gave an answer again that was given before: nothing was sent, and it is free.
    cached: bool
    error: str | None = None
    message: str | None = None
    first_token_ms: int | None = None
    #: The similarity, up to 1, of the questions where a cached answer was found by meaning.
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a turn; times in microseconds from its beginning."""

    name: str
    start_us: int
    elapsed_us: int


@dataclass(frozen=True, slots=True)
class ToolRun:
    """A call of a tool that a turn ran; ``error`` says why it failed, as the model was told."""

    name: str
    call_id: str
    elapsed_ms: int
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything that a turn decided, and why."""

    turn_id: str
    thread_id: str
    started_at: datetime
    recalled: list[TracedMemory]
    strategies: list[StrategyReport]
    context: list[ContextLine]
    dropped: list[Dropped]
    tokens: dict[str, int]
    prompt_tokens: int
    attempts: list[AttemptRecord]
    #: Answers that were no good, and who was asked instead.
    escalations: list[Escalation]
    #: Calls of the assistant's own tools.
    tools: list[ToolRun]
    usage: Usage
    degraded: bool
    warnings: list[str]
    spans: list[Span]
    analysis: QueryAnalysis | None = None
    rewritten: str | None = None
    #: What is older in the thread than the messages that were read back word for word.
    summary: ThreadSummary | None = None
    #: What became of reading the best of what was recalled again, where a reranker is set.
    rerank: RerankReport | None = None
    counter: tuple[str, bool] | None = None
    plan: Plan | None = None
    cost: int | None = None
    error: Any = None
    explanation: str = field(default="", repr=False)

    def explain(self) -> str:
        """The trace in words, for a person."""
        return self.explanation


# --- answers and events -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """The assistant's whole answer. Costs are nano-dollars; ``None`` when a price is unknown."""

    text: str
    reasoning: str
    tool_calls: list[ToolCall]
    citations: list[Citation]
    finish: str
    message: Message = field(repr=False)
    message_id: str
    thread_id: str
    turn_id: str
    degraded: bool
    #: Whether it was given before and came from the cache.
    cached: bool
    usage: Usage
    elapsed_ms: int
    trace: Trace = field(repr=False)
    provider: str | None = None
    model: str | None = None
    cost: int | None = None
    first_token_ms: int | None = None
    refusal: str | None = None

    @property
    def cost_usd(self) -> float | None:
        """The cost in dollars."""
        return None if self.cost is None else self.cost / 1e9

    def __str__(self) -> str:
        return self.text


# Most callers never look at these.
lazily(Answer, "message", Lazy, lambda lazy: decode(Message, json.loads(lazy.json())))
lazily(Answer, "trace", Lazy, lambda lazy: decode(Trace, json.loads(lazy.json())))


@dataclass(frozen=True, slots=True)
class StartedEvent:
    """The server began to answer and named itself."""

    type: ClassVar[str] = "started"
    id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class TextEvent:
    """More of the answer."""

    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class ReasoningEvent:
    """More of the thinking."""

    type: ClassVar[str] = "reasoning"
    text: str
    opaque: Any = None


@dataclass(frozen=True, slots=True)
class ToolCallEvent(ToolCall):
    """A tool call, complete."""


@dataclass(frozen=True, slots=True)
class RefusalEvent:
    """More of the model's own words of declining."""

    type: ClassVar[str] = "refusal"
    text: str


@dataclass(frozen=True, slots=True)
class CitationEvent(Citation):
    """A source that the answer leans on."""


@dataclass(frozen=True, slots=True)
class UsageEvent(Usage):
    """Token counts so far; a later one replaces an earlier one field by field."""


@dataclass(frozen=True, slots=True)
class FinishEvent:
    """The model stopped."""

    type: ClassVar[str] = "finish"
    reason: str


@dataclass(frozen=True, slots=True)
class RecalledItem:
    """One recalled memory, as a stream shows it."""

    id: str
    snippet: str
    score: float
    source: str | None = None


@dataclass(frozen=True, slots=True)
class RecalledEvent:
    """The turn recalled memories."""

    type: ClassVar[str] = "recalled"
    items: list[RecalledItem]


@dataclass(frozen=True, slots=True)
class RoutedEvent:
    """The turn chose a model; sent again when it falls back to another."""

    type: ClassVar[str] = "routed"
    provider: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True)
class ThinkingEvent:
    """A step for a host's animation."""

    type: ClassVar[str] = "thinking"
    content: str


@dataclass(frozen=True, slots=True)
class SearchingEvent:
    """Searches that are being made."""

    type: ClassVar[str] = "searching"
    queries: list[str]


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A step of an agent or a phase of the turn."""

    type: ClassVar[str] = "node"
    name: str
    status: Literal["started", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class RestartEvent:
    """What was shown so far is void: another model starts again from nothing."""

    type: ClassVar[str] = "restart"
    reason: str


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The turn succeeded; nothing follows."""

    type: ClassVar[str] = "done"
    message_id: str
    thread_id: str
    turn_id: str
    degraded: bool
    #: Whether the answer was given before and came from the cache.
    cached: bool
    usage: Usage
    elapsed_ms: int
    provider: str | None = None
    model: str | None = None
    cost: int | None = None
    first_token_ms: int | None = None


Event = Union[
    StartedEvent,
    TextEvent,
    ReasoningEvent,
    ToolCallEvent,
    RefusalEvent,
    CitationEvent,
    UsageEvent,
    FinishEvent,
    RecalledEvent,
    RoutedEvent,
    ThinkingEvent,
    SearchingEvent,
    NodeEvent,
    RestartEvent,
    DoneEvent,
]


# --- set-up -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Budget:
    """Tokens of the context by section; what a section does not use flows to the others."""

    profile: int = 600
    semantic: int = 1500
    episodic: int = 1500
    procedural: int = 400
    entities: int = 300
    history: int = 300
    total: int = 5000
    #: The most tokens of the whole prompt; ``None`` where nobody knows it.
    window: int | None = None


@dataclass(frozen=True, slots=True)
class Persona:
    """One identity in front of every model."""

    name: str = "Syntra"
    tone: str = "clear, friendly and concise"
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class HedgePolicy:
    """When a second model is called beside a first that has not answered yet, and how often at the most."""

    #: Seconds without content before a second model is called; ``None``: the time within which 19 of 20 of the model's last calls had
    #: begun to answer.
    after: float | None = None
    #: The most calls that this may add, as a share of the others, 0 to 1. Default 0.05.
    most_share: float | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently models are called; ``None`` leaves a default as it is."""

    #: The most calls in all, over every model.
    max_attempts: int | None = None
    #: The most calls to one model.
    max_per_target: int | None = None
    #: Seconds before the first retry of the same model, doubled for each further one.
    backoff: float | None = None
    #: The longest wait in seconds that is accepted, also when a server asks for a longer one.
    max_wait: float | None = None


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """What is allowed and wanted of the choice of a model: for everybody, an organisation or one question. What any of these forbids
    is forbidden; of the rest the more particular one decides.

    A pattern names models: ``provider/model``, with ``*`` for any run of characters; one without ``/`` names a whole provider."""

    #: How the models that can answer are put in order.
    strategy: RoutingStrategy | None = None
    #: Between the cheapest (0) and the best (1), for ``"balanced"``.
    quality: float | None = None
    #: Patterns of the models that may be called; empty for all.
    allow: Sequence[str] = ()
    #: Patterns of the models that may not be called.
    deny: Sequence[str] = ()
    #: Regions in which the data may be worked on, see the setting ``regions``; empty for all.
    residency: Sequence[str] = ()
    #: The most that one call may cost, in dollars.
    max_cost_usd: float | None = None
    #: By pattern, how often a model is drawn by ``"weighted"``; 1 for those that none names.
    weights: Mapping[str, float] = field(default_factory=dict[str, float])
    #: Whether an answer that is refused, empty or against its JSON schema is asked of a stronger model. It is by default.
    escalate: bool | None = None

    def _to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {"allow": list(self.allow), "deny": list(self.deny), "residency": list(self.residency)}
        out["weights"] = dict(self.weights)
        for name in ("strategy", "quality", "escalate"):
            if getattr(self, name) is not None:
                out[name] = getattr(self, name)
        if self.max_cost_usd is not None:
            out["max_cost"] = round(self.max_cost_usd * 1e9)
        return out


@dataclass(frozen=True, slots=True)
class Arm:
    """One way to choose a model, for a share of the users."""

    name: str
    #: Its share of the users, against the sum over all arms.
    weight: float = 1.0
    #: What is allowed and wanted of the choice, beside what holds for all.
    policy: RoutingPolicy | None = None


@dataclass(frozen=True, slots=True)
class GuardRails:
    """What the arms but the first must keep to; one whose interval lies wholly beyond a limit is ended, and its users go to the first."""

    #: The least mean score.
    min_score: float | None = None
    #: The most of its turns that may go wrong, 0 to 1.
    max_bad_rate: float | None = None
    #: The most that a turn may cost on the average, in dollars.
    max_cost_usd: float | None = None
    #: The most milliseconds to the first token on the average.
    max_first_token_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Experiment:
    """A named experiment; each user is in one arm and stays there. The first is the one that the others are compared with."""

    name: str
    arms: Sequence[Arm]
    guard_rails: GuardRails | None = None
    #: The chance, over all time, that a difference which is reported is one. Default 0.95.
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and between which limits the true one lies, however often it is looked at."""

    #: Numbers that it rests on.
    count: int
    mean: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class ArmReport:
    """What came of one arm."""

    name: str
    #: Its share of the users, 0 to 1.
    share: float
    turns: int
    #: The mean of the scores that were given.
    score: Estimate
    #: The share of turns that went wrong.
    bad_rate: Estimate
    cost_usd: Estimate
    first_token_ms: Estimate
    #: By how much its score differs from the first arm's, at the least and at the most.
    score_difference: tuple[float, float] | None = None
    #: Whether it is better or worse than the first arm for sure; ``None`` while that cannot be said.
    better: bool | None = None
    #: The guard-rail that ended it, in words.
    ended: str | None = None


@dataclass(frozen=True, slots=True)
class ExperimentReport:
    """What came of an experiment."""

    name: str
    confidence: float
    #: The one that the others are compared with first.
    arms: list[ArmReport]


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A model server: one that is known by ``name`` (``openai``, ``anthropic``, ``gemini``, …), or any other at ``base_url``.

    Two of one name with different keys are one provider with two keys. ``api_key``, ``proxy`` and ``headers`` never show in a repr. ``models``
    are those that may be called, in order of preference; ``dialect`` is ``chat``,
    ``responses``, ``anthropic``, ``gemini`` or ``ollama`` and by default that of the known server, else ``chat``.
    """

    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    models: Sequence[str] | None = None
    dialect: str | None = None
    timeout: Timeouts | None = None
    #: A proxy for this server, ``http://user:password@host:port``, instead of those of the environment; never used for loopback.
    proxy: str | None = field(default=None, repr=False)
    #: A file of root certificates in PEM, trusted beside the machine's: a company's own, say.
    ca_file: str | PathLike[str] | None = None
    #: The most bytes of a whole answer. Default 64 MiB.
    max_response_bytes: int | None = None
    #: The most bytes of all of a stream. Default 256 MiB.
    max_stream_bytes: int | None = None
    #: What is sent to it at the most with each of its keys, in place of the assistant's ``pacing``.
    pacing: PaceLimits | Literal["classic", "unlimited"] | None = None
    #: Sent with every request: an organisation, a referer.
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    #: The most bytes of one event of a stream. Default 16 MiB.
    max_event_bytes: int | None = None
    #: By default what the server chooses; ``http2`` is spoken without asking, for servers in the clear that are known to.
    http_version: Literal["negotiated", "http1", "http2"] | None = None
    #: How many calls at a time go over one connection of HTTP/2. Default 80.
    streams_per_connection: int | None = None


@dataclass(frozen=True, slots=True)
class EmbedderConfig:
    """A server of embeddings instead of the model in the package: ``openai``, ``gemini``, or any other that speaks OpenAI's embeddings, by a
    name of yours with its ``base_url`` and ``model``; or ``static``, with the ``file`` of a model like the one in the package; or ``fastembed``,
    a sentence transformer in a ``folder``, in a package that was built with that feature.

    ``api_key`` and ``proxy`` never show in a repr.
    """

    name: str
    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    #: ``openai`` and ``gemini`` have one; another needs its ``dimensions`` too.
    model: str | None = None
    #: How many numbers the model's vectors have; a server that is not known is asked.
    dimensions: int | None = None
    #: Asks for vectors of fewer numbers, of models that allow it.
    shortened: int | None = None
    #: Put before what is remembered, and before questions, for models trained so.
    document_prefix: str | None = None
    query_prefix: str | None = None
    #: The most texts in one request. Default 2048 for ``openai``, 100 for ``gemini``, else 32.
    batch: int | None = None
    #: How often a request is tried again after a failure that may pass. Default 2.
    retries: int | None = None
    #: The file of a ``static`` model.
    file: str | PathLike[str] | None = None
    #: Of ``fastembed``: the folder with ``model.onnx``, ``tokenizer.json``, ``tokenizer_config.json`` and ``config.json``.
    folder: str | PathLike[str] | None = None
    #: Of ``fastembed``: the shared library of ONNX Runtime, for which else the variable ``ORT_DYLIB_PATH`` is read; the threads of a call (all
    #: cores); the tokens of a text that are read (512, and never more than the model's own limit); and whether the vector of the first token
    #: is taken instead of the mean of all, where the folder does not say it.
    library: str | PathLike[str] | None = None
    threads: int | None = None
    max_tokens: int | None = None
    first_token: bool | None = None
    #: Bytes of vectors that are kept, to be given again for the same text. None by default.
    cache_bytes: int | None = None
    timeout: Timeouts | None = None
    #: As those of :class:`ProviderConfig`.
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | PathLike[str] | None = None
    max_response_bytes: int | None = None
    http_version: Literal["negotiated", "http1", "http2"] | None = None
    streams_per_connection: int | None = None


@dataclass(frozen=True, slots=True)
class RerankerConfig:
    """A cross-encoder in a ``folder``: ``fastembed``, in a package that was built with that feature."""

    name: str
    #: As those of :class:`EmbedderConfig`.
    folder: str | PathLike[str] | None = None
    library: str | PathLike[str] | None = None
    threads: int | None = None
    max_tokens: int | None = None
    #: How many of the best it reads, 1 to 200. Default 20.
    depth: int | None = None
    #: What it adds to the score of the one that fits best. Default 1.
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class PaceLimits:
    """What is sent to a provider at the most with each of its keys; ``None`` for no limit."""

    #: Calls a second, sustained.
    requests_per_second: float | None = None
    #: Calls that may go at once after a pause. Default 5.
    burst: int | None = None
    #: Calls in flight at once.
    concurrency: int | None = None
    #: Tokens a minute, prompt and answer together.
    tokens_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a model that fails is left alone, and for how long; ``None`` leaves a default as it is. Times in seconds."""

    #: Failures in a row. Default 3.
    failures: int | None = None
    #: Share of failed calls, 0 to 1, once there are ``minimum_calls``. Default 0.5.
    failure_rate: float | None = None
    #: Default 10.
    minimum_calls: int | None = None
    #: How long it is left alone the first time; twice as long after each probe that fails. Default 15.
    cool_down: float | None = None
    #: Default 300.
    longest_cool_down: float | None = None
    #: The share of that, 0 to 1, by which chance may shorten it. Default 0.1.
    jitter: float | None = None
    #: How soon the next probe may follow one that found nothing out. Default 1.
    probe_interval: float | None = None
    #: In what time a call loses half its weight in the failure rate. Default 60.
    half_life: float | None = None
    #: The weight of the newest call in the latency and in the tokens per second, 0 to 1. Default 0.3.
    latency_weight: float | None = None
    #: How many models with their keys are remembered. Default 1024.
    capacity: int | None = None


@dataclass(frozen=True, slots=True)
class ResponseCacheOptions:
    """Keeps the answers to requests, to be given again to the same request; ``None`` leaves a default as it is."""

    #: Seconds that an answer is given again. Default 300.
    ttl: float | None = None
    #: Bytes of answers that are kept. Default 64 MiB.
    max_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class IndexLimits:
    """How much of the memories' indexes is held in memory; ``None`` leaves a default as it is."""

    #: The most users whose indexes are held, the least recently used going first. Default 256.
    partitions: int | None = None
    #: The most bytes that all of them take, about; one user's are held however large they are. Default 512 MiB.
    bytes: int | None = None
    #: From how many vectors of one user on a graph (HNSW) is built and answers. Default 2,000,000: below, the scan is as quick.
    graph_from: int | None = None


@dataclass(frozen=True, slots=True)
class SemanticCacheOptions:
    """Gives an answer again to a question that means the same; ``None`` leaves a default as it is."""

    #: The cosine of the questions from which they mean the same, up to 1. Default 0.95.
    threshold: float | None = None
    #: Seconds that an answer is given again. Default 300.
    ttl: float | None = None
    #: Answers that are kept. Default 1000.
    max_entries: int | None = None
    #: Among whom answers are shared: one user's questions (the default) or those of an organisation.
    scope: Literal["user", "organisation"] | None = None


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines of a server in seconds; ``None`` leaves a default as it is."""

    connect: float | None = None
    first_token: float | None = None
    between_chunks: float | None = None
    total: float | None = None


# --- reports ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens of a text; ``exact`` when the model's own tokenizer counted."""

    tokens: int
    exact: bool


@dataclass(frozen=True, slots=True)
class ModelHealth:
    """How a model has done lately."""

    model: str
    available: bool
    failure_rate: float
    #: Calls on their way, over all keys.
    in_flight: int
    #: Each key of its provider: one, where the provider has none or one.
    keys: list[ModelKey]
    first_token_ms: int | None = None
    #: Of an answer after its first token.
    tokens_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class ModelKey:
    """Where one key of a model stands: its breaker and its pace. Times in milliseconds."""

    #: The key's fingerprint, which says nothing about the key; empty where there is none.
    key_id: str
    #: ``half_open``: the next call, or the one on its way, finds out whether the model is back.
    breaker: Literal["closed", "open", "half_open"]
    #: How long until the breaker lets a call through; 0 where it does now.
    closed_for_ms: int
    failure_rate: float
    in_flight: int
    #: Calls that wait for the pace.
    waiting: int
    #: How long the next call would have to wait for the pace.
    wait_ms: int
    first_token_ms: int | None = None
    #: Of an answer after its first token.
    tokens_per_second: float | None = None
    #: Calls a second that the pace lets through now; ``None`` for no limit.
    requests_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A report on store, embedder and models."""

    ready: bool
    embedder: str
    models: list[ModelHealth]
    store_error: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index has come: ``path`` is the file that is being read, ``None`` at the end."""

    done: int
    total: int
    chunks: int
    path: str | None = None


@dataclass(frozen=True, slots=True)
class DocumentStats:
    """What is indexed: files, chunks, and chunks by folder."""

    documents: int
    chunks: int
    folders: dict[str, int]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that was left out or lost something, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What indexing a folder did, in files and in chunks."""

    new: int
    changed: int
    unchanged: int
    gone: int
    chunks_written: int
    chunks_removed: int
    skipped: list[Skipped]
    notes: list[Skipped]
