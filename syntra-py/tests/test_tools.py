"""Python functions as tools that the assistant runs."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Literal

import pytest

import syntra
from syntra import AsyncSyntra, FunctionTool, Scope, Syntra, ToolCall, ToolUse

ME = Scope("acme", "ada")


class Caller:
    """Calls ``name`` once with ``arguments`` and then says what came back."""

    name, models = "mine", ["m"]

    def __init__(self, name: str, **arguments: Any) -> None:
        self.call = ToolCall("c1", name, arguments)
        self.requests: list[syntra.Request] = []

    def complete(self, request: syntra.Request) -> syntra.Response | str:
        self.requests.append(request)
        last = request.messages[-1]
        if last.role == "tool":
            return f"It says: {last.parts[0].content}"  # type: ignore[union-attr]
        return syntra.Response(tool_calls=[self.call])


def weather(city: str, days: int = 1, unit: Literal["c", "f"] = "c", tags: list[str] | None = None) -> dict[str, Any]:
    """The weather in a city."""
    return {"city": city, "days": days, "on": threading.current_thread() is threading.main_thread()}


def test_a_plain_function_is_a_tool() -> None:
    caller = Caller("weather", city="Lisbon", days=2)
    with Syntra(providers=[caller], tools=[weather]) as client:
        answer = client.ask(ME, "What is the weather in Lisbon?")
        assert answer.text == 'It says: {"city":"Lisbon","days":2,"on":false}'
        assert [run.name for run in answer.trace.tools] == ["weather"]
        assert answer.tool_calls == []
    tool = caller.requests[0].tools[0]
    assert tool.description == "The weather in a city."
    assert tool.parameters["required"] == ["city"]
    assert tool.parameters["properties"]["unit"] == {"enum": ["c", "f"]}
    assert tool.parameters["properties"]["tags"] == {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]}


def test_an_async_function_runs_on_the_loop_that_asks_and_knows_for_whom() -> None:
    async def run() -> None:
        here = asyncio.get_running_loop()

        async def orders(use: ToolUse, status: str) -> str:
            await asyncio.sleep(0)
            assert asyncio.get_running_loop() is here
            return f"{use.scope.user} has 3 {status} orders"

        async with AsyncSyntra(providers=[Caller("orders", status="open")], tools=[FunctionTool(orders, with_use=True)]) as client:
            answer = await client.ask(ME, "How many orders are open?")
            assert answer.text == "It says: ada has 3 open orders"

    asyncio.run(run())


def test_what_a_tool_raises_the_model_is_told() -> None:
    def broken() -> str:
        raise LookupError("no such city")

    with Syntra(providers=[Caller("broken")], tools=[broken]) as client:
        answer = client.ask(ME, "What is the weather?")
        assert "no such city" in answer.text
        assert "no such city" in (answer.trace.tools[0].error or "")


def test_a_hanging_tool_is_given_up() -> None:
    async def hangs() -> str:
        await asyncio.Event().wait()
        return "never"

    with Syntra(providers=[Caller("hangs")], tools=[FunctionTool(hangs, timeout=0.05)]) as client:
        assert "longer than" in client.ask(ME, "Wait!").text


def test_cancelling_the_call_cancels_the_tool() -> None:
    async def run() -> None:
        begun, ended = asyncio.Event(), asyncio.Event()

        async def hangs() -> str:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return "never"

        async with AsyncSyntra(providers=[Caller("hangs")], tools=[hangs]) as client:
            call = asyncio.ensure_future(client.ask(ME, "Wait!"))
            await begun.wait()
            call.cancel()
            await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(run())


def test_what_is_no_tool_is_refused_by_name() -> None:
    def odd(when: asyncio.Event) -> str:
        return ""

    def many(*names: str) -> str:
        return ""

    for tools, problem in (([odd], "when"), ([many], "names"), ([weather, weather], "weather"), (["weather"], "function")):
        with pytest.raises((TypeError, ValueError), match=problem):
            Syntra(tools=tools)  # type: ignore[arg-type]
    with pytest.raises(syntra.InvalidInputError, match="schema"):
        Syntra(tools=[FunctionTool(weather, parameters={"type": 7})])
