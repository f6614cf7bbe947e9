"""The front door for asyncio."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from ._convert import decode
from ._engine import Base, awaited, reraised
from ._options import (
    Item,
    Question,
    answer,
    ask_params,
    id_list,
    memory_filter,
    memory_items,
    params,
    response,
)
from ._stream import AsyncStream
from ._types import (
    Answer,
    DocumentStats,
    Erased,
    ExperimentReport,
    Health,
    IndexReport,
    Memory,
    MemoryStats,
    MemoryType,
    Message,
    Plan,
    Progress,
    Recall,
    Remembered,
    Request,
    Response,
    Scope,
    Strategy,
    Target,
    Thread,
    ThreadMessage,
    TokenCount,
    Trace,
)
from ._value import asyncio

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from ._settings import AskOptions, MemoryOptions, Settings


class AsyncSyntra(Base):
    """As :class:`Syntra`, for asyncio: every method but :meth:`stream` is a coroutine, and cancelling one closes what it has open.

    It may be used by many event loops. Coroutines of objects of your own run on the loop that calls; where several do, on one of the package's own.
    """

    def __init__(self, data_dir: str | PathLike[str] | None = None, **settings: Unpack[Settings]) -> None:
        """``data_dir`` is the folder that keeps everything; without one everything is gone with the object."""
        self._open(data_dir, settings, from_env=False)

    @classmethod
    def from_env(cls, data_dir: str | PathLike[str] | None = None, **settings: Unpack[Settings]) -> Self:
        """As the constructor, with a provider for each of the usual key variables (``OPENAI_API_KEY`` and so on) that is set; the folder
        is ``SYNTRA_DATA_DIR``, else ``data_dir``, else ``.syntra``."""
        made = cls.__new__(cls)
        made._open(data_dir, settings, from_env=True)
        return made

    async def _call(self, method: str, arguments: str) -> Any:
        loop = asyncio.get_running_loop()
        self._dispatcher.seen(loop)
        return json.loads(await awaited(loop, self._kept, self._engine.start, method, arguments))

    async def ask(self, scope: Scope, question: Question = "", **options: Unpack[AskOptions]) -> Answer:
        """Asks and returns the whole answer."""
        loop = asyncio.get_running_loop()
        self._dispatcher.seen(loop)
        return answer(await awaited(loop, self._kept, self._engine.start_ask, ask_params(scope, question, options)))

    def stream(self, scope: Scope, question: Question = "", **options: Unpack[AskOptions]) -> AsyncStream:
        """Asks and returns the answer as it comes. Nothing happens before the first event is asked for."""
        native = reraised(self._kept, self._engine.stream, ask_params(scope, question, options))
        return AsyncStream(native, self._dispatcher)

    async def plan(self, scope: Scope, question: Question = "", **options: Unpack[AskOptions]) -> Plan:
        """Which models a question would go to, and why, without asking any."""
        return decode(Plan, await self._call("plan", ask_params(scope, question, options)))

    async def trace(self, scope: Scope, turn_id: str) -> Trace | None:
        """Why a turn did what it did; ``None`` when it is no longer known."""
        found = await self._call("trace", params(scope, turn_id=turn_id))
        return None if found is None else decode(Trace, found)

    async def feedback(self, scope: Scope, turn_id: str, score: float) -> None:
        """Tells the router how good the answer of a turn was, from 0 (useless) to 1 (perfect), once; it learns from that."""
        await self._call("feedback", params(scope, turn_id=turn_id, score=score))

    async def experiments(self, scope: Scope) -> list[ExperimentReport]:
        """What came of each experiment for the organisation, with intervals that hold however often this is called."""
        return decode(list[ExperimentReport], await self._call("experiments", params(scope)))

    async def export_learned(self, scope: Scope) -> dict[str, Any] | None:
        """What the router learned from the organisation's outcomes, without any text of a question; ``None`` when there is nothing."""
        found: dict[str, Any] | None = (await self._call("export_learned", params(scope)))["learned"]
        return found

    async def import_learned(self, scope: Scope, learned: Mapping[str, Any]) -> None:
        """Takes over what :meth:`export_learned` gave, in place of what was learned for the organisation."""
        await self._call("import_learned", params(scope, learned=learned))

    async def reset_learned(self, scope: Scope) -> bool:
        """Forgets what the router learned for the organisation; whether there was something."""
        forgotten: bool = await self._call("reset_learned", params(scope))
        return forgotten

    async def complete(self, provider: str, request: Request) -> Response:
        """One request to one model, without memory, routing or fallback."""
        return response(await self._call("complete", params(provider=provider, request=request)))

    async def remember(
        self,
        scope: Scope,
        items: Item | Sequence[Item],
        *,
        kind: MemoryType = "semantic",
        **options: Unpack[MemoryOptions],
    ) -> list[Remembered]:
        """Remembers ``items`` in order, all or none. A plain text is a memory of type ``kind`` with ``options``."""
        given = memory_items(items, kind, options)
        return decode(list[Remembered], await self._call("remember", params(scope, items=given)))

    async def recall(
        self,
        scope: Scope,
        query: str,
        *,
        limit: int | None = None,
        kinds: MemoryType | Sequence[MemoryType] | None = None,
        conversation: str | None = None,
        said_from: datetime | None = None,
        said_to: datetime | None = None,
        strategies: Sequence[Strategy] | None = None,
        now: datetime | None = None,
        time_zone: str | None = None,
    ) -> Recall:
        """What memory has on ``query``, ranked, with the parts of each score. ``said_to`` is exclusive; ``time_zone`` is an IANA name, for words
        like ``yesterday``, and by default the assistant's."""
        filter = memory_filter(kinds, conversation, said_from, said_to)
        given = params(scope, query=query, limit=limit, filter=filter, strategies=strategies, now=now, time_zone=time_zone)
        return decode(Recall, await self._call("recall", given))

    async def update_memory(
        self,
        scope: Scope,
        id: str,
        *,
        text: str | None = None,
        title: str | None = None,
        reliability: float | None = None,
        metadata: Mapping[str, Any] | None = None,
        vector: Sequence[float] | None = None,
    ) -> Memory:
        """Changes a memory; ``None`` leaves a field as it is, a ``None`` inside ``metadata`` removes that entry."""
        patch = params(text=text, title=title, reliability=reliability, metadata=metadata, vector=vector)
        return decode(Memory, await self._call("update_memory", params(scope, id=id, patch=json.loads(patch))))

    async def supersede(self, scope: Scope, old: str, new: Item) -> Remembered:
        """Writes ``new`` and ends the validity of the memory ``old``, which stays readable."""
        item = memory_items(new, "semantic", {})[0]
        return decode(Remembered, await self._call("supersede", params(scope, old=old, new=item)))

    async def forget(self, scope: Scope, ids: str | Sequence[str]) -> int:
        """Removes memories for good; how many there were."""
        return int(await self._call("forget", params(scope, ids=id_list(ids))))

    async def memories(self, scope: Scope, ids: str | Sequence[str]) -> list[Memory]:
        """The memories with these ids, in the order asked for; those that are not there are left out."""
        return decode(list[Memory], await self._call("memories", params(scope, ids=id_list(ids))))

    async def list_memories(
        self,
        scope: Scope,
        *,
        kinds: MemoryType | Sequence[MemoryType] | None = None,
        conversation: str | None = None,
        said_from: datetime | None = None,
        said_to: datetime | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[Memory]:
        """Memories in the order they were written, superseded ones included."""
        filter = memory_filter(kinds, conversation, said_from, said_to)
        page = {"offset": offset, "limit": limit}
        return decode(list[Memory], await self._call("list_memories", params(scope, filter=filter, page=page)))

    async def memories_as_of(
        self,
        scope: Scope,
        at: datetime,
        *,
        kinds: MemoryType | Sequence[MemoryType] | None = None,
        conversation: str | None = None,
        said_from: datetime | None = None,
        said_to: datetime | None = None,
        offset: int = 0,
        limit: int = 100,
    ) -> list[Memory]:
        """Memories that held at the time ``at``, whether or not they still do, in the order they were written. A question that names a time
        ("Where did I live in May?") finds them by itself."""
        filter = memory_filter(kinds, conversation, said_from, said_to)
        page = {"offset": offset, "limit": limit}
        return decode(list[Memory], await self._call("memories_as_of", params(scope, at=at, filter=filter, page=page)))

    async def memory_stats(self, scope: Scope) -> MemoryStats:
        """How many memories there are."""
        return decode(MemoryStats, await self._call("memory_stats", params(scope)))

    async def embed_missing(self, scope: Scope) -> int:
        """Gives a vector to the memories that have none of the present embedder's, after another ``embedder`` was set: until then what was
        remembered before is found by its words and all else, not by its meaning. How many got one; what is done stays if it ends early."""
        return int(await self._call("embed_missing", params(scope)))

    async def erase(self, scope: Scope) -> Erased:
        """Removes everything of the scope: memories, threads, traces."""
        return decode(Erased, await self._call("erase", params(scope)))

    async def index_directory(
        self,
        scope: Scope,
        path: str | PathLike[str],
        *,
        only: Sequence[str | PathLike[str]] | None = None,
        progress: Callable[[Progress], Any] | None = None,
    ) -> IndexReport:
        """Reads the documents in the folder ``path`` into memory: all, or those of ``only`` (files and folders relative to it).

        Only what is new or changed is written, and what is gone is forgotten. ``progress`` hears of each file before it is read, on
        another thread; what it raises ends the call.
        """
        name = None if progress is None else self._dispatcher.add_progress(lambda p: progress(decode(Progress, p)))
        try:
            report = await self._call("index_directory", params(scope, path=fspath(path), only=only, progress=name))
        finally:
            self._dispatcher.remove(name)
        return decode(IndexReport, report)

    async def remove_directory(self, scope: Scope, path: str | PathLike[str]) -> int:
        """Forgets what was indexed of the folder ``path``; how many chunks that were."""
        return int(await self._call("remove_directory", params(scope, path=fspath(path))))

    async def document_stats(self, scope: Scope) -> DocumentStats:
        """What is indexed."""
        return decode(DocumentStats, await self._call("document_stats", params(scope)))

    async def create_thread(self, scope: Scope, id: str | None = None, *, title: str | None = None) -> Thread:
        """Creates a thread; with an ``id`` of the caller's, returns the one that is there."""
        return decode(Thread, await self._call("create_thread", params(scope, id=id, title=title)))

    async def thread(self, scope: Scope, id: str) -> Thread:
        """A thread."""
        return decode(Thread, await self._call("thread", params(scope, id=id)))

    async def threads(self, scope: Scope, *, offset: int = 0, limit: int = 100) -> list[Thread]:
        """Threads, the one written to last first."""
        page = {"offset": offset, "limit": limit}
        return decode(list[Thread], await self._call("threads", params(scope, page=page)))

    async def history(self, scope: Scope, thread: str, *, limit: int = 100, before: int | None = None) -> list[ThreadMessage]:
        """The newest ``limit`` messages of a thread (those before the place ``before``), oldest of them first."""
        found = await self._call("history", params(scope, thread=thread, limit=limit, before=before))
        return decode(list[ThreadMessage], found)

    async def append(self, scope: Scope, thread: str, messages: Message | Sequence[Message]) -> list[ThreadMessage]:
        """Appends messages to a thread together."""
        whole = [messages] if isinstance(messages, Message) else messages
        written = await self._call("append", params(scope, thread=thread, messages=whole))
        return decode(list[ThreadMessage], written)

    async def delete_thread(self, scope: Scope, id: str) -> bool:
        """Deletes a thread and its messages; whether it was there. Memories of it stay."""
        return bool(await self._call("delete_thread", params(scope, id=id)))

    async def count_tokens(self, model: str, text: str) -> TokenCount:
        """Tokens of ``text`` as ``model`` counts them, and whether the count is exact."""
        return decode(TokenCount, await self._call("count_tokens", params(model=model, text=text)))

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of ``texts``, in order."""
        return decode(list[list[float]], await self._call("embed", params(texts=list(texts))))

    async def providers(self) -> list[str]:
        """The names of the configured providers, sorted."""
        return decode(list[str], await self._call("providers", params()))

    async def models(self) -> list[Target]:
        """Every model that may be called."""
        return decode(list[Target], await self._call("models", params()))

    async def health(self) -> Health:
        """Whether the store answers and how each model has done lately."""
        return decode(Health, await self._call("health", params()))

    async def aclose(self) -> None:
        """Lets go of files and connections. Every later call fails."""
        await asyncio.get_running_loop().run_in_executor(None, self._engine.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
