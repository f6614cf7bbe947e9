"""Where a native module meets its interpreter: exit, fork, signals, cancellation, threads."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

import syntra
from syntra import AsyncSyntra, ProviderConfig, Scope, Syntra

ME = Scope("acme", "ada")
HANGING = {"models": {"m1": [{"pieces": ["begin"], "hang": True}]}}


def python(code: str, *, timeout: float = 60, **env: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(program, capture_output=True, text=True, timeout=timeout, env=os.environ | env)


EXITS = {
    "idle": """
        import syntra
        client = syntra.Syntra()
        """,
    "right after an await": """
        import asyncio, syntra
        async def main():
            await syntra.AsyncSyntra().remember(syntra.Scope.local(), "x is y")
        asyncio.run(main())
        """,
    "with a stream half read": """
        import asyncio, syntra
        class Own:
            name, models = "mine", ["m1"]
            async def stream(self, request):
                for n in range(1000):
                    yield str(n)
                    await asyncio.sleep(0)
        async def main():
            stream = syntra.AsyncSyntra(providers=[Own()]).stream(syntra.Scope.local(), "hello")
            async for event in stream:
                if event.type == "text":
                    break
        asyncio.run(main())
        """,
    "with calls under way": """
        import asyncio, syntra
        client = syntra.AsyncSyntra()
        async def main():
            for n in range(20):
                asyncio.ensure_future(client.remember(syntra.Scope.local(), f"number {n}"))
            await asyncio.sleep(0)
        asyncio.run(main())
        """,
    "with a coroutine that never ends": """
        import asyncio, threading, syntra
        class Hangs:
            name, models = "mine", ["m1"]
            async def complete(self, request):
                started.set()
                await asyncio.sleep(600)
        started = threading.Event()
        client = syntra.Syntra(providers=[Hangs()])
        threading.Thread(target=lambda: client.ask(syntra.Scope.local(), "hello"), daemon=True).start()
        started.wait(20)
        """,
    "with a daemon thread in a call": """
        import threading, time, syntra
        class Slow:
            name, models = "mine", ["m1"]
            def complete(self, request):
                started.set()
                time.sleep(0.2)
                return "late"
        started = threading.Event()
        client = syntra.Syntra(providers=[Slow()])
        threading.Thread(target=lambda: client.ask(syntra.Scope.local(), "hello"), daemon=True).start()
        started.wait(20)
        """,
}


@pytest.mark.parametrize("how", EXITS)
def test_the_interpreter_exits_cleanly(how: str) -> None:
    runs = int(os.environ.get("SYNTRA_EXIT_RUNS", "12"))
    with ThreadPoolExecutor(4) as pool:
        ended = list(pool.map(lambda _: python(EXITS[how]), range(runs)))
    bad = [(e.returncode, e.stderr[-500:]) for e in ended if e.returncode != 0 or "panicked" in e.stderr]
    assert not bad, f"{len(bad)} of {runs} exits were not clean: {bad[:3]}"


def test_a_function_that_never_returns_does_not_keep_the_process_alive() -> None:
    ended = python(
        """
        import threading, time, syntra
        class Forgotten:
            name, models = "mine", ["m1"]
            def complete(self, request):
                started.set()
                time.sleep(600)
        started = threading.Event()
        client = syntra.Syntra(providers=[Forgotten()])
        threading.Thread(target=lambda: client.ask(syntra.Scope.local(), "hello"), daemon=True).start()
        started.wait(20)
        print("at the end", flush=True)
        """,
        timeout=50,
    )
    assert (ended.returncode, ended.stdout) == (0, "at the end\n"), ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_after_use_works_in_parent_and_child(tmp_path: Any) -> None:
    ended = python(
        f"""
        import asyncio, os, sys, syntra
        me = syntra.Scope.local()
        client = syntra.Syntra({str(tmp_path)!r})
        client.remember(me, "The bridge opens at noon.")
        stream = client.stream(me, "When?")
        pid = os.fork()
        assert "noon" in client.ask(me, "When does the bridge open?").text
        if pid == 0:
            async def main():
                client = syntra.AsyncSyntra()
                await client.remember(me, "The ferry leaves at six.")
                assert "six" in (await client.ask(me, "When does the ferry leave?")).text
            asyncio.run(main())
            try:
                next(iter(stream))
                sys.exit("the parent's stream must not be read here")
            except syntra.CancelledError:
                pass
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0, "the child failed"
        assert [e.type for e in stream][-1] == "done"
        """
    )
    assert ended.returncode == 0, ended.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_multiprocessing_with_fork_works() -> None:
    ended = python(
        """
        import multiprocessing, syntra
        def work(n):
            client = syntra.Syntra()
            me = syntra.Scope.local()
            client.remember(me, f"The answer is {n}.")
            return client.ask(me, "What is the answer?").text
        syntra.Syntra().health()
        with multiprocessing.get_context("fork").Pool(2) as pool:
            for n, text in enumerate(pool.map(work, range(4))):
                assert str(n) in text, text
        """
    )
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C as at a terminal: a shell starts what runs in the background with it ignored, and Python leaves it so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_ends_a_sync_call_and_a_sync_stream(mock: Any) -> None:
    server = mock(HANGING)
    with Syntra(providers=[ProviderConfig("alpha", base_url=server.base_url("alpha"), models=["m1"])]) as client:
        for call in (lambda: client.ask(ME, "hello"), lambda: list(client.stream(ME, "hello"))):
            asked = len(server.log())

            def interrupt(asked: int = asked) -> None:
                server.wait_for(lambda log: len(log) > asked)
                os.kill(os.getpid(), signal.SIGINT)

            thread = threading.Thread(target=interrupt)
            thread.start()
            begun = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                call()
            thread.join()
            assert time.monotonic() - begun < 20
        client.close()
        server.wait_for(lambda log: all(entry["aborted"] for entry in log))


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
@pytest.mark.parametrize(
    "first",
    [
        "import sys, syntra; assert 'threading' not in sys.modules",
        "import threading; own = threading.Thread(target=lambda: __import__('syntra')); own.start(); own.join()",
    ],
    ids=["before threads", "in another thread"],
)
def test_ctrl_c_works_however_the_package_was_imported_first(first: str) -> None:
    ended = python(
        f"""
        {first}
        import asyncio, os, signal, syntra
        signal.signal(signal.SIGINT, signal.default_int_handler)
        class Hangs:
            name, models = "mine", ["m1"]
            async def complete(self, request):
                os.kill(os.getpid(), signal.SIGINT)
                await asyncio.sleep(600)
        with syntra.Syntra(providers=[Hangs()]) as client:
            try:
                client.ask(syntra.Scope.local(), "hello")
            except KeyboardInterrupt:
                print("stopped")
        """,
        timeout=50,
    )
    assert ended.stdout == "stopped\n", ended.stderr


def test_asyncio_cancel_closes_the_connection_upstream(mock: Any) -> None:
    server = mock(HANGING)

    async def main() -> None:
        alpha = ProviderConfig("alpha", base_url=server.base_url("alpha"), models=["m1"])
        async with AsyncSyntra(providers=[alpha]) as client:
            async def read() -> None:
                async for event in client.stream(ME, "hello"):
                    if event.type == "text":
                        began.set()

            began = asyncio.Event()
            reading = asyncio.create_task(read())
            await asyncio.wait_for(began.wait(), 20)
            asking = asyncio.create_task(client.ask(ME, "hello"))
            await asyncio.to_thread(server.wait_for, lambda log: len(log) == 2)
            for task in (reading, asking):
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await asyncio.to_thread(server.wait_for, lambda log: all(entry["aborted"] for entry in log))

    asyncio.run(main())


class Watchless(asyncio.SelectorEventLoop):
    """A loop that watches no pipes, as the one of Windows."""

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        raise NotImplementedError


@pytest.mark.parametrize("make", [asyncio.new_event_loop, Watchless])
def test_results_reach_any_loop_and_those_after_it(make: Any) -> None:
    class Own:
        name, models = "mine", ["m1"]

        def complete(self, request: syntra.Request) -> str:
            return request.messages[-1].text

    async def ask(client: AsyncSyntra, n: int) -> str:
        return (await client.ask(ME, f"hello {n}", recall=False, remember=False)).text

    async def main(client: AsyncSyntra) -> None:
        assert await asyncio.gather(*(ask(client, n) for n in range(50))) == [f"hello {n}" for n in range(50)]
        with pytest.raises(syntra.InvalidInputError):
            await client.ask(ME, "")

    client = AsyncSyntra(providers=[Own()])
    for _ in range(3):
        loop = make()
        loop.run_until_complete(asyncio.wait_for(main(client), 60))
        # One that is given up in the middle takes nothing with it.
        left = loop.create_task(ask(client, 51))
        loop.run_until_complete(asyncio.sleep(0))
        left.cancel()
        loop.run_until_complete(asyncio.gather(left, return_exceptions=True))
        loop.close()


@pytest.mark.parametrize("make", [asyncio.new_event_loop, Watchless])
def test_calls_that_are_given_up_take_no_others_with_them(make: Any) -> None:
    # Ends that are ready together are told of once, by the call that ended first: not even its being given up then may leave the others unheard of.
    async def main() -> None:
        async with AsyncSyntra() as client:
            for attempt in range(30):
                calls = [asyncio.ensure_future(client.count_tokens("gpt-4o", f"{n} words")) for n in range(100)]
                for _ in range(attempt % 6):
                    await asyncio.sleep(0)
                for given_up in calls[attempt % 3 :: 3]:
                    given_up.cancel()
                ends = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 60)
                kept = [end for n, end in enumerate(ends) if n % 3 != attempt % 3]
                assert all(isinstance(end, syntra.TokenCount) for end in kept), kept

    loop = make()
    loop.run_until_complete(main())
    loop.close()


def test_readers_that_share_a_stream_lose_nothing() -> None:
    class Own:
        name, models = "own", ["m1"]

        async def stream(self, request: syntra.Request) -> Any:
            for n in range(600):
                yield f"{n} "
                if n % 50 == 0:
                    await asyncio.sleep(0)

    async def main() -> None:
        async with AsyncSyntra(providers=[Own()]) as client:
            stream = client.stream(Scope.local(), "Count.", recall=False, remember=False)

            async def read() -> list[syntra.Event]:
                events = list[syntra.Event]()
                async for event in stream:
                    events.append(event)
                    await asyncio.sleep(0)
                return events

            readers = await asyncio.wait_for(asyncio.gather(read(), read(), read()), 60)
            said = "".join(event.text for events in readers for event in events if isinstance(event, syntra.TextEvent))
            assert sorted(int(word) for word in said.split()) == list(range(600)), said
            assert sum(isinstance(event, syntra.DoneEvent) for events in readers for event in events) == 1 and stream.done is not None

    asyncio.run(main())


def test_the_package_can_be_imported_first_in_a_thread() -> None:
    ended = python(
        """
        import threading
        def work():
            import syntra
            me = syntra.Scope.local()
            with syntra.Syntra() as client:
                client.remember(me, "The bridge opens at noon.")
                assert "noon" in client.ask(me, "When does the bridge open?").text
        for _ in range(2):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join()
        work()
        """
    )
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr


def test_timeouts_of_asyncio_work(mock: Any) -> None:
    server = mock(HANGING)

    async def main() -> None:
        alpha = ProviderConfig("alpha", base_url=server.base_url("alpha"), models=["m1"])
        async with AsyncSyntra(providers=[alpha]) as client:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(client.ask(ME, "hello"), 0.2)

    asyncio.run(main())


def test_the_network_of_a_server(mock: Any, tmp_path: Any) -> None:
    server = mock({"models": {"m1": [{"pieces": ["word " * 200]}]}})

    def alpha(**network: Any) -> ProviderConfig:
        return ProviderConfig("alpha", base_url=server.base_url("alpha"), models=["m1"], **network)

    proxied = alpha(proxy="http://ada:hunter2@127.0.0.1:1")
    assert "hunter2" not in repr(proxied)
    with Syntra(providers=[proxied]) as client:  # loopback is reached without it
        assert client.ask(ME, "hello").text.startswith("word")
    for options in [{"max_response_bytes": 300}, {"max_stream_bytes": 300}]:
        with Syntra(providers=[alpha(**options)], extractive_fallback=False) as client:
            with pytest.raises(syntra.DecodeError, match="300 bytes"):
                if "max_stream_bytes" in options:
                    list(client.stream(ME, "hello"))
                else:
                    client.ask(ME, "hello")
    network: dict[str, Any] = {"max_event_bytes": 1 << 20, "http_version": "http1", "streams_per_connection": 3}
    told = alpha(headers={"X-Team": "blue"}, timeout=syntra.Timeouts(total=30), **network)
    assert "blue" not in repr(told)
    with Syntra(providers=[told]) as client:
        assert client.ask(ME, "hello").text.startswith("word")
    assert server.log()[-1]["headers"]["x-team"] == "blue"
    with Syntra(providers=[alpha(max_event_bytes=100)], extractive_fallback=False) as client, pytest.raises(syntra.SyntraError, match="100"):
        list(client.stream(ME, "hello"))
    no_pem = tmp_path / "roots.pem"
    no_pem.write_text("no certificate")
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"proxy": "socks5://ada:hunter2@proxy:1080"}, "proxy"),
        ({"ca_file": str(tmp_path / "missing.pem")}, "missing.pem"),
        ({"ca_file": str(no_pem)}, "roots.pem"),
    ]
    for options, words in wrong:
        with pytest.raises(syntra.ConfigError, match=words) as caught:
            Syntra(providers=[alpha(**options)])
        assert "hunter2" not in str(caught.value)


def test_threads_that_share_a_stream_lose_nothing() -> None:
    class Own:
        name, models = "mine", ["m1"]

        def stream(self, request: syntra.Request) -> Iterator[str]:
            return (f"{n} " for n in range(3000))

    often = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that they come between each other's steps
    try:
        with Syntra(providers=[Own()]) as client, ThreadPoolExecutor(4) as pool:
            for _ in range(5):
                stream = client.stream(ME, "Count.", recall=False, remember=False)
                events = [event for read in pool.map(lambda _, of=stream: list(of), range(4)) for event in read]
                words = [event.text for event in events if isinstance(event, syntra.TextEvent)]
                assert sorted(int(word) for word in "".join(words).split()) == list(range(3000))
                assert sum(isinstance(event, syntra.DoneEvent) for event in events) == 1 and stream.done is not None
    finally:
        sys.setswitchinterval(often)


def test_threads_share_a_client_and_run_beside_each_other() -> None:
    inside = threading.Barrier(4, timeout=20)

    class Together:
        name, models = "mine", ["m1"]

        def complete(self, request: syntra.Request) -> str:
            inside.wait()  # passes only when four calls are inside at once
            return "met"

    with Syntra(providers=[Together()]) as client, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: client.ask(ME, f"hello {n}", recall=False, remember=False).text, range(4)))
    assert answers == ["met"] * 4


def test_functions_may_ask_and_remember_however_many_of_them_run(tmp_path: Path) -> None:
    many = 512  # threads at the most on which functions run
    inside = threading.Barrier(many, timeout=60)

    class Notes:
        name, models = "mine", ["m1"]

        def complete(self, request: syntra.Request) -> str:
            inside.wait()  # passes only when all are inside
            keeper.remember(ME, [syntra.NewMemory(f"Thread {threading.get_ident()} was here.")])
            return "noted"

    async def main() -> list[str]:
        async with AsyncSyntra(providers=[Notes()]) as client:
            asks = (client.ask(ME, f"hello {n}", recall=False, remember=False) for n in range(many))
            return [answer.text for answer in await asyncio.wait_for(asyncio.gather(*asks), 120)]

    with Syntra(providers=[Notes()], data_dir=tmp_path) as keeper:
        keeper.recall(ME, "Which threads?")  # its index is there, and follows what is written
        assert asyncio.run(main()) == ["noted"] * many
        assert keeper.memory_stats(ME).total == many


def test_a_hundred_streams_at_once() -> None:
    class Own:
        name, models = "mine", ["m1"]

        async def stream(self, request: syntra.Request) -> Any:
            for n in range(20):
                yield f"{n} "
                await asyncio.sleep(0)

    async def main() -> None:
        async with AsyncSyntra(providers=[Own()]) as client:
            async def one() -> str:
                return "".join([t async for t in client.stream(ME, "go", recall=False, remember=False).texts()])

            texts = await asyncio.gather(*(one() for _ in range(100)))
            assert set(texts) == {"".join(f"{n} " for n in range(20))}

    asyncio.run(main())


def test_a_closed_client_says_so() -> None:
    client = Syntra()
    client.close()
    client.close()
    with pytest.raises(syntra.CancelledError, match="closed"):
        client.health()


def test_errors_survive_pickling() -> None:
    error = syntra.RateLimitError("slow down", provider="p", retry_after=1.5)
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), back.message, back.retry_after, back.provider) == (syntra.RateLimitError, "slow down", 1.5, "p")


def test_wrong_arguments_are_named() -> None:
    with Syntra() as client:
        with pytest.raises(TypeError, match="temprature"):
            client.ask(ME, "hello", temprature=1)  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="Scope"):
            client.memory_stats("ada")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data_directory"):
        Syntra(data_directory="x")  # type: ignore[call-arg]
    with pytest.raises(syntra.ConfigError, match="base_url"):
        Syntra(providers=[ProviderConfig("unheard-of")])


def test_a_key_never_shows() -> None:
    provider = ProviderConfig("openai", api_key="sk-secret-123")
    assert "sk-secret" not in repr(provider)
    with Syntra(providers=[provider]) as client:
        assert "sk-secret" not in repr(client)


def test_from_env_takes_the_usual_variables(tmp_path: Any) -> None:
    code = """
        import syntra
        print(",".join(syntra.Syntra.from_env().providers()))
        """
    ended = python(code, OPENAI_API_KEY="sk-x", ANTHROPIC_API_KEY="sk-y", SYNTRA_DATA_DIR=str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert {"openai", "anthropic"} <= set(ended.stdout.strip().split(","))
    assert any(tmp_path.iterdir()), "its memory is in the folder"


def test_from_env_takes_the_models_that_may_be_called(tmp_path: Any) -> None:
    code = """
        import syntra
        print(",".join(str(model) for model in syntra.Syntra.from_env().models()))
        """
    models = "openai/gpt-one, openai/gpt-two"
    ended = python(code, OPENAI_API_KEY="sk-x", SYNTRA_MODELS=models, SYNTRA_DATA_DIR=str(tmp_path))
    assert ended.stdout == "openai/gpt-one,openai/gpt-two\n", ended.stderr
    ended = python(code, OPENAI_API_KEY="sk-x", SYNTRA_MODELS="gpt-one", SYNTRA_DATA_DIR=str(tmp_path))
    assert "ConfigError: SYNTRA_MODELS" in ended.stderr


class Embeddings(BaseHTTPRequestHandler):
    """A server that speaks OpenAI's embeddings, along the axis of the first known word."""

    asked: ClassVar[list[tuple[dict[str, str], dict[str, Any]]]] = []

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((dict(self.headers), body))
        vectors = [[float("cat" in text), float("dog" in text), 0.1] for text in body["input"]]
        reply = json.dumps({"data": [{"index": n, "embedding": v} for n, v in enumerate(vectors)]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: Any) -> None: ...


def test_a_server_of_embeddings() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Embeddings) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base_url = f"http://127.0.0.1:{server.server_port}/v1"
        config = syntra.EmbedderConfig("own", api_key="sk-secret", base_url=base_url, model="axes", query_prefix="q: ", cache_bytes=1 << 20)
        assert "sk-secret" not in repr(config)
        with Syntra(embedder=config) as client:
            assert client.health().embedder == "own/axes@3", "the server said how many dimensions"
            client.remember(ME, ["the dog barks", "the cat sleeps"])
            assert client.recall(ME, "a cat").memories[0].text == "the cat sleeps"
            many = len(Embeddings.asked)
            client.recall(ME, "a cat")
            assert len(Embeddings.asked) == many, "kept vectors are given again"
        headers, body = Embeddings.asked[-1]
        assert headers["authorization"] == "Bearer sk-secret"
        assert (body["model"], body["input"]) == ("axes", ["q: a cat"])
        server.shutdown()
    for wrong, words in [({"name": "own"}, "base_url"), ({"name": "openai", "model": "x"}, "dimensions"), ({"name": "static"}, "file")]:
        with pytest.raises(syntra.ConfigError, match=words):
            Syntra(embedder=syntra.EmbedderConfig(**wrong))
    with pytest.raises(syntra.StorageError, match="nowhere"):
        Syntra(embedder=syntra.EmbedderConfig("static", file="nowhere.bin"))
