"""A LangChain chat model and retriever over Syntra. Needs the package ``langchain-core``.

>>> from syntra import Scope, Syntra
>>> from syntra.langchain import ChatSyntra, SyntraRetriever
>>> assistant, me = Syntra(), Scope.local()  # doctest: +SKIP
>>> ChatSyntra(client=assistant, scope=me).invoke("Hello!")  # doctest: +SKIP
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

try:
    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        AsyncCallbackManagerForRetrieverRun,
        CallbackManagerForLLMRun,
        CallbackManagerForRetrieverRun,
    )
    from langchain_core.documents import Document
    from langchain_core.language_models import LanguageModelInput
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_openai_messages
    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import tool_call, tool_call_chunk
    from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool
    from langchain_core.utils.function_calling import convert_to_openai_tool
except ImportError as missing:
    raise ImportError('syntra.langchain needs the package "langchain-core": pip install langchain-core') from missing

from ._async import AsyncSyntra
from ._chat_shape import ask_options, conversation, pinned
from ._sync import Syntra
from ._types import Answer, DoneEvent, Event, RecalledMemory, Scope, Target, TextEvent, ToolCallEvent, Usage

#: What a client of the other kind is asked for.
_NEEDS = "this {} has an {}: give it a {} to be called so"


def _usage(usage: Usage) -> UsageMetadata | None:
    if usage.total_tokens is None:
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens or 0, output_tokens=usage.output_tokens or 0, total_tokens=usage.total_tokens
    )


def _about(answered: Answer | DoneEvent) -> dict[str, Any]:
    about: dict[str, Any] = {"turn_id": answered.turn_id, "thread_id": answered.thread_id, "degraded": answered.degraded}
    about |= {"model_provider": answered.provider, "model_name": answered.model, "cost_nano_usd": answered.cost}
    return about


class ChatSyntra(BaseChatModel):
    """A chat model that routes, remembers and survives failures: a :class:`syntra.Syntra` (or, for ``await``, a
    :class:`syntra.AsyncSyntra`) on behalf of ``scope``.

    The conversation is the caller's, as LangChain has it; with a ``thread`` Syntra keeps it and only the last message counts.
    """

    client: Any
    scope: Any
    #: ``provider/model``, a model's bare name, or ``None`` to leave it to the router.
    model: str | None = None
    thread: str | None = None
    #: Options of :meth:`syntra.Syntra.ask` for every call.
    options: dict[str, Any] = {}

    @property
    def _llm_type(self) -> str:
        return "syntra"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model": self.model, "thread": self.thread}

    def _asked(
        self, messages: list[BaseMessage], stop: list[str] | None, given: dict[str, Any], known: list[Target]
    ) -> tuple[Any, dict[str, Any]]:
        asked = conversation(convert_to_openai_messages(messages))
        options: dict[str, Any] = {**self.options, **ask_options({"stop": stop, **given})}
        thread = options.setdefault("thread", self.thread)
        if thread is None:
            options["history"] = asked.history
        options["model"] = pinned(given.get("model", self.model), known)
        both = [text for text in (self.options.get("instructions"), asked.instructions) if text]
        options["instructions"] = "\n\n".join(both) or None
        options.pop("extra", None) if options.get("extra") == {} else None
        return asked.question, options

    def _plain(self) -> Syntra:
        if not isinstance(self.client, Syntra):
            raise TypeError(_NEEDS.format("ChatSyntra", "AsyncSyntra", "Syntra"))
        return self.client

    def _generate(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> ChatResult:
        client = self._plain()
        question, options = self._asked(messages, stop, kwargs, client.models())
        return _result(client.ask(self.scope, question, **options))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        if not isinstance(self.client, AsyncSyntra):
            return await super()._agenerate(messages, stop, run_manager, **kwargs)
        question, options = self._asked(messages, stop, kwargs, await self.client.models())
        return _result(await self.client.ask(self.scope, question, **options))

    def _stream(
        self, messages: list[BaseMessage], stop: list[str] | None = None, run_manager: CallbackManagerForLLMRun | None = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        client = self._plain()
        question, options = self._asked(messages, stop, kwargs, client.models())
        with client.stream(self.scope, question, **options) as stream:
            for event in stream:
                chunk = _chunk(event)
                if chunk is not None:
                    if run_manager is not None:
                        run_manager.on_llm_new_token(str(chunk.text), chunk=chunk)
                    yield chunk

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        if not isinstance(self.client, AsyncSyntra):
            async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                yield chunk
            return
        question, options = self._asked(messages, stop, kwargs, await self.client.models())
        async with self.client.stream(self.scope, question, **options) as stream:
            async for event in stream:
                made = _chunk(event)
                if made is not None:
                    if run_manager is not None:
                        await run_manager.on_llm_new_token(str(made.text), chunk=made)
                    yield made

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """The model with ``tools`` that it may call; ``tool_choice`` is a tool's name, ``auto``, ``none`` or ``any``."""
        made = [convert_to_openai_tool(tool) for tool in tools]
        named = tool_choice is not None and tool_choice not in ("auto", "none", "any", "required")
        choice: Any = {"type": "function", "function": {"name": tool_choice}} if named else tool_choice
        return self.bind(tools=made, tool_choice=choice, **kwargs)


