"""A LlamaIndex retriever over Syntra's memory. Needs the package ``llama-index-core``.

>>> from syntra import Scope, Syntra
>>> from syntra.llamaindex import SyntraRetriever
>>> SyntraRetriever(Syntra(), Scope.local()).retrieve("Where is the key?")  # doctest: +SKIP
"""

from __future__ import annotations

import asyncio
from typing import Any

try:
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
except ImportError as missing:
    raise ImportError('syntra.llamaindex needs the package "llama-index-core": pip install llama-index-core') from missing

from ._async import AsyncSyntra
from ._sync import Syntra
from ._types import RecalledMemory, Scope


class SyntraRetriever(BaseRetriever):
    """What Syntra's memory has on a question, documents that were indexed among it, best first, at most ``limit``.

    ``options`` are further arguments of :meth:`syntra.Syntra.recall`. With an :class:`syntra.AsyncSyntra` only ``aretrieve`` can be used.
    """

    def __init__(self, client: Syntra | AsyncSyntra, scope: Scope, *, limit: int = 10, **options: Any) -> None:
        self._client, self._scope = client, scope
        self._options: dict[str, Any] = {"limit": limit, **options}
        super().__init__()  # pyright: ignore[reportUnknownMemberType]

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if isinstance(self._client, AsyncSyntra):
            raise TypeError("this SyntraRetriever has an AsyncSyntra: give it a Syntra to be called so, or use aretrieve")
        return [_node(item) for item in self._client.recall(self._scope, query_bundle.query_str, **self._options).items]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if not isinstance(self._client, AsyncSyntra):
            return await asyncio.to_thread(self._retrieve, query_bundle)
        found = await self._client.recall(self._scope, query_bundle.query_str, **self._options)
        return [_node(item) for item in found.items]


def _node(item: RecalledMemory) -> NodeWithScore:
    memory = item.memory
    about: dict[str, Any] = {**memory.metadata, "kind": memory.kind, "said_at": memory.said_at.isoformat()}
    if memory.source is not None:
        about |= {"file_path": memory.source.document, "line_from": memory.source.line_from, "line_to": memory.source.line_to}
    node = TextNode(text=memory.text, id_=memory.id, metadata={k: v for k, v in about.items() if v is not None})
    return NodeWithScore(node=node, score=item.score)
