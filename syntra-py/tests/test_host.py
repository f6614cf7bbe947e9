"""Providers and embedders written in Python."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import syntra
from syntra import AsyncSyntra, Request, Response, Scope, Syntra, ToolCall, Usage

ME = Scope("acme", "ada")


class Plain:
    name, models = "mine", ["m1"]

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def complete(self, request: Request) -> Response:
        self.requests.append(request)
        return Response(
            text=f"{request.model} heard {request.messages[-1].text!r}", usage=Usage(input_tokens=5, output_tokens=2), reasoning="hm"
        )


class Streaming:
    name, models = "mine", ["m1"]

    def stream(self, request: Request) -> Iterator[Any]:
        yield "from "
        yield syntra.ReasoningEvent("thinking")
        yield {"type": "text", "text": "a generator"}
        yield syntra.UsageEvent(input_tokens=4, output_tokens=3)


class AsyncStreaming:
    name, models = "mine", ["m1"]

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.started = threading.Event()

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        try:
            yield "begin"
            self.started.set()
            if request.messages[-1].text.startswith("hang"):
                await asyncio.sleep(60)
            yield " end"
        finally:
            self.closed.set()


def test_a_plain_function_answers_a_sync_question() -> None:
    provider = Plain()
    with Syntra(providers=[provider]) as client:
        answer = client.ask(ME, "hello there", temperature=0.5)
        assert answer.text == "m1 heard 'hello there'"
        assert (answer.provider, answer.model, answer.degraded) == ("mine", "m1", False)
        assert answer.usage.input_tokens == 5 and answer.usage.output_tokens == 2
        assert answer.reasoning == "hm"
        assert provider.requests[0].temperature == 0.5
        assert provider.requests[0].messages[0].role == "system"


def test_a_generator_streams() -> None:
    with Syntra(providers=[Streaming()]) as client, client.stream(ME, "hello") as stream:
        assert "".join(stream.texts()) == "from a generator"
        assert stream.done is not None and stream.done.usage.output_tokens == 3


def test_an_async_generator_streams_in_both_apis() -> None:
    with Syntra(providers=[AsyncStreaming()]) as client:
        assert client.ask(ME, "hello").text == "begin end"

    async def main() -> None:
        async with AsyncSyntra(providers=[AsyncStreaming()]) as client:
            assert [t async for t in client.stream(ME, "hello").texts()] == ["begin", " end"]

    asyncio.run(main())


def test_an_async_function_runs_on_the_loop_that_asks() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Own:
        name, models = "mine", ["m1"]

        async def complete(self, request: Request) -> str:
            loops.append(asyncio.get_running_loop())
            return "ok"

    async def main() -> asyncio.AbstractEventLoop:
        assert (await client.ask(ME, "hello")).text == "ok"
        return asyncio.get_running_loop()

    client = AsyncSyntra(providers=[Own()])
    used = [asyncio.run(main()), asyncio.run(main())]
    assert loops == used, "each loop runs what it asks for"
    with Syntra(providers=[Own()]) as sync:
        assert sync.ask(ME, "hello").text == "ok"


@pytest.mark.parametrize("again", range(10))  # the close and the cancelled read may come in either order
def test_leaving_a_stream_stops_the_provider(again: int) -> None:
    provider = AsyncStreaming()

    async def main() -> None:
        async with AsyncSyntra(providers=[provider]) as client:
            async with client.stream(ME, "hang please") as stream:
                async for event in stream:
                    if event.type == "text":
                        break
            for _ in range(500):
                if provider.closed.is_set():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the generator was not closed")

    asyncio.run(main())


def test_an_exception_arrives_as_cause_and_memory_answers() -> None:
    class Broken:
        name, models = "mine", ["m1"]

        def complete(self, request: Request) -> str:
            raise KeyError("boom")

    with Syntra(providers=[Broken()], extractive_fallback=False) as client:
        with pytest.raises(syntra.SyntraError) as caught:
            client.ask(ME, "hello")
        assert isinstance(caught.value.__cause__, KeyError)
        assert caught.value.provider == "mine"
        assert "KeyError: 'boom'" in str(caught.value)
    with Syntra(providers=[Broken()]) as client:
        assert client.ask(ME, "hello").degraded


def test_an_error_of_ours_keeps_its_kind_and_another_provider_takes_over() -> None:
    class Limited:
        name, models = "limited", ["m1"]

        def complete(self, request: Request) -> str:
            raise syntra.QuotaExhaustedError("nothing left", status=402)

    with Syntra(providers=[Limited()], extractive_fallback=False) as client:
        with pytest.raises(syntra.QuotaExhaustedError, match="nothing left") as caught:
            client.ask(ME, "hello", model="limited/m1")
        assert caught.value.status == 402
    with Syntra(providers=[Limited(), Plain()]) as client:
        answer = client.ask(ME, "hello")
        assert answer.provider == "mine"


def test_an_error_in_mid_stream_ends_the_stream_after_what_came() -> None:
    class Half:
        name, models = "mine", ["m1"]

        async def stream(self, request: Request) -> AsyncIterator[str]:
            yield "half"
            raise syntra.TransientError("gone")

    with Syntra(providers=[Half()], extractive_fallback=False) as client:
        seen = []
        with pytest.raises(syntra.TransientError) as caught:
            for event in client.stream(ME, "hello"):
                seen.append(event.type)
        assert "text" in seen and "done" not in seen
        assert isinstance(caught.value.__cause__, syntra.TransientError)


class Breaking:
    """Breaks off its first answer and goes on with it when it is asked to."""

    name, models = "mine", ["m1"]

    def __init__(self, resumes: bool) -> None:
        self.resumes = resumes
        self.requests: list[Request] = []

    def stream(self, request: Request) -> Iterator[Any]:
        self.requests.append(request)
        if len(self.requests) == 1:
            yield "The tides are "
            raise syntra.TransientError("the line went dead")
        yield " caused by the moon." if request.messages[-1].role == "assistant" else "All anew."


def test_an_answer_that_breaks_off_is_gone_on_with_by_a_provider_that_resumes() -> None:
    provider = Breaking(resumes=True)
    with Syntra(providers=[provider], retry_policy=syntra.RetryPolicy(backoff=0.01)) as client:
        with client.stream(ME, "What causes the tides?") as stream:
            assert "".join(stream.texts()) == "The tides are caused by the moon."
    assert provider.requests[1].messages[-1].text == "The tides are"


def test_where_nobody_resumes_the_host_decides() -> None:
    settings: dict[str, Any] = {"retry_policy": syntra.RetryPolicy(backoff=0.01), "recovery": "resume_or_restart"}
    with Syntra(providers=[Breaking(resumes=False)], **settings) as client:
        with client.stream(ME, "What causes the tides?") as stream:
            events = [event for event in stream if event.type in ("text", "restart")]
    assert [event.type for event in events] == ["text", "restart", "text"]
    with Syntra(providers=[Breaking(resumes=False)], **settings) as client, pytest.raises(syntra.TransientError):
        list(client.stream(ME, "What causes the tides?", recovery="fail").texts())


def test_tool_calls_of_a_python_provider() -> None:
    class Tools:
        name, models = "mine", ["m1"]

        def complete(self, request: Request) -> Response:
            assert request.tools[0].name == "find"
            return Response(tool_calls=[ToolCall("c1", "find", {"q": "x"})])

    with Syntra(providers=[Tools()]) as client:
        answer = client.ask(ME, "find x", tools=[syntra.Tool("find", "Finds", {"type": "object", "properties": {}})])
        assert [(c.name, c.arguments) for c in answer.tool_calls] == [("find", {"q": "x"})]
        assert answer.finish == "tool_calls"


def test_a_refusal_arrives_as_one() -> None:
    class Shy:
        name, models = "mine", ["m1"]

        def complete(self, request: Request) -> Response:
            return Response(refusal="I would rather not.")

    with Syntra(providers=[Shy()]) as client:
        answer = client.complete("mine", Request("m1", [syntra.Message.user("x")]))
        assert (answer.refusal, answer.finish, answer.text) == ("I would rather not.", "refusal", "")


def test_streams_opened_on_many_threads_at_once_keep_to_themselves() -> None:
    from concurrent.futures import ThreadPoolExecutor

    class Echo:
        name, models = "mine", ["m1"]

        def stream(self, request: Request) -> Iterator[str]:
            text = request.messages[-1].text
            yield text
            yield text

    with Syntra(providers=[Echo()]) as client, ThreadPoolExecutor(16) as pool:
        asked = [f"question {n}" for n in range(200)]
        given = pool.map(lambda text: client.ask(ME, text, recall=False, remember=False).text, asked)
        assert list(given) == [text * 2 for text in asked]


def test_what_a_provider_returns_is_checked() -> None:
    class Odd:
        name, models = "mine", ["m1"]

        def complete(self, request: Request) -> Any:
            return {"txt": "misspelt"}

    with Syntra(providers=[Odd()], extractive_fallback=False) as client, pytest.raises(syntra.DecodeError):
        client.ask(ME, "hello")

    class Mute:
        name, models = "mute", ["m1"]

    with pytest.raises(TypeError, match="complete"):
        Syntra(providers=[Mute()])  # type: ignore[list-item]


class Axes:
    """Texts along the axis of their first known word."""

    model, dimensions = "axes", 3

    def __init__(self) -> None:
        self.batches: list[int] = []

    def embed(self, texts: list[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [[2.0 * ("cat" in t), 2.0 * ("dog" in t), 0.1] for t in texts]


def test_an_embedder_is_asked_in_batches_and_finds() -> None:
    embedder = Axes()
    with Syntra(embedder=embedder) as client:
        client.remember(ME, ["the cat sleeps", "the dog barks", "nobody is here"])
        assert embedder.batches == [3], "one call for the whole batch"
        found = client.recall(ME, "cat")
        assert found.memories[0].text == "the cat sleeps"
        vector = client.embed(["cat"])[0]
        assert abs(sum(x * x for x in vector) - 1) < 1e-5, "unit length"
        assert client.health().embedder == "axes"


def test_what_was_remembered_before_another_embedder_gets_its_vectors(tmp_path: Path) -> None:
    with Syntra(data_dir=tmp_path) as client:
        client.remember(ME, ["the cat sleeps", "the dog barks", "nobody is here"])
    embedder = Axes()
    with Syntra(data_dir=tmp_path, embedder=embedder) as client:
        before = client.memory_stats(ME)
        assert (before.with_vector, before.with_other_vector) == (0, 3)
        assert client.embed_missing(ME) == 3
        assert embedder.batches == [3], "one call for the whole batch"
        assert client.memory_stats(ME).with_vector == 3
        found = client.recall(ME, "cat", strategies=["vector"])
        assert found.memories[0].text == "the cat sleeps"
        assert client.embed_missing(ME) == 0


def test_an_async_embedder_and_one_that_fails() -> None:
    class Later(Axes):
        async def embed(self, texts: list[str]) -> Any:  # type: ignore[override]
            await asyncio.sleep(0)
            return Axes.embed(self, texts)

    class Bad(Axes):
        def embed(self, texts: list[str]) -> list[list[float]]:
            return [[0.0, 0.0, 0.0] for _ in texts]

    async def main() -> None:
        async with AsyncSyntra(embedder=Later()) as client:
            assert len(await client.embed(["cat", "dog"])) == 2

    asyncio.run(main())
    with Syntra(embedder=Bad()) as client, pytest.raises(syntra.EmbeddingError, match="zero"):
        client.embed(["cat"])


def test_many_questions_at_once_to_a_python_provider() -> None:
    class Slow:
        name, models = "mine", ["m1"]

        async def complete(self, request: Request) -> str:
            await asyncio.sleep(0.005)
            return request.messages[-1].text.upper()

    async def main() -> None:
        async with AsyncSyntra(providers=[Slow()]) as client:
            asks = [client.ask(ME, f"question {n}", remember=False, recall=False) for n in range(100)]
            answers = await asyncio.gather(*asks)
            assert [a.text for a in answers] == [f"QUESTION {n}" for n in range(100)]

    asyncio.run(main())


@pytest.mark.parametrize("again", range(10))  # the coroutine may run before the engine knows of it
def test_a_cancelled_question_cancels_the_coroutine(again: int) -> None:
    cancelled = asyncio.Event()
    started = asyncio.Event()

    class Hangs:
        name, models = "mine", ["m1"]

        async def complete(self, request: Request) -> str:
            started.set()
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.set()
                raise
            return ""

    async def main() -> None:
        async with AsyncSyntra(providers=[Hangs()]) as client:
            task = asyncio.create_task(client.ask(ME, "hello"))
            await started.wait()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await asyncio.wait_for(cancelled.wait(), 10)

    asyncio.run(main())


def test_progress_of_indexing_is_heard(tmp_path: Any) -> None:
    for n in range(3):
        (tmp_path / f"f{n}.txt").write_text(f"The number of file {n} is {n * 7}.\n")
    heard: list[syntra.Progress] = []

    def stop(progress: syntra.Progress) -> None:
        raise InterruptedError("enough")

    with Syntra() as client:
        client.index_directory(ME, tmp_path, progress=heard.append)
        assert client.memory_stats(ME).total >= 3
        assert [p.path for p in heard] == ["f0.txt", "f1.txt", "f2.txt", None], "in order, and all of it before the call returns"
        with pytest.raises(syntra.SyntraError, match="enough") as caught:
            client.index_directory(Scope("acme", "bob"), tmp_path, progress=stop)
        assert isinstance(caught.value.__cause__, InterruptedError)
