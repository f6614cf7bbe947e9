"""The shape of OpenAI's client, answered by Syntra: ``client.chat.completions.create`` and ``client.embeddings.create``, plain and async.

Needs the package ``openai``, whose types it returns and whose errors it raises (with Syntra's own as ``__cause__``).

>>> from syntra import Scope, Syntra
>>> from syntra.openai import OpenAI
>>> client = OpenAI(Syntra(), Scope.local())  # doctest: +SKIP
>>> client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello!"}])  # doctest: +SKIP
"""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

try:
    import openai
    from openai.types import CreateEmbeddingResponse
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
except ImportError as missing:
    raise ImportError('syntra.openai needs the package "openai": pip install openai') from missing

from ._async import AsyncSyntra
from ._chat_shape import ask_options, conversation, finish_reason, pinned
from ._errors import SyntraError
from ._stream import AsyncStream, Stream
from ._sync import Syntra
from ._types import (
    Answer,
    DoneEvent,
    Event,
    FinishEvent,
    RefusalEvent,
    RoutedEvent,
    Scope,
    StartedEvent,
    Target,
    TextEvent,
    ToolCall,
    ToolCallEvent,
    Usage,
)

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._settings import AskOptions

T = TypeVar("T")
Messages = Iterable[Mapping[str, Any]]

_ERRORS: dict[str, tuple[str, int]] = {
    "credential": ("AuthenticationError", 401),
    "region": ("PermissionDeniedError", 403),
    "rate_limit": ("RateLimitError", 429),
    "quota_exhausted": ("RateLimitError", 429),
    "limit_reached": ("RateLimitError", 429),
    "not_found": ("NotFoundError", 404),
    "model_unavailable": ("NotFoundError", 404),
    "conflict": ("ConflictError", 409),
    **{kind: ("BadRequestError", 400) for kind in ("invalid_input", "bad_request", "context_too_long", "content_policy", "unsupported", "config")},
}


def translated(error: SyntraError) -> Exception:
    """The error of the package ``openai`` that says the same."""
    # The one that this version of openai stands on.
    httpx: Any = importlib.import_module("httpx2" if importlib.util.find_spec("httpx2") else "httpx")
    request = httpx.Request("POST", "http://syntra/v1/chat/completions")
    if error.kind == "timeout":
        return openai.APITimeoutError(request)
    if error.kind == "connection":
        return openai.APIConnectionError(message=error.message, request=request)
    name, status = _ERRORS.get(error.kind, ("InternalServerError", 500))
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    response = httpx.Response(error.status or status, headers=headers, request=request)
    body = {"message": error.message, "type": error.kind, "code": error.code}
    made: Exception = getattr(openai, name)(error.message, response=response, body=body)
    return made


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.total_tokens is None:
        return None
    return {
        "prompt_tokens": usage.input_tokens or 0,
        "completion_tokens": usage.output_tokens or 0,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens or 0},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
    }


