"""The native engine from Python: set-up, errors, and waiting for it."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Mapping, MutableMapping
from os import PathLike
from typing import Any, TypeVar

from ._convert import encode
from ._errors import Kept, from_json
from ._host import ROOMS, Dispatcher
from ._native import Engine, Inbox, NativeError, Task
from ._types import EmbedderConfig, ProviderConfig, RerankerConfig
from ._value import asyncio, keywords, weakref

T = TypeVar("T")


def reraised(kept: Kept, call: Callable[..., T], *args: Any) -> T:
    """Calls the engine; its error is raised as one of ours."""
    try:
        return call(*args)
    except NativeError as native:
        error = from_json(native.args[0], kept)
    raise error


#: Whether it went well, and what it came to: JSON, or the fields of an answer.
_Ended = tuple[bool, Any]


class _Waiting:
    """The calls of one event loop that somebody waits for, by number."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.futures: dict[int, asyncio.Future[_Ended]] = {}
        self.number = itertools.count().__next__
        self.inbox = Inbox()
        try:
            loop.add_reader(self.inbox.fileno(), self._take)
        except (NotImplementedError, OSError, ValueError):  # the loops of Windows watch no pipes
            self.inbox = Inbox(_bell(loop, self._take))

    def _take(self) -> None:
        futures = self.futures
        for number, ok, value in self.inbox.take():
            future = futures.pop(number, None)
            if future is not None and not future.done():
                future.set_result((ok, value))


def _bell(loop: asyncio.AbstractEventLoop, take: Callable[[], None]) -> Callable[[], None]:
    # The loop holds what waits for it, not the other way round.
    known = weakref.ref(loop)

    def ring() -> None:
        if (open := known()) is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
                open.call_soon_threadsafe(take)

    return ring


#: By loop, and weakly from the first one on.
_waiting: MutableMapping[asyncio.AbstractEventLoop, _Waiting] = {}


def _open(loop: asyncio.AbstractEventLoop) -> _Waiting:
    global _waiting
    if not _waiting:
        _waiting = weakref.WeakKeyDictionary()
    # A call that was given up with its loop holds it.
    for known in [known for known in list(_waiting) if known.is_closed()]:
        _waiting.pop(known, None)
    waiting = _waiting[loop] = _Waiting(loop)
    return waiting


async def awaited(loop: asyncio.AbstractEventLoop, kept: Kept, start: Callable[..., Task], *args: Any) -> Any:
    """Starts a call and waits for what it comes to. Cancelling the wait cancels the call."""
    waiting = _waiting.get(loop) or _open(loop)
    number = waiting.number()
    try:
        task = start(waiting.inbox, number, *args)
    except NativeError as native:
        failed = native.args[0]
    else:
        # Its end comes when this loop turns again, at the earliest.
        future: asyncio.Future[_Ended] = loop.create_future()
        waiting.futures[number] = future
        try:
            ok, value = await future
        except BaseException:
            waiting.futures.pop(number, None)
            task.cancel()
            raise
        if ok:
            return value
        failed = value
    raise from_json(failed, kept)


def _described(name: str, value: Any) -> bool:
    """Whether it is a description of something, and no object of the caller's."""
    return isinstance(value, (EmbedderConfig, RerankerConfig)) or (name == "ranker" and isinstance(value, (str, Mapping)))


def _config(data_dir: str | PathLike[str] | None, settings: Mapping[str, Any], dispatcher: Dispatcher, from_env: bool) -> str:
    config: dict[str, Any] = {"from_env": from_env}
    if data_dir is not None:
        config["data_dir"] = encode(data_dir)
    for name, value in settings.items():
        if name not in keywords.Settings.__annotations__:
            raise TypeError(f"unknown setting {name!r}; there are {', '.join(sorted(keywords.Settings.__annotations__))}")
        if value is None:
            continue
        if name == "providers":
            config[name] = [encode(p) if isinstance(p, ProviderConfig) else dispatcher.add_provider(p) for p in value]
        elif name == "tools":
            config[name] = [dispatcher.add_tool(tool) for tool in value]
        elif name in ROOMS and not _described(name, value):
            config[name] = dispatcher.add_room(name, value)
        elif name == "organisation_policies":
            config[name] = [{"organisation": org, "policy": encode(policy)} for org, policy in value.items()]
        else:
            config[name] = encode(value)
    return json.dumps(config)


class Base:
    """What :class:`Syntra` and :class:`AsyncSyntra` share."""

    _dispatcher: Dispatcher
    _kept: Kept
    _engine: Engine

    def _open(self, data_dir: str | PathLike[str] | None, settings: Mapping[str, Any], from_env: bool) -> None:
        self._dispatcher = Dispatcher()
        self._kept = self._dispatcher.kept
        config = _config(data_dir, settings, self._dispatcher, from_env)
        self._data_dir = data_dir
        self._engine = reraised(self._kept, Engine, config, self._dispatcher)

    def __repr__(self) -> str:
        where = "in memory" if self._data_dir is None else repr(encode(self._data_dir))
        return f"<{type(self).__name__} {where}>"