def _result(answer: Answer) -> ChatResult:
    message = AIMessage(
        content=answer.text,
        id=answer.message_id,
        tool_calls=[tool_call(name=call.name, args=call.arguments, id=call.id) for call in answer.tool_calls],
        usage_metadata=_usage(answer.usage),
        response_metadata={**_about(answer), "finish_reason": answer.finish},
        additional_kwargs={"citations": [citation.url for citation in answer.citations]} if answer.citations else {},
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _chunk(event: Event) -> ChatGenerationChunk | None:
    message: AIMessageChunk
    if isinstance(event, TextEvent):
        message = AIMessageChunk(content=event.text)
    elif isinstance(event, ToolCallEvent):
        made = tool_call_chunk(name=event.name, args=json.dumps(event.arguments), id=event.id, index=None)
        message = AIMessageChunk(content="", tool_call_chunks=[made])
    elif isinstance(event, DoneEvent):
        message = AIMessageChunk(content="", usage_metadata=_usage(event.usage), response_metadata=_about(event))
        message.chunk_position = "last"
    else:
        return None
    return ChatGenerationChunk(message=message)


def _document(item: RecalledMemory) -> Document:
    memory = item.memory
    about: dict[str, Any] = {**memory.metadata, "kind": memory.kind, "score": item.score, "said_at": memory.said_at.isoformat()}
    if memory.source is not None:
        about |= {"source": memory.source.document, "line_from": memory.source.line_from, "line_to": memory.source.line_to}
    return Document(page_content=memory.text, id=memory.id, metadata={k: v for k, v in about.items() if v is not None})


class SyntraRetriever(BaseRetriever):
    """What Syntra's memory has on a question, documents that were indexed among it, best first."""

    client: Any
    scope: Any
    #: How many at the most.
    limit: int = 10
    #: Further arguments of :meth:`syntra.Syntra.recall`.
    options: dict[str, Any] = {}

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        if not isinstance(self.client, Syntra):
            raise TypeError(_NEEDS.format("SyntraRetriever", "AsyncSyntra", "Syntra"))
        scope: Scope = self.scope
        return [_document(item) for item in self.client.recall(scope, query, limit=self.limit, **self.options).items]

    async def _aget_relevant_documents(self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun) -> list[Document]:
        if not isinstance(self.client, AsyncSyntra):
            return await super()._aget_relevant_documents(query, run_manager=run_manager)
        found = await self.client.recall(self.scope, query, limit=self.limit, **self.options)
        return [_document(item) for item in found.items]
