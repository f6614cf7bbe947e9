"""How events cross: together when they are ready, none held back, a thousand streams at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import syntra
from syntra import AsyncSyntra, ProviderConfig, Scope, Syntra

ME = Scope("acme", "ada")
PIECES = [f"{n} " for n in range(40)]


def peak_memory() -> int:
    """The most bytes that this process ever held in memory."""
    resource = pytest.importorskip("resource")
    peak: int = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@pytest.mark.skipif(sys.platform == "win32", reason="too few sockets")
@pytest.mark.parametrize("memory", [False, True])
def test_a_thousand_streams_at_once_in_bounded_memory(mock: Any, tmp_path: Path, memory: bool) -> None:
    server = mock({"models": {"m1": [{"pieces": PIECES}]}})

    async def main() -> None:
        alpha = ProviderConfig("alpha", base_url=server.base_url("alpha"), models=["m1"])
        async with AsyncSyntra(providers=[alpha], data_dir=tmp_path) as client:
            begun, all_begun = 0, asyncio.Event()

            async def one(n: int) -> str:
                nonlocal begun
                pieces = []
                stream = client.stream(ME, f"My ticket is number {n}.", recall=memory, remember=memory)
                async for piece in stream.texts():
                    pieces.append(piece)
                    if len(pieces) == 1:
                        begun += 1
                        if begun == 1000:
                            all_begun.set()
                        await all_begun.wait()  # passes only when all thousand are open
                if memory and n % 10 == 0:  # while others write
                    known = await client.recall(ME, f"Which ticket is number {n}?")
                    assert f" {n}." in known.items[0].memory.text
                return "".join(pieces)

            texts = await asyncio.wait_for(asyncio.gather(*(one(n) for n in range(1000))), 120)
            assert set(texts) == {"".join(PIECES)}

    before = peak_memory()
    asyncio.run(main())
    assert peak_memory() - before < 256 << 20


def test_what_is_ready_crosses_together() -> None:
    produced = asyncio.Event()

    class Fast:
        name, models = "mine", ["m1"]

        async def stream(self, request: syntra.Request) -> AsyncIterator[str]:
            for n in range(2000):
                yield f"{n} "
            produced.set()

    async def main() -> None:
        crossings = 0
        async with AsyncSyntra(providers=[Fast()]) as client:
            stream = client.stream(ME, "go", recall=False, remember=False)
            take = stream._take

            def counted(batch: str | None) -> None:
                nonlocal crossings
                crossings += 1
                take(batch)

            stream._take = counted  # type: ignore[method-assign]
            text = "".join([piece async for piece in stream.texts()])
        assert text == "".join(f"{n} " for n in range(2000))
        assert produced.is_set() and crossings < 400, f"{crossings} crossings for 2000 pieces"

    asyncio.run(main())


@pytest.mark.parametrize("plain", [False, True])
def test_none_is_held_back(plain: bool) -> None:
    """Each piece is sent only when the one before was read: a held-back one would never be followed by another."""
    import queue

    read: queue.Queue[None] = queue.Queue()

    class Slow:
        name, models = "mine", ["m1"]

        def stream(self, request: syntra.Request) -> Any:
            for n in range(20):
                yield f"{n} "
                read.get(timeout=20)

    class SlowLater(Slow):
        async def stream(self, request: syntra.Request) -> Any:
            for n in range(20):
                yield f"{n} "
                while read.empty():
                    await asyncio.sleep(0.001)
                read.get()

    pieces = []
    if plain:
        with Syntra(providers=[Slow()]) as client:
            for piece in client.stream(ME, "go", recall=False, remember=False).texts():
                pieces.append(piece)
                read.put(None)
    else:

        async def main() -> None:
            async with AsyncSyntra(providers=[SlowLater()]) as client:
                async for piece in client.stream(ME, "go", recall=False, remember=False).texts():
                    pieces.append(piece)
                    read.put(None)

        asyncio.run(asyncio.wait_for(main(), 60))
    assert pieces == [f"{n} " for n in range(20)]


def test_a_reader_that_stops_reading_holds_the_provider_back() -> None:
    """What nobody reads is not piled up: the provider is asked for more only while somebody takes it."""
    yielded = 0

    class Endless:
        name, models = "mine", ["m1"]

        async def stream(self, request: syntra.Request) -> AsyncIterator[str]:
            nonlocal yielded
            while True:
                yielded += 1
                yield "x" * 100
                if yielded % 50 == 0:
                    await asyncio.sleep(0)

    async def main() -> None:
        async with AsyncSyntra(providers=[Endless()]) as client:
            async with client.stream(ME, "go", recall=False, remember=False) as stream:
                async for event in stream:
                    if event.type == "text":
                        break
                last = -1
                for _ in range(2000):
                    await asyncio.sleep(0.005)
                    if yielded == last:
                        break
                    last = yielded
                assert yielded < 5000, "it goes on although nobody reads"

    asyncio.run(main())


def test_one_client_serves_many_event_loops_in_many_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    class Own:
        name, models = "mine", ["m1"]

        async def stream(self, request: syntra.Request) -> AsyncIterator[str]:
            for piece in PIECES:
                yield piece
                await asyncio.sleep(0)

    client = AsyncSyntra(providers=[Own()])

    async def main(n: int) -> set[str]:
        async def one(m: int) -> str:
            return "".join([t async for t in client.stream(ME, f"{n}.{m}", recall=False, remember=False).texts()])

        return set(await asyncio.gather(*(one(m) for m in range(10))))

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: asyncio.run(asyncio.wait_for(main(n), 60)), range(16)))
    assert results == [{"".join(PIECES)}] * 16
