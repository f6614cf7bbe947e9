"""Rooms of the house written in Python: a router, a ranker, a context builder, stores and a clock. Any method may be ``async``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, Union, runtime_checkable

from ._convert import decode
from ._types import (
    Budget,
    ContextLine,
    Dropped,
    Erased,
    Intent,
    Memory,
    MemoryStats,
    MemoryType,
    Message,
    NewMemory,
    Planned,
    QueryAnalysis,
    Remembered,
    RoutingStrategy,
    Scope,
    Strategy,
    Target,
    Thread,
    ThreadMessage,
    ThreadSummary,
)
from ._value import dataclass, field, inspect

# --- router -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Needs:
    """What a request requires of a model, beside its window."""

    vision: bool = False
    tools: bool = False
    json_schema: bool = False
    reasoning: bool = False
    #: A preference, not a hard constraint.
    web_search: bool = False


@dataclass(frozen=True, slots=True)
class RouteQuery:
    """A question as a router sees it."""

    text: str
    intent: Intent
    confidence: float
    needs: Needs
    input_tokens: int
    output_tokens: int
    history_messages: int
    organisation: str
    #: ``provider/model`` that the caller insists on.
    pinned: str | None = None
    #: The most the call may cost, in nano-dollars.
    max_cost: int | None = None
    #: Between the cheapest (0) and the best (1), where the question says so.
    quality: float | None = None
    #: How the models are to be put in order.
    strategy: RoutingStrategy = "balanced"


@dataclass(frozen=True, slots=True)
class FleetModel:
    """A model that is configured, and how it has done lately."""

    provider: str
    model: str
    #: ``False`` while it is known not to answer.
    available: bool
    failure_rate: float
    in_flight: int
    first_token_ms: int | None = None
    #: Of an answer after its first token.
    tokens_per_second: float | None = None
    #: Tokens of the prompt that are likely to be in the provider's cache.
    cached_tokens: int = 0

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class RouteOutcome:
    """How a call went; with a ``score`` (0 to 1) where somebody said how good the answer was."""

    target: Target
    intent: Intent
    total_ms: int
    input_tokens: int
    organisation: str
    question: str
    error: str | None = None
    first_token_ms: int | None = None
    cost: int | None = None
    #: Tokens of the prompt that came out of the provider's cache, and of the answer, where they are known.
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    score: float | None = None
    #: What the answer came to without anybody saying it.
    sign: Literal["fine", "refused", "empty", "malformed", "asked_again"] | None = None


Choice = Union[str, Target, Planned, FleetModel]


@runtime_checkable
class Router(Protocol):
    """Chooses models: ``plan`` returns those of ``fleet`` to try, best first, as ``provider/model`` or with a reason (:class:`Planned`).

    An ``observe(outcome)``, if there is one, hears how calls went (:class:`RouteOutcome`); what it raises is not heard.
    """

    def plan(self, query: RouteQuery, fleet: list[FleetModel]) -> Sequence[Choice] | Awaitable[Sequence[Choice]]: ...


class RouterObject:
    """A router, as the engine calls it."""

    def __init__(self, router: Any) -> None:
        self._router = router

    def plan(self, argument: dict[str, Any]) -> Any:
        planned = self._router.plan(decode(RouteQuery, argument["query"]), decode(list[FleetModel], argument["fleet"]))
        return then(planned, lambda choices: [_choice(choice) for choice in choices])

    def observe(self, argument: dict[str, Any]) -> Any:
        return self._router.observe(decode(RouteOutcome, argument))


def _choice(choice: Choice) -> Any:
    if isinstance(choice, Planned):
        return {"provider": choice.target.provider, "model": choice.target.model, "reason": choice.reason}
    if isinstance(choice, (Target, FleetModel)):
        return {"provider": choice.provider, "model": choice.model}
    return choice


# --- ranker -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RankQuery:
    """What a ranker knows of the question; ``limit`` is how many of the best are wanted."""

    text: str
    analysis: QueryAnalysis
    now: datetime
    limit: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """A memory that some strategy found. A signal that is not there is absent, not zero."""

    id: str
    signals: dict[str, float] = field(default_factory=dict[str, float])
    found_by: list[Strategy] = field(default_factory=list[Strategy])


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its score; ``parts`` are what each signal contributed, and their sum is the score where none is given."""

    id: str
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict[str, float])