def _function(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


def _model(provider: str | None, model: str | None) -> str:
    return "syntra/memory" if provider is None else f"{provider}/{model}"


def completion(answer: Answer) -> ChatCompletion:
    """An answer as OpenAI's client returns one."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": answer.refusal}
    if answer.tool_calls:
        message["tool_calls"] = [_function(call) for call in answer.tool_calls]
    choice = {"index": 0, "message": message, "finish_reason": finish_reason(answer.finish), "logprobs": None}
    data = {"id": answer.message_id, "object": "chat.completion", "created": int(time.time())}
    data |= {"model": _model(answer.provider, answer.model), "choices": [choice], "usage": _usage(answer.usage)}
    return ChatCompletion.model_validate(data)


class _Chunks:
    """Makes chunks of the events of a turn."""

    def __init__(self, with_usage: bool) -> None:
        self._head: dict[str, Any] = {"id": "", "object": "chat.completion.chunk", "created": int(time.time()), "model": "syntra"}
        self._with_usage = with_usage
        self._calls = 0
        self._role: dict[str, Any] = {"role": "assistant"}

    def of(self, event: Event) -> list[ChatCompletionChunk]:
        if isinstance(event, RoutedEvent):
            self._head["model"] = _model(event.provider, event.model)
        elif isinstance(event, StartedEvent) and event.id:
            self._head["id"] = event.id
        elif isinstance(event, TextEvent):
            return [self._chunk({"content": event.text})]
        elif isinstance(event, RefusalEvent):
            return [self._chunk({"refusal": event.text})]
        elif isinstance(event, ToolCallEvent):
            self._calls += 1
            return [self._chunk({"tool_calls": [{"index": self._calls - 1, **_function(event)}]})]
        elif isinstance(event, FinishEvent):
            return [self._chunk({}, finish_reason(event.reason))]
        elif isinstance(event, DoneEvent) and self._with_usage:
            return [ChatCompletionChunk.model_validate({**self._head, "choices": [], "usage": _usage(event.usage)})]
        return []

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> ChatCompletionChunk:
        delta, self._role = {**self._role, **delta}, {}
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return ChatCompletionChunk.model_validate({**self._head, "choices": [choice]})


class ChunkStream:
    """The chunks of one answer. Leaving its ``with`` block, or :meth:`close`, ends the call early."""

    def __init__(self, stream: Stream, with_usage: bool) -> None:
        self._stream = stream
        self._chunks = _Chunks(with_usage)
        self._items = self._read()

    def _read(self) -> Iterator[ChatCompletionChunk]:
        try:
            for event in self._stream:
                yield from self._chunks.of(event)
        except SyntraError as error:
            raise translated(error) from error

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self._items

    def __next__(self) -> ChatCompletionChunk:
        return next(self._items)

    def close(self) -> None:
        """Ends the call."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncChunkStream:
    """As :class:`ChunkStream`, for asyncio."""

    def __init__(self, stream: AsyncStream, with_usage: bool) -> None:
        self._stream = stream
        self._chunks = _Chunks(with_usage)
        self._items = self._read()

    async def _read(self) -> AsyncIterator[ChatCompletionChunk]:
        try:
            async for event in self._stream:
                for chunk in self._chunks.of(event):
                    yield chunk
        except SyntraError as error:
            raise translated(error) from error

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self._items

    async def __anext__(self) -> ChatCompletionChunk:
        return await self._items.__anext__()

    async def close(self) -> None:
        """Ends the call."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _asked(messages: Messages, given: Mapping[str, Any], defaults: AskOptions, model: str, known: Sequence[Target]) -> tuple[Any, AskOptions]:
    question, history, instructions = conversation(messages)
    options: AskOptions = {**defaults, **ask_options(given)}
    if not options.get("thread"):
        # Without a thread of Syntra's the caller keeps the conversation, as with OpenAI's client.
        options["history"] = history
    options["model"] = pinned(model, known)
    both = [text for text in (defaults.get("instructions"), instructions) if text]
    options["instructions"] = "\n\n".join(both) or None
    return question, options


def _wants_usage(given: Mapping[str, Any]) -> bool:
    asked: Mapping[str, Any] = given.get("stream_options") or {}
    return bool(asked.get("include_usage"))


def _embeddings(model: str, vectors: Sequence[Sequence[float]]) -> CreateEmbeddingResponse:
    data = [{"object": "embedding", "index": n, "embedding": list(vector)} for n, vector in enumerate(vectors)]
    usage = {"prompt_tokens": 0, "total_tokens": 0}
    return CreateEmbeddingResponse.model_validate({"object": "list", "data": data, "model": model, "usage": usage})


def _texts(given: str | Sequence[str]) -> list[str]:
    return [given] if isinstance(given, str) else list(given)


def _run(call: Callable[[], T]) -> T:
    try:
        return call()
    except SyntraError as error:
        raise translated(error) from error


class _Completions:
    def __init__(self, client: Syntra, scope: Scope, defaults: AskOptions) -> None:
        self._client, self._scope, self._defaults = client, scope, defaults

    @overload
    def create(self, *, messages: Messages, model: str = ..., stream: Literal[False] | None = ..., **given: Any) -> ChatCompletion: ...
    @overload
    def create(self, *, messages: Messages, model: str = ..., stream: Literal[True], **given: Any) -> ChunkStream: ...
    def create(self, *, messages: Messages, model: str = "auto", stream: bool | None = False, **given: Any) -> ChatCompletion | ChunkStream:
        """Answers a conversation. ``model`` is ``provider/model``, a model's bare name, or ``auto`` to leave it to the router."""

        def call() -> ChatCompletion | ChunkStream:
            question, options = _asked(messages, given, self._defaults, model, self._client.models())
            if stream:
                return ChunkStream(self._client.stream(self._scope, question, **options), _wants_usage(given))
            return completion(self._client.ask(self._scope, question, **options))

        return _run(call)


class _Embeddings:
    def __init__(self, client: Syntra) -> None:
        self._client = client

    def create(self, *, input: str | Sequence[str], model: str = "auto") -> CreateEmbeddingResponse:
        """The vectors of texts, by the embedder of Syntra, whatever ``model`` says."""
        return _run(lambda: _embeddings(self._client.health().embedder, self._client.embed(_texts(input))))


class _Chat:
    def __init__(self, completions: Any) -> None:
        self.completions = completions


class OpenAI:
    """OpenAI's client, as far as it chats and embeds, over a :class:`syntra.Syntra` on behalf of ``scope``.

    ``defaults`` are options of :meth:`syntra.Syntra.ask` for every call: ``recall=False``, say, or a ``thread``, in which case
    Syntra keeps the conversation and only the last message of a call counts.
    """

    def __init__(self, client: Syntra, scope: Scope, **defaults: Unpack[AskOptions]) -> None:
        self.chat = _Chat(_Completions(client, scope, defaults))
        self.embeddings = _Embeddings(client)


class _AsyncCompletions:
    def __init__(self, client: AsyncSyntra, scope: Scope, defaults: AskOptions) -> None:
        self._client, self._scope, self._defaults = client, scope, defaults

    @overload
    async def create(self, *, messages: Messages, model: str = ..., stream: Literal[False] | None = ..., **given: Any) -> ChatCompletion: ...
    @overload
    async def create(self, *, messages: Messages, model: str = ..., stream: Literal[True], **given: Any) -> AsyncChunkStream: ...
    async def create(
        self, *, messages: Messages, model: str = "auto", stream: bool | None = False, **given: Any
    ) -> ChatCompletion | AsyncChunkStream:
        """Answers a conversation. ``model`` is ``provider/model``, a model's bare name, or ``auto`` to leave it to the router."""
        try:
            question, options = _asked(messages, given, self._defaults, model, await self._client.models())
            if stream:
                return AsyncChunkStream(self._client.stream(self._scope, question, **options), _wants_usage(given))
            return completion(await self._client.ask(self._scope, question, **options))
        except SyntraError as error:
            raise translated(error) from error


class _AsyncEmbeddings:
    def __init__(self, client: AsyncSyntra) -> None:
        self._client = client

    async def create(self, *, input: str | Sequence[str], model: str = "auto") -> CreateEmbeddingResponse:
        """The vectors of texts, by the embedder of Syntra, whatever ``model`` says."""
        try:
            return _embeddings((await self._client.health()).embedder, await self._client.embed(_texts(input)))
        except SyntraError as error:
            raise translated(error) from error


class AsyncOpenAI:
    """As :class:`OpenAI`, for asyncio, over a :class:`syntra.AsyncSyntra`."""

    def __init__(self, client: AsyncSyntra, scope: Scope, **defaults: Unpack[AskOptions]) -> None:
        self.chat = _Chat(_AsyncCompletions(client, scope, defaults))
        self.embeddings = _AsyncEmbeddings(client)
