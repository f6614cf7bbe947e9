"""The native engine from Python: set-up, errors, and waiting for it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from os import PathLike
from typing import Any, TypeVar

from ._convert import encode
from ._errors import Kept, from_json
from ._host import ROOMS, Dispatcher
from ._native import Engine, NativeError, Task
from ._options import Settings
from ._types import ProviderConfig
from ._value import asyncio

T = TypeVar("T")


def reraised(kept: Kept, call: Callable[..., T], *args: Any) -> T:
    """Calls the engine; its error is raised as one of ours."""
    try:
        return call(*args)
    except NativeError as native:
        error = from_json(native.args[0], kept)
    raise error


async def awaited(loop: asyncio.AbstractEventLoop, kept: Kept, start: Callable[..., Task], *args: Any) -> Any:
    """Starts a call and waits for it: JSON, and the trace of a turn. Cancelling the wait cancels the call."""
    future: asyncio.Future[tuple[bool, Any, Any]] = loop.create_future()

    def resolve(ok: bool, payload: Any, trace: Any) -> None:
        if not future.done():
            future.set_result((ok, payload, trace))

    def done(ok: bool, payload: Any, trace: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits
            loop.call_soon_threadsafe(resolve, ok, payload, trace)

    task = reraised(kept, start, *args, done)
    try:
        ok, payload, trace = await future
    except asyncio.CancelledError:
        task.cancel()
        raise
    if not ok:
        raise from_json(payload, kept)
    return payload, trace


def parsed(crossing: tuple[Any, Any]) -> Any:
    """What a call answered; the trace of a turn is taken apart by who looks at it."""
    payload, trace = crossing
    result = json.loads(payload)
    if trace is not None:
        result["trace"] = trace
    return result


def _config(data_dir: str | PathLike[str] | None, settings: Mapping[str, Any], dispatcher: Dispatcher, from_env: bool) -> str:
    config: dict[str, Any] = {"from_env": from_env}
    if data_dir is not None:
        config["data_dir"] = encode(data_dir)
    for name, value in settings.items():
        if name not in Settings.__annotations__:
            raise TypeError(f"unknown setting {name!r}; there are {', '.join(sorted(Settings.__annotations__))}")
        if value is None:
            continue
        if name == "providers":
            config[name] = [encode(p) if isinstance(p, ProviderConfig) else dispatcher.add_provider(p) for p in value]
        elif name in ROOMS:
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
