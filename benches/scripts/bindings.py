#!/usr/bin/env python3
"""What a call costs from Python: Syntra, with routing, pacing and accounting on, beside liter-llm against the same local server.

    cargo build --release -p syntra-benches --bin overhead
    python -m venv v && v/bin/pip install ./syntra-py liter-llm
    v/bin/python benches/scripts/bindings.py [--rounds 7] [--calls 300]

The two take turns in one run, round after round; each figure is the CPU of this process (user and system, all of its threads, from
getrusage) over the calls, the median of the rounds. On a shared machine their ratio counts. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import syntra

try:
    import liter_llm
    from liter_llm import _internal_bindings as theirs
except ImportError:
    liter_llm = theirs = None

ROOT = Path(__file__).resolve().parents[2]
EVENTS = 200
ME = syntra.Scope("bench", "bench")
QUESTION = "Where is Lisbon, and what is it known for?"
Call = Callable[[int], Awaitable[Any]]


def server() -> tuple[subprocess.Popen[str], int]:
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = [path for path in target.glob("**/release/overhead") if os.access(path, os.X_OK)]
    if not found:
        sys.exit("build the server first: cargo build --release -p syntra-benches --bin overhead")
    process = subprocess.Popen([found[0], "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def run(call: Call, calls: int, at_once: int) -> float:
    """Microseconds of CPU a call."""
    gc.collect()
    numbers = iter(range(calls))

    async def worker() -> None:
        for n in numbers:
            await call(n)

    begun = cpu()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (cpu() - begun) / calls * 1e6


def our_calls(client: syntra.AsyncSyntra) -> dict[str, Call]:
    # As stateless as theirs: the conversation is the caller's, nothing is recalled, remembered or written to a thread.
    options: dict[str, Any] = {"recall": False, "remember": False, "history": []}

    async def ask(n: int) -> None:
        answer = await client.ask(ME, f"{QUESTION} {n}", **options)
        assert answer.usage.output_tokens == 60 and not answer.degraded

    async def stream(n: int) -> None:
        events = 0
        async for event in client.stream(ME, f"{QUESTION} {n}", **options):
            events += event.type == "text"
        assert events == EVENTS

    return {"call": ask, "stream": stream}


def their_calls(url: str) -> dict[str, Call]:
    client = liter_llm.create_client(api_key="sk-x", base_url=url, max_retries=3)

    def request(n: int) -> Any:
        # What their own conversions end in.
        return theirs.ChatCompletionRequest(model="openai/gpt-4o-mini", messages=[theirs.Message({"role": "user", "content": f"{QUESTION} {n}"})])

    async def ask(n: int) -> None:
        answer = await client.chat(request(n))
        assert answer.usage.completion_tokens == 60

    async def stream(n: int) -> None:
        events = 0
        async for chunk in client.chat_stream(request(n)):
            events += any(choice.delta.content for choice in chunk.choices)
        assert events == EVENTS

    return {"call": ask, "stream": stream}


def imported(module: str, runs: int = 15) -> dict[str, float]:
    """What `import module` takes, beyond the interpreter: median of new processes."""
    code = f"""if True:
        import resource, time
        def memory():
            try:
                with open("/proc/self/status") as lines:
                    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) * 1024
            except OSError:
                return 0
        held = memory()
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.perf_counter()
        import {module}
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_SELF)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(wall * 1e3, cpu * 1e3, (memory() - held) / 1e6)
    """
    rows = []
    for _ in range(runs):
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        rows.append([float(word) for word in out.split()])
    wall, used, memory = (statistics.median(column) for column in zip(*rows))
    return {"wall_ms": round(wall, 1), "cpu_ms": round(used, 1), "memory_mb": round(memory, 1)}


async def measure(rounds: int, calls: int) -> dict[str, Any]:
    process, port = server()
    url = f"http://127.0.0.1:{port}/v1"
    settings: dict[str, Any] = {"pacing": syntra.PaceLimits(requests_per_second=1e6, concurrency=4096)}
    providers = [syntra.ProviderConfig("openai", api_key="sk-x", base_url=url, models=["gpt-4o-mini", "gpt-4o"])]
    async with syntra.AsyncSyntra(providers=providers, **settings) as client:
        layers = {"syntra": our_calls(client)}
        if liter_llm is not None:
            layers["liter-llm"] = their_calls(url)
        taken: dict[tuple[str, int, str], list[float]] = {}
        for round in range(rounds + 1):
            for what, at_once in (("call", 1), ("call", 100), ("stream", 1), ("stream", 100)):
                for name, own in sorted(layers.items(), reverse=bool(round % 2)):
                    n = max(calls // 4, 20) if what == "stream" else calls
                    used = await run(own[what], n, at_once)
                    if round:  # the first warms up
                        taken.setdefault((what, at_once, name), []).append(used)
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    out: dict[str, Any] = {}
    for (what, at_once, name), used in taken.items():
        row = out.setdefault(f"{what} x{at_once}", {})
        row[name] = round_to(statistics.median(used))
        if what == "stream":
            row[f"{name} per event"] = round_to(statistics.median(used) / EVENTS)
    for row in out.values():
        if "liter-llm" in row:
            row["ratio"] = round_to(row["syntra"] / row["liter-llm"])
    return out


def round_to(number: float) -> float:
    return float(f"{number:.3g}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=300)
    given = parser.parse_args()
    figures = asyncio.run(measure(given.rounds, given.calls))
    for name, row in figures.items():
        print(f"{name:12}", "  ".join(f"{key} {value}" for key, value in row.items()), "(us of CPU)")
    figures["import"] = {name: imported(name) for name in ["syntra", *(["liter_llm"] if liter_llm is not None else [])]}
    for name, row in figures["import"].items():
        print(f"import {name:9}", row)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
