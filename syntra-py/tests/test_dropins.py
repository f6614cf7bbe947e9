"""Other packages' interfaces over Syntra, with the packages themselves. Each test is left out where its package is not installed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import syntra
from syntra import AsyncSyntra, Request, Scope, Syntra

ME = Scope("acme", "ada")
TOOL = {
    "type": "function",
    "function": {"name": "find", "description": "Finds", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}},
}


class Model:
    """Answers with what it was asked; calls the first tool where it has one, until it was answered."""

    name, models = "mine", ["m1", "m2"]

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def stream(self, request: Request) -> Iterator[Any]:
        self.requests.append(request)
        last = request.messages[-1]
        if "fail" in last.text:
            raise syntra.RateLimitError("slow down", retry_after=0.01)
        if request.tools and last.role == "user":
            yield syntra.ToolCallEvent("c1", request.tools[0].name, {"q": last.text})
        else:
            heard = last.text or "".join(part.content for part in last.parts if isinstance(part, syntra.ToolResult))
            yield from (request.model, " heard ", heard)
        yield syntra.UsageEvent(input_tokens=7, output_tokens=3)


def conversation_of(model: Model) -> list[tuple[str, str]]:
    return [(m.role, m.text) for m in model.requests[-1].messages[1:]]


# --- openai -----------------------------------------------------------------------------------------------------------


def test_openai_client() -> None:
    openai = pytest.importorskip("openai")
    from syntra.openai import OpenAI

    model = Model()
    with Syntra(providers=[model], retry_policy=syntra.RetryPolicy(max_attempts=1), extractive_fallback=False) as assistant:
        client = OpenAI(assistant, ME, remember=False)
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "My name is Ada."},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": [{"type": "text", "text": "Who am I?"}]},
        ]
        answer = client.chat.completions.create(model="m2", messages=messages, temperature=0.5, max_tokens=50, stop="x")
        assert isinstance(answer, openai.types.chat.ChatCompletion)
        assert answer.choices[0].message.content == "m2 heard Who am I?" and answer.choices[0].finish_reason == "stop"
        assert (answer.model, answer.usage.total_tokens) == ("mine/m2", 10)
        assert conversation_of(model) == [("user", "My name is Ada."), ("assistant", "Hello."), ("user", "Who am I?")]
        sent = model.requests[-1]
        assert "Be brief." in sent.messages[0].text
        assert (sent.temperature, sent.max_tokens, list(sent.stop)) == (0.5, 50, ["x"])
        assert assistant.threads(ME) == [], "the caller keeps the conversation"

        called = client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "the key"}], tools=[TOOL])
        call = called.choices[0].message.tool_calls[0]
        assert (called.choices[0].finish_reason, call.function.name, call.function.arguments) == ("tool_calls", "find", '{"q": "the key"}')
        history = [
            {"role": "user", "content": "the key"},
            called.choices[0].message.model_dump(exclude_none=True),
            {"role": "tool", "tool_call_id": call.id, "content": "under the pot"},
        ]
        assert client.chat.completions.create(messages=history, tools=[TOOL]).choices[0].message.content.endswith("heard under the pot")

        with client.chat.completions.create(messages=messages, stream=True, stream_options={"include_usage": True}) as stream:
            chunks = list(stream)
        assert all(isinstance(chunk, openai.types.chat.ChatCompletionChunk) for chunk in chunks)
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices).endswith("heard Who am I?")
        assert chunks[0].choices[0].delta.role == "assistant" and chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].usage.completion_tokens == 3

        with pytest.raises(openai.RateLimitError, match="slow down") as caught:
            client.chat.completions.create(messages=[{"role": "user", "content": "fail"}])
        assert isinstance(caught.value.__cause__, syntra.RateLimitError) and caught.value.status_code == 429
        with pytest.raises(openai.BadRequestError, match="last message"):
            client.chat.completions.create(messages=[{"role": "assistant", "content": "x"}])
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="nobody/has-it", messages=messages)
        assert len(client.embeddings.create(input=["a key", "a pot"]).data[1].embedding) == 256


def test_async_openai_client() -> None:
    openai = pytest.importorskip("openai")
    from syntra.openai import AsyncOpenAI

    async def main() -> None:
        async with AsyncSyntra(providers=[Model()], retry_policy=syntra.RetryPolicy(max_attempts=1), extractive_fallback=False) as assistant:
            client = AsyncOpenAI(assistant, ME, recall=False, remember=False)
            messages = [{"role": "user", "content": "hello"}]
            answers = await asyncio.gather(*(client.chat.completions.create(model="mine/m1", messages=messages) for _ in range(5)))
            assert {a.choices[0].message.content for a in answers} == {"m1 heard hello"}
            pieces = []
            async with await client.chat.completions.create(model="m1", messages=messages, stream=True) as stream:
                async for chunk in stream:
                    pieces.append(chunk.choices[0].delta.content or "")
            assert "".join(pieces) == "m1 heard hello"
            with pytest.raises(openai.RateLimitError):
                async for _ in await client.chat.completions.create(messages=[{"role": "user", "content": "fail"}], stream=True):
                    pass
            assert (await client.embeddings.create(input="a key")).data[0].embedding

    asyncio.run(main())


# --- langchain --------------------------------------------------------------------------------------------------------


def test_langchain_chat_model() -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
    from langchain_core.output_parsers import StrOutputParser
    from langchain_core.prompts import ChatPromptTemplate
    from langchain_core.tools import tool

    from syntra.langchain import ChatSyntra

    @tool
    def find(q: str) -> str:
        """Finds."""
        return f"{q} is under the pot"

    model = Model()
    with Syntra(providers=[model]) as assistant:
        chat = ChatSyntra(client=assistant, scope=ME, model="m1", options={"remember": False})
        answer = chat.invoke([SystemMessage("Be brief."), HumanMessage("I am Ada."), AIMessage("Hello."), HumanMessage("Who am I?")])
        assert answer.content == "m1 heard Who am I?" and answer.usage_metadata["total_tokens"] == 10
        assert answer.response_metadata["model_name"] == "m1"
        assert conversation_of(model) == [("user", "I am Ada."), ("assistant", "Hello."), ("user", "Who am I?")]
        assert "Be brief." in model.requests[-1].messages[0].text

        chain = ChatPromptTemplate.from_messages([("user", "Tell me of {thing}")]) | chat | StrOutputParser()
        assert chain.invoke({"thing": "keys"}) == "m1 heard Tell me of keys"
        assert "".join(chain.stream({"thing": "keys"})) == "m1 heard Tell me of keys"
        assert [a.content for a in chat.batch(["one", "two"])] == ["m1 heard one", "m1 heard two"]

        with_tools = chat.bind_tools([find])
        asked = with_tools.invoke("the key")
        assert asked.tool_calls[0]["name"] == "find" and asked.tool_calls[0]["args"] == {"q": "the key"}
        result = find.invoke(asked.tool_calls[0])
        assert isinstance(result, ToolMessage)
        assert with_tools.invoke([HumanMessage("the key"), asked, result]).content == "m1 heard the key is under the pot"
        whole: Any = None
        for chunk in with_tools.stream("the key"):
            whole = chunk if whole is None else whole + chunk
        assert whole.tool_calls[0]["args"] == {"q": "the key"} and whole.usage_metadata["output_tokens"] == 3

        threaded = ChatSyntra(client=assistant, scope=ME, thread="t", options={"remember": False})
        threaded.invoke("first")
        threaded.invoke("second")
        assert conversation_of(model)[0][1] == "first", "Syntra keeps this one"


def test_langchain_async() -> None:
    pytest.importorskip("langchain_core")
    from syntra.langchain import ChatSyntra, SyntraRetriever

    async def main() -> None:
        async with AsyncSyntra(providers=[Model()]) as assistant:
            chat = ChatSyntra(client=assistant, scope=ME, model="m1", options={"remember": False})
            assert (await chat.ainvoke("hello")).content == "m1 heard hello"
            assert "".join([str(chunk.text) async for chunk in chat.astream("hello")]) == "m1 heard hello"
            with pytest.raises(TypeError, match="AsyncSyntra"):
                chat.invoke("hello")
            await assistant.remember(ME, "The key is under the pot.")
            found = await SyntraRetriever(client=assistant, scope=ME).ainvoke("where is the key?")
            assert found[0].page_content == "The key is under the pot."

    asyncio.run(main())


def test_langchain_retriever(tmp_path: Any) -> None:
    pytest.importorskip("langchain_core")
    from langchain_core.documents import Document

    from syntra.langchain import SyntraRetriever

    (tmp_path / "house.md").write_text("# House\n\nThe key is under the blue pot.\n")
    with Syntra() as assistant:
        assistant.index_directory(ME, tmp_path)
        assistant.remember(ME, "The cat sleeps.", metadata={"who": "cat"})
        found = SyntraRetriever(client=assistant, scope=ME, limit=1).invoke("where is the key?")
        assert isinstance(found[0], Document) and len(found) == 1
        assert found[0].metadata["source"] == "house.md" and "blue pot" in found[0].page_content


# --- llamaindex -------------------------------------------------------------------------------------------------------


def test_llamaindex_retriever(tmp_path: Any) -> None:
    pytest.importorskip("llama_index.core")
    from llama_index.core.schema import NodeWithScore

    from syntra.llamaindex import SyntraRetriever

    (tmp_path / "house.md").write_text("# House\n\nThe key is under the blue pot.\n")
    with Syntra() as assistant:
        assistant.index_directory(ME, tmp_path)
        found = SyntraRetriever(assistant, ME, limit=3).retrieve("where is the key?")
        assert isinstance(found[0], NodeWithScore) and "blue pot" in found[0].text and found[0].score
        assert found[0].metadata["file_path"] == "house.md"
        assert asyncio.run(SyntraRetriever(assistant, ME).aretrieve("where is the key?"))[0].node_id == found[0].node_id

    async def main() -> None:
        async with AsyncSyntra() as client:
            await client.remember(ME, "The key is under the pot.")
            assert (await SyntraRetriever(client, ME).aretrieve("the key"))[0].text == "The key is under the pot."

    asyncio.run(main())


def test_a_missing_package_is_named() -> None:
    for module, package in [("openai", "openai"), ("langchain", "langchain-core"), ("llamaindex", "llama-index-core")]:
        code = f"""if True:
            import sys
            for name in ("openai", "langchain_core", "llama_index"):
                sys.modules[name] = None
            import syntra
            try:
                import syntra.{module}
            except ImportError as error:
                print(error)
        """
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert f"pip install {package}" in out
