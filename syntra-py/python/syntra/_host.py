"""Python objects as parts of the library: providers and embedders, with plain or ``async`` methods."""

from __future__ import annotations

import builtins
import contextlib
import itertools
import json
import os
from _thread import allocate_lock
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, Union, runtime_checkable

from ._convert import decode, encode
from ._errors import Kept, SyntraError
from ._tools import FunctionTool, ToolObject
from ._types import Event, Request, Response
from ._value import asyncio, inspect, rooms, threading

Reply = Union[str, Response]
Piece = Union[str, Event]


@runtime_checkable
class Provider(Protocol):
    """A provider written in Python: a ``name``, the ``models`` it serves, and ``complete``; or ``stream``, see :class:`StreamingProvider`.

    ``complete`` gets a :class:`Request` and returns the text or a :class:`Response`. It may be ``async``. Raise an error of this
    package to say of what kind a failure is; any other exception means that this provider cannot answer but another may.

    A provider that answers a request whose last message is the assistant's own with what follows on those words, and nothing of them
    again, may say so with an attribute ``resumes = True``: it then goes on with answers that broke off.
    """

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]: ...

    def complete(self, request: Request) -> Reply | Awaitable[Reply]: ...


@runtime_checkable
class StreamingProvider(Protocol):
    """As :class:`Provider`, with a ``stream`` that yields strings and events: a generator or an ``async`` generator."""

    @property
    def name(self) -> str: ...

    @property
    def models(self) -> Sequence[str]: ...

    def stream(self, request: Request) -> Iterable[Piece] | AsyncIterator[Piece]: ...


@runtime_checkable
class Embedder(Protocol):
    """An embedder written in Python: names its ``model``, says its ``dimensions``, and turns texts into vectors, all of them in one call.

    ``embed_query``, for models that treat questions differently, is optional. Either may be ``async`` and may return numpy arrays.
    """

    @property
    def model(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, texts: list[str]) -> Any: ...


class _Pump:
    """Reads an async iterator ahead, so that what is ready crosses together."""

    LIMIT = 256

    def __init__(self, items: AsyncIterator[Any]) -> None:
        self._items = items
        self._ready: deque[Any] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._error: BaseException | None = None
        self._ended = False
        # The iterator, its task and these events belong to the loop that it was opened on.
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        try:
            async for item in self._items:
                self._ready.append(item)
                self._filled.set()
                if len(self._ready) >= self.LIMIT:
                    self._room.clear()
                    await self._room.wait()
        except BaseException as error:
            self._error = error
            if isinstance(error, asyncio.CancelledError):
                raise
        finally:
            self._ended = True
            self._filled.set()

    async def next(self) -> dict[str, Any]:
        """What is ready, from whatever loop it is asked for."""
        if asyncio.get_running_loop() is not self._loop:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.next(), self._loop))
        await self._filled.wait()
        events = list(self._ready)
        self._ready.clear()
        self._room.set()
        if self._ended:
            if not events and self._error is not None:
                raise self._error
            return {"events": events, "done": self._error is None}
        self._filled.clear()
        return {"events": events, "done": False}

    def close(self) -> None:
        # A loop that is closed has cancelled what ran on it.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._task.cancel)