Scored = Union[Ranked, "tuple[str, float]"]


@runtime_checkable
class Ranker(Protocol):
    """Puts candidates in order: ``rank`` gets all of them in one call and returns those worth having, scored.

    A ``name``, for traces, and ``wants_topics = True``, to be given the signal ``topic``, are optional.
    """

    def rank(self, query: RankQuery, candidates: list[Candidate]) -> Sequence[Scored] | Awaitable[Sequence[Scored]]: ...


class RankerObject:
    """A ranker, as the engine calls it."""

    def __init__(self, ranker: Any) -> None:
        self._ranker = ranker

    def rank(self, argument: dict[str, Any]) -> Any:
        return self._ranker.rank(decode(RankQuery, argument["query"]), decode(list[Candidate], argument["candidates"]))


# --- reranker ---------------------------------------------------------------------------------------------------------


@runtime_checkable
class Reranker(Protocol):
    """Reads the question and the best of what was recalled together, with a cross-encoder say: ``rerank`` gets all texts in one call and
    returns a number for each, the higher the better it fits. Where it fails, the ranking stays and ``Recall.rerank`` says so.

    A ``name``, for traces, ``depth`` (how many of the best it reads: 20) and ``weight`` (what it adds to the score of the one that fits
    best: 1) are optional.
    """

    def rerank(self, question: str, texts: list[str]) -> Sequence[float] | Awaitable[Sequence[float]]: ...


class RerankerObject:
    """A reranker, as the engine calls it."""

    def __init__(self, reranker: Any) -> None:
        self._reranker = reranker

    def rerank(self, argument: dict[str, Any]) -> Any:
        return self._reranker.rerank(argument["question"], argument["texts"])


# --- context builder --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WeighedMemory:
    """A recalled memory with its score and the tokens of its text."""

    memory: Memory
    score: float
    tokens: int


@dataclass(frozen=True, slots=True)
class EntityLine:
    """What is known of an entity of the question, in one line, and the ids of the memories that it is known from."""

    text: str
    sources: list[str]


@dataclass(frozen=True, slots=True)
class ContextInput:
    """What a context is built from; tokens are counted as the model that is likely to answer counts them."""

    #: Persona and instructions.
    system: str
    system_tokens: int
    #: Best first.
    memories: list[WeighedMemory]
    entities: list[EntityLine]
    #: The conversation before the current message, oldest first.
    history: list[Message]
    history_tokens: list[int]
    current: Message
    current_tokens: int
    budget: Budget
    #: The tokenizer's name, and whether its count is the model's own.
    counter: str
    counter_exact: bool
    now: datetime
    #: A summary of what is older than the history.
    summary: str | None = None


@dataclass(frozen=True, slots=True)
class BuiltContext:
    """The messages to send, and where what is in them is from: a line's ``label`` is what an answer can cite it by."""

    messages: Sequence[Message]
    lines: Sequence[ContextLine] = ()
    dropped: Sequence[Dropped] = ()


Context = Union[Sequence[Message], BuiltContext]


@runtime_checkable
class ContextBuilder(Protocol):
    """Fits what is known into what the model can take: returns the messages to send, the current one last."""

    def build(self, given: ContextInput) -> Context | Awaitable[Context]: ...


