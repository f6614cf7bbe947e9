"""Ordinary use, for the type checkers: `mypy --strict` must accept it and know the types that it names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from syntra import (
    Answer,
    AsyncSyntra,
    Budget,
    DoneEvent,
    Image,
    Message,
    NewMemory,
    Plan,
    ProviderConfig,
    RateLimitError,
    Recall,
    Remembered,
    Request,
    Scope,
    Syntra,
    TextEvent,
    Thread,
    Tool,
    Trace,
)


class Echo:
    name = "echo"
    models = ["m1"]

    async def stream(self, request: Request) -> AsyncIterator[str]:
        yield request.messages[-1].text


class Letters:
    model = "letters"
    dimensions = 26

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [[float(text.count(chr(97 + n))) + 0.01 for n in range(26)] for text in texts]


def plain(folder: Path) -> float | None:
    me = Scope("acme", "ada")
    openai = ProviderConfig("openai", api_key="sk-x", models=["gpt-4o-mini"])
    with Syntra(folder, providers=[openai, Echo()], embedder=Letters(), budget=Budget(total=2000)) as client:
        written: list[Remembered] = client.remember(me, [NewMemory("x", kind="profile"), "y"])
        found: Recall = client.recall(me, "x", kinds="profile", limit=3)
        thread: Thread = client.create_thread(me, title="t")
        answer: Answer = client.ask(
            me, "hi", thread=thread.id, tools=[Tool("f")], images=[Image(url="https://example.com/x.png")], temperature=0.2
        )
        plan: Plan = client.plan(me, Message.user("hi"))
        trace: Trace | None = client.trace(me, answer.turn_id)
        for event in client.stream(me, "hi"):
            if isinstance(event, TextEvent):
                print(event.text)
            elif isinstance(event, DoneEvent):
                print(event.usage.total_tokens, written[0].id, found.memories[0].said_at.year, plan.intent, trace)
        try:
            client.forget(me, "x")
        except RateLimitError as error:
            return error.retry_after
        return answer.cost_usd


async def with_asyncio() -> str:
    async with AsyncSyntra.from_env(history_messages=10) as client:
        me = Scope.local()
        async with client.stream(me, "hi", max_tokens=10) as stream:
            texts = [text async for text in stream.texts()]
        answer = await client.ask(me, "hi")
        return answer.text + "".join(texts)
