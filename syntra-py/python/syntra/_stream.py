"""Streams of events, read from the engine in batches."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from ._convert import converter
from ._engine import awaited, reraised
from ._errors import from_dict
from ._host import Dispatcher
from ._native import Stream as NativeStream
from ._types import DoneEvent, Event, TextEvent
from ._value import asyncio

if TYPE_CHECKING:
    from typing_extensions import Self


@cache
def _maker() -> Callable[[dict[str, Any]], Event]:
    return converter(cast("type[Any]", Event))


class _Events:
    def __init__(self, native: NativeStream, dispatcher: Dispatcher) -> None:
        self._native = native
        self._dispatcher = dispatcher
        self._kept = dispatcher.kept
        #: Of a text its words, of any other event its JSON.
        self._ready: deque[str | bytes] = deque()
        self._ended = False
        #: How the turn ended, once it has.
        self.done: DoneEvent | None = None

    def _take(self, batch: Sequence[str | bytes] | None) -> None:
        if batch is None:
            self._ended = True
        else:
            self._ready.extend(batch)

    def _event(self, data: str | bytes) -> Event:
        if isinstance(data, str):
            return TextEvent(data)
        event = json.loads(data)
        if event["type"] == "error":
            self._ended = True
            raise from_dict(event, self._kept)
        made = _maker()(event)
        if isinstance(made, DoneEvent):
            self._ended = True
            self.done = made
        return made

    def _close(self) -> None:
        self._ended = True
        self._ready.clear()
        self._native.close()


class Stream(_Events):
    """The events of one turn. It ends after a :class:`DoneEvent`, or raises what went wrong. Leaving its ``with`` block, or
    :meth:`close`, ends the turn early and closes the connection to the model."""

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        while True:
            try:
                # Asked for without a look before: another thread may read the same stream.
                data = self._ready.popleft()
            except IndexError:
                if self._ended:
                    raise StopIteration from None
                self._take(reraised(self._kept, self._native.next))
            else:
                return self._event(data)

    def texts(self) -> Iterator[str]:
        """The answer's text, piece by piece."""
        return (event.text for event in self if isinstance(event, TextEvent))

    def close(self) -> None:
        """Ends the turn."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


class AsyncStream(_Events):
    """The events of one turn. It ends after a :class:`DoneEvent`, or raises what went wrong. Cancelling the task that reads it,
    leaving its ``async with`` block, or :meth:`aclose` ends the turn early and closes the connection to the model."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._ended:
                raise StopAsyncIteration
            loop = asyncio.get_running_loop()
            self._dispatcher.seen(loop)
            try:
                self._take(await awaited(loop, self._kept, self._native.start_next))
            except asyncio.CancelledError:
                self._close()
                raise
        return self._event(self._ready.popleft())

    async def texts(self) -> AsyncIterator[str]:
        """The answer's text, piece by piece."""
        async for event in self:
            if isinstance(event, TextEvent):
                yield event.text

    async def aclose(self) -> None:
        """Ends the turn."""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._close()