class _Pull:
    """Reads a plain iterator, one item at a time: the next may take its time."""

    def __init__(self, items: Iterable[Any]) -> None:
        self._whole = items if isinstance(items, (list, tuple)) else None
        self._items: Iterator[Any] = iter(items)

    def next(self) -> dict[str, Any]:
        if self._whole is not None:
            return {"events": self._whole, "done": True}
        for item in self._items:
            return {"events": [item], "done": False}
        return {"events": [], "done": True}

    def close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class _ProviderObject:
    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._streams: dict[int, _Pump | _Pull] = {}
        # Streams are opened on several threads at once.
        self._number = itertools.count(1).__next__

    def complete(self, argument: dict[str, Any]) -> Any:
        return self._provider.complete(decode(Request, argument))

    def stream(self, argument: dict[str, Any]) -> Any:
        items = self._provider.stream(decode(Request, argument))
        if hasattr(items, "__aiter__"):
            return self._open_async(items)
        if inspect.isawaitable(items):
            return self._open_awaited(items)
        return self._keep(_Pull(items))

    async def _open_async(self, items: Any) -> dict[str, int]:
        return self._keep(_Pump(items.__aiter__()))

    async def _open_awaited(self, items: Awaitable[Any]) -> dict[str, int]:
        opened = await items
        if hasattr(opened, "__aiter__"):
            return await self._open_async(opened)
        return self._keep(_Pull(opened))

    def _keep(self, stream: _Pump | _Pull) -> dict[str, int]:
        number = self._number()
        self._streams[number] = stream
        return {"stream": number}

    def next(self, argument: dict[str, int]) -> Any:
        stream = self._streams[argument["stream"]]
        if isinstance(stream, _Pump):
            return self._next_async(argument["stream"], stream)
        return self._ended(argument["stream"], stream.next)

    async def _next_async(self, number: int, pump: _Pump) -> Any:
        try:
            batch = await pump.next()
        except BaseException:
            # It failed, or nobody waits for it any more: the `close` that then comes finds nothing left to close.
            self._streams.pop(number, None)
            pump.close()
            raise
        if batch["done"]:
            self._streams.pop(number, None)
        return batch

    def _ended(self, number: int, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            batch = read()
        except BaseException:
            self._streams.pop(number, None)
            raise
        if batch["done"]:
            self._streams.pop(number, None)
        return batch

    def close(self, argument: dict[str, int]) -> Any:
        stream = self._streams.pop(argument["stream"], None)
        if isinstance(stream, _Pump):
            return self._close_async(stream)
        if stream is not None:
            stream.close()
        return None

    async def _close_async(self, pump: _Pump) -> None:
        pump.close()


class _EmbedderObject:
    def __init__(self, embedder: Any) -> None:
        self._embedder = embedder

    def embed(self, argument: dict[str, list[str]]) -> Any:
        return self._embedder.embed(argument["texts"])

    def embed_query(self, argument: dict[str, list[str]]) -> Any:
        if not hasattr(self._embedder, "embed_query"):
            return self.embed(argument)
        vector = self._embedder.embed_query(argument["texts"][0])
        if inspect.isawaitable(vector):
            return self._one(vector)
        return [vector]

    async def _one(self, vector: Awaitable[Any]) -> list[Any]:
        return [await vector]


class _ProgressObject:
    def __init__(self, report: Callable[[Any], Any]) -> None:
        self._report = report

    def progress(self, argument: Any) -> Any:
        return self._report(argument)


class _Background:
    """An event loop on a daemon thread, for ``async`` methods that are called when no loop of the caller's runs, or several do."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._pid != os.getpid():
                self._loop = asyncio.new_event_loop()
                self._pid = os.getpid()
                threading.Thread(target=self._loop.run_forever, name="syntra-host", daemon=True).start()
            return self._loop

    def after_fork(self) -> None:
        self._lock = allocate_lock()


_BACKGROUND = _Background()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_BACKGROUND.after_fork)


#: What stands for an object of each room, and how it is made.
ROOMS: dict[str, Callable[[Any], Any]] = {
    "embedder": _EmbedderObject,
    "router": lambda router: rooms.RouterObject(router),
    "ranker": lambda ranker: rooms.RankerObject(ranker),
    "reranker": lambda reranker: rooms.RerankerObject(reranker),
    "context_builder": lambda builder: rooms.ContextObject(builder),
    "memory_store": lambda store: rooms.memory_store(store),
    "thread_store": lambda store: rooms.thread_store(store),
    "clock": lambda clock: rooms.ClockObject(clock),
}
#: The method by which such an object is known, where the stores' own check does not say it.
_NEEDED = {"router": "plan", "ranker": "rank", "reranker": "rerank", "context_builder": "build", "clock": "now"}


class Dispatcher:
    """What the engine calls when it wants something of a Python object. Runs on threads that may block."""

    def __init__(self) -> None:
        self.kept = Kept()
        self._objects: dict[str, Any] = {}
        self._loops: list[asyncio.AbstractEventLoop] = []
        self._number = itertools.count(1).__next__

    def add_provider(self, provider: Any) -> dict[str, Any]:
        """Registers a provider and returns what the engine has to know of it."""
        name = getattr(provider, "name", None)
        if not isinstance(name, str) or not name:
            raise TypeError(f"a provider needs a `name`; {type(provider).__name__} has none")
        streams, completes = (callable(getattr(provider, method, None)) for method in ("stream", "complete"))
        if not (streams or completes):
            raise TypeError(f"the provider {name!r} needs a method `complete` or `stream`")
        if name in self._objects:
            raise ValueError(f"there are two objects named {name!r}")
        self._objects[name] = _ProviderObject(provider)
        resumes = bool(getattr(provider, "resumes", False))
        return {"host": name, "streams": streams, "resumes": resumes, "models": list(getattr(provider, "models", ()))}

    def add_embedder(self, embedder: Any) -> dict[str, Any]:
        """Registers the embedder and returns what the engine has to know of it."""
        for attribute in ("model", "dimensions", "embed"):
            if not hasattr(embedder, attribute):
                raise TypeError(f"an embedder needs `{attribute}`; {type(embedder).__name__} has none")
        self._objects["embedder:room"] = _EmbedderObject(embedder)
        return {"host": "embedder:room", "model": embedder.model, "dimensions": embedder.dimensions}

    def add_room(self, room: str, given: Any) -> dict[str, Any]:
        """Registers the object for ``room`` (``router``, ``memory_store`` …) and returns what the engine has to know of it."""
        if room == "embedder":
            return self.add_embedder(given)
        needed = _NEEDED.get(room)
        if needed is not None and not callable(getattr(given, needed, None)):
            raise TypeError(f"a {room} needs a method `{needed}`; {type(given).__name__} has none")
        # A provider's name is the caller's to choose.
        name = f"{room}:room"
        made = self._objects[name] = ROOMS[room](given)
        words: dict[str, Any] = {"host": name}
        if room == "router":
            words["observes"] = callable(getattr(given, "observe", None))
        elif room == "ranker":
            words["name"] = str(getattr(given, "name", type(given).__name__))
            words["wants_topics"] = bool(getattr(given, "wants_topics", False))
        elif room == "reranker":
            words["name"] = str(getattr(given, "name", type(given).__name__))
            words |= {key: getattr(given, key) for key in ("depth", "weight") if hasattr(given, key)}
        elif room.endswith("_store"):
            words["methods"] = made.has
        return words

    def add_tool(self, given: Callable[..., Any] | FunctionTool) -> dict[str, Any]:
        """Registers a function that models may call and returns what the engine has to know of it."""
        tool = given if isinstance(given, FunctionTool) else FunctionTool(given)
        host = f"tool {tool.name}:room"
        if host in self._objects:
            raise ValueError(f"there are two tools of the name {tool.name!r}")
        self._objects[host] = ToolObject(tool)
        words = {"name": tool.name, "description": tool.description, "parameters": encode(tool.parameters)}
        return {"host": host, **words, "timeout": tool.timeout}

    def add_progress(self, report: Callable[[Any], Any]) -> str:
        """Registers a progress function; :meth:`remove` it when its call has ended."""
        name = f"progress:{self._number()}"
        self._objects[name] = _ProgressObject(report)
        return name

    def remove(self, name: str | None) -> None:
        """Forgets an object."""
        if name is not None:
            self._objects.pop(name, None)

    def seen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Notes an event loop that calls the engine: its objects' coroutines run there, while it is the only one."""
        if loop not in self._loops:
            self._loops = [*(known for known in self._loops if not known.is_closed()), loop]

    def _loop(self) -> asyncio.AbstractEventLoop:
        # Of several none can be told to be the caller's, and another's may end in the middle: they share one that does not.
        running = [loop for loop in self._loops if loop.is_running()]
        return running[0] if len(running) == 1 else _BACKGROUND.loop()

    def __call__(self, name: str, method: str, argument: str, done: Callable[[str], None]) -> Any:
        try:
            result = getattr(self._objects[name], method)(json.loads(argument))
            if inspect.isawaitable(result):
                return asyncio.run_coroutine_threadsafe(self._finish(result, done), self._loop())
            done(json.dumps({"ok": encode(result)}))
        except BaseException as error:
            done(self._failure(error))
        return None

    async def _finish(self, result: Awaitable[Any], done: Callable[[str], None]) -> None:
        try:
            done(json.dumps({"ok": encode(await result)}))
        except BaseException as error:
            done(self._failure(error))
            if isinstance(error, asyncio.CancelledError):
                raise

    def _failure(self, error: BaseException) -> str:
        out: dict[str, Any] = {"message": f"{type(error).__name__}: {error}", "failure": self.kept.keep(error)}
        if isinstance(error, SyntraError):
            out["message"] = error.message
            out["kind"] = error.kind
            if error.status is not None:
                out["status"] = error.status
            if error.retry_after is not None:
                out["retry_after_ms"] = round(error.retry_after * 1000)
        elif isinstance(error, (builtins.TimeoutError, asyncio.TimeoutError)):
            out["kind"] = "timeout"
        elif isinstance(error, builtins.ConnectionError):
            out["kind"] = "connection"
        elif isinstance(error, NotImplementedError):
            out["kind"] = "unsupported"
        return json.dumps({"error": out})
