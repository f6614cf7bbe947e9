"""Models in a folder, in a build with the feature `fastembed`; `tests/run.sh` makes one, and brings ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

import syntra
from syntra import EmbedderConfig, RerankerConfig, Scope, Syntra

ME = Scope.local()
MODELS = ROOT / "tests" / "models"
needs_runtime = pytest.mark.skipif("ORT_DYLIB_PATH" not in os.environ, reason="ORT_DYLIB_PATH does not name ONNX Runtime's library")


@needs_runtime
def test_a_sentence_transformer_finds_by_meaning() -> None:
    embedder = EmbedderConfig("fastembed", folder=MODELS / "embedder", threads=1, query_prefix="cat ", cache_bytes=4096)
    with Syntra(embedder=embedder) as client:
        assert client.health().embedder.startswith("fastembed/embedder#")
        cat, both = client.embed(["cat", "Cat dog"])
        assert cat == [1.0, 0.0, 0.0, 0.0] and both == pytest.approx([0.5**0.5, 0.5**0.5, 0.0, 0.0])
        client.remember(ME, ["puppy", "key", "kitten"])
        # The words put before the question turn it towards cats; no word of it is in any of them.
        assert client.recall(ME, "lock").memories[0].text == "kitten"
    with Syntra(embedder=EmbedderConfig("fastembed", folder=str(MODELS / "embedder"), first_token=True, max_tokens=8)) as client:
        assert client.embed(["dog cat"]) == [[0.0, 1.0, 0.0, 0.0]]


@needs_runtime
def test_a_cross_encoder_reads_question_and_text_together() -> None:
    reranker = RerankerConfig("fastembed", folder=MODELS / "reranker", threads=1, depth=2, weight=100.0)
    with Syntra(reranker=reranker) as client:
        client.remember(ME, ["The cat has a key.", "The key key key."])
        found = client.recall(ME, "Where is the cat?")
        assert found.memories[0].text == "The key key key."
        assert found.rerank is not None and found.rerank.name.startswith("fastembed/reranker#") and found.rerank.read == 2
    with pytest.raises(syntra.ConfigError, match="depth"):
        Syntra(reranker=RerankerConfig("fastembed", folder=MODELS / "reranker", depth=0))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"embedder": EmbedderConfig("fastembed")}, "folder"),
        ({"embedder": EmbedderConfig("fastembed", folder=Path("nowhere"))}, "model.onnx"),
        ({"embedder": EmbedderConfig("openai", folder="nowhere")}, "no `folder`"),
        ({"reranker": RerankerConfig("fastembed")}, "folder"),
        ({"reranker": RerankerConfig("other", folder="nowhere")}, "other"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(syntra.ConfigError, match=said):
        Syntra(**settings)