class ContextObject:
    """A context builder, as the engine calls it."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def build(self, argument: dict[str, Any]) -> Any:
        return self._builder.build(decode(ContextInput, argument))


# --- stores -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MemoryFilter:
    """What a search is narrowed to; empty ``kinds`` mean all, ``until`` is exclusive."""

    kinds: list[MemoryType] = field(default_factory=list[MemoryType])
    conversation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """What is looked for; ``vector`` has unit length and is absent where the vector strategy is left out."""

    text: str
    analysis: QueryAnalysis
    filter: MemoryFilter
    now: datetime
    limit: int
    topics: bool = False
    vector: list[float] | None = None


@dataclass(frozen=True, slots=True)
class MemoryPatch:
    """Changes to a memory; ``None`` leaves a field as it is, a ``None`` inside ``metadata`` removes that entry."""

    text: str | None = None
    vector: list[float] | None = None
    title: str | None = None
    reliability: float | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NewThreadMessage:
    """A message to be appended; the store makes an id where there is none."""

    message: Message
    id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class NewVector:
    """A vector for a memory that is there already; it is for its ``text`` as it was then."""

    id: str
    text: str
    vector: list[float]


Ids = list[str]
NewMemories = list[NewMemory]
NewMessages = list[NewThreadMessage]
Kept = Union[Remembered, str]
Found = Union[Candidate, str, "tuple[str, float]"]


@runtime_checkable
class MemoryStore(Protocol):
    """Keeps memories. Every method names the scope and never touches anything outside it. What is there already is a duplicate.

    ``recall`` returns what one ``strategy`` finds, best first: ids, ids with a score, or a :class:`Candidate` with its signals.
    Optional: ``signals(scope, ids, query)``, ``speakers(scope)``, ``missing_vectors(scope, limit)``, ``set_vectors(scope, vectors)`` and
    ``replaced(scope, ids, since, until)``: what held at some time from ``since`` to before ``until`` and was replaced by one of ``ids``, as pairs of
    that id and the memory, the latest of an id first.
    Raise :class:`NotFoundError`, :class:`ConflictError` or :class:`InvalidInputError` where the contract says so; any other exception
    means that the store failed.
    """

    def remember(self, scope: Scope, items: NewMemories) -> Sequence[Kept] | Awaitable[Sequence[Kept]]: ...
    def recall(self, scope: Scope, strategy: Strategy, query: SearchQuery) -> Sequence[Found] | Awaitable[Sequence[Found]]: ...
    def get(self, scope: Scope, ids: Ids) -> Sequence[Memory] | Awaitable[Sequence[Memory]]: ...
    def update(self, scope: Scope, id: str, patch: MemoryPatch) -> Memory | Awaitable[Memory]: ...
    def supersede(self, scope: Scope, old: str, new: NewMemory) -> Kept | Awaitable[Kept]: ...
    def forget(self, scope: Scope, ids: Ids) -> int | Awaitable[int]: ...
    def touch(self, scope: Scope, ids: Ids, at: datetime) -> Awaitable[None] | None: ...
    def list(self, scope: Scope, filter: MemoryFilter, offset: int, limit: int) -> Sequence[Memory] | Awaitable[Sequence[Memory]]: ...
    def stats(self, scope: Scope) -> MemoryStats | Awaitable[MemoryStats]: ...
    def erase(self, scope: Scope) -> Erased | Awaitable[Erased]: ...


@runtime_checkable
class ThreadStore(Protocol):
    """Keeps threads. Every method names the scope; another scope's thread does not exist.

    ``append`` writes the messages together, in places counted from 0 without gaps. Optional: ``append_or_create(scope, id, messages)``,
    and ``summary(scope, id)`` with ``set_summary(scope, id, covered, summary)``.
    """

    def create(self, scope: Scope, id: str | None, title: str | None) -> Thread | Awaitable[Thread]: ...
    def read(self, scope: Scope, id: str) -> Thread | Awaitable[Thread]: ...
    def list(self, scope: Scope, offset: int, limit: int) -> Sequence[Thread] | Awaitable[Sequence[Thread]]: ...
    def delete(self, scope: Scope, id: str) -> bool | Awaitable[bool]: ...
    def append(self, scope: Scope, id: str, messages: NewMessages) -> Sequence[ThreadMessage] | Awaitable[Sequence[ThreadMessage]]: ...
    def history(self, scope: Scope, id: str, limit: int, before: int | None) -> Sequence[ThreadMessage] | Awaitable[Sequence[ThreadMessage]]: ...
    def erase(self, scope: Scope) -> int | Awaitable[int]: ...


def _filter(data: dict[str, Any]) -> dict[str, Any]:
    return {"since" if key == "from" else "until" if key == "to" else key: value for key, value in data.items()}


def _query(data: dict[str, Any]) -> SearchQuery:
    return decode(SearchQuery, {**data, "filter": _filter(data["filter"])})


def _as_is(value: Any) -> Any:
    return value


def _list(cls: Any) -> Callable[[Any], Any]:
    return lambda data: [decode(cls, item) for item in data]


def _of(cls: Any) -> Callable[[Any], Any]:
    return lambda data: decode(cls, data)


_MEMORY_STORE: dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    "remember": (("items", _list(NewMemory)),),
    "recall": (("strategy", _as_is), ("query", _query)),
    "signals": (("ids", _as_is), ("query", _query)),
    "get": (("ids", _as_is),),
    "update": (("id", _as_is), ("patch", _of(MemoryPatch))),
    "supersede": (("old", _as_is), ("new", _of(NewMemory))),
    "forget": (("ids", _as_is),),
    "touch": (("ids", _as_is), ("at", _of(datetime))),
    "list": (("filter", lambda data: decode(MemoryFilter, _filter(data))), ("offset", _as_is), ("limit", _as_is)),
    "speakers": (),
    "replaced": (("ids", _as_is), ("since", _of(datetime)), ("until", _of(datetime))),
    "missing_vectors": (("limit", _as_is),),
    "set_vectors": (("vectors", _list(NewVector)),),
    "stats": (),
    "erase": (),
}
_THREAD_STORE: dict[str, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    "create": (("id", _as_is), ("title", _as_is)),
    "read": (("id", _as_is),),
    "list": (("offset", _as_is), ("limit", _as_is)),
    "delete": (("id", _as_is),),
    "append": (("id", _as_is), ("messages", _list(NewThreadMessage))),
    "append_or_create": (("id", _as_is), ("messages", _list(NewThreadMessage))),
    "history": (("id", _as_is), ("limit", _as_is), ("before", _as_is)),
    "summary": (("id", _as_is),),
    "set_summary": (("id", _as_is), ("from", _as_is), ("new", _of(ThreadSummary))),
    "erase": (),
}
_OPTIONAL = frozenset(
    ("signals", "speakers", "replaced", "missing_vectors", "set_vectors", "append_or_create", "summary", "set_summary"),
)


class StoreObject:
    """A store, as the engine calls it: each method with its arguments taken apart."""

    def __init__(self, store: Any, methods: Mapping[str, Any]) -> None:
        self.has: list[str] = []
        for name, arguments in methods.items():
            method = getattr(store, name, None)
            if callable(method):
                setattr(self, name, _method(method, arguments))
                self.has += [name] if name in _OPTIONAL else []
            elif name not in _OPTIONAL:
                raise TypeError(f"a store needs a method `{name}`; {type(store).__name__} has none")


def _method(method: Callable[..., Any], arguments: Any) -> Callable[[dict[str, Any]], Any]:
    def call(argument: dict[str, Any]) -> Any:
        flat = {**argument, **argument.get("page", {})}
        return method(decode(Scope, argument["scope"]), *(convert(flat[name]) for name, convert in arguments))

    return call


def memory_store(store: Any) -> StoreObject:
    """A memory store, as the engine calls it."""
    return StoreObject(store, _MEMORY_STORE)


def thread_store(store: Any) -> StoreObject:
    """A thread store, as the engine calls it."""
    return StoreObject(store, _THREAD_STORE)


# --- clock ------------------------------------------------------------------------------------------------------------


@runtime_checkable
class Clock(Protocol):
    """Tells the time: an aware ``datetime``. It is asked at the beginning of each call and each read of a stream.

    Durations are the machine's; an optional ``monotonic() -> float`` (seconds) makes them jump ahead with it, as tests want.
    """

    def now(self) -> datetime | Awaitable[datetime]: ...


class ClockObject:
    """A clock, as the engine calls it."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock

    def tell(self, _: Any) -> Any:
        return then(self._clock.now(), self._time)

    def _time(self, now: datetime) -> Any:
        monotonic = getattr(self._clock, "monotonic", None)
        return {"now": now} if monotonic is None else {"now": now, "monotonic": monotonic()}


def then(value: Any, change: Callable[[Any], Any]) -> Any:
    """``change(value)``, once there is a value."""
    if inspect.isawaitable(value):
        return _awaited(value, change)
    return change(value)


async def _awaited(value: Awaitable[Any], change: Callable[[Any], Any]) -> Any:
    return change(await value)
