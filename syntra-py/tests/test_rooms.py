"""Routers, rankers, context builders, stores and clocks written in Python, each plain and ``async``."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

import syntra
from syntra import AsyncSyntra, Scope, Syntra

ME = Scope("acme", "ada")
NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)


class Own:
    """Answers with the model's name and keeps what it was asked."""

    def __init__(self, name: str = "mine", models: Sequence[str] = ("small", "large")) -> None:
        self.name, self.models = name, list(models)
        self.requests: list[syntra.Request] = []

    def complete(self, request: syntra.Request) -> str:
        self.requests.append(request)
        return f"{request.model} answers"


# --- router -----------------------------------------------------------------------------------------------------------


class Largest:
    def __init__(self) -> None:
        self.queries: list[syntra.RouteQuery] = []
        self.outcomes: list[syntra.RouteOutcome] = []
        self.heard = threading.Event()

    def plan(self, query: syntra.RouteQuery, fleet: list[syntra.FleetModel]) -> list[syntra.Planned | str]:
        self.queries.append(query)
        assert all(model.available for model in fleet)
        assert all(model.cached_tokens == 0 and model.tokens_per_second is None for model in fleet)
        names = [str(model) for model in fleet]
        assert sorted(names) == ["mine/large", "mine/small"]
        return [syntra.Planned(syntra.Target("mine", "large"), "it is Monday"), "mine/small"]

    def observe(self, outcome: syntra.RouteOutcome) -> None:
        self.outcomes.append(outcome)
        self.heard.set()


class LargestLater(Largest):
    async def plan(self, query: Any, fleet: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return Largest.plan(self, query, fleet)


@pytest.mark.parametrize("router", [Largest, LargestLater])
def test_a_router_chooses_and_hears_how_it_went(router: type[Largest]) -> None:
    mine = router()
    with Syntra(providers=[Own()], router=mine) as client:
        answer = client.ask(ME, "What is a monad?", max_cost_usd=0.5)
        assert answer.text == "large answers"
        plan = answer.trace.plan
        assert plan is not None and [str(p.target) for p in plan.order] == ["mine/large", "mine/small"]
        assert plan.order[0].reason == "it is Monday"
        assert mine.queries[-1].text == "What is a monad?" and mine.queries[-1].organisation == "acme"
        assert mine.queries[-1].max_cost == 500_000_000 and mine.queries[-1].needs.vision is False
        assert mine.heard.wait(20)
        assert (str(mine.outcomes[0].target), mine.outcomes[0].error) == ("mine/large", None)
        client.feedback(ME, answer.turn_id, 0.25)
        until = time.monotonic() + 20
        while not any(o.score for o in mine.outcomes) and time.monotonic() < until:
            time.sleep(0.005)
        [scored] = [o for o in mine.outcomes if o.score is not None]
        assert scored.score == 0.25 and scored.question


def test_what_a_router_raises_is_the_cause_and_a_stranger_is_told() -> None:
    class Broken:
        def plan(self, query: Any, fleet: Any) -> list[str]:
            raise ZeroDivisionError("no luck")

    class Stranger:
        def plan(self, query: Any, fleet: Any) -> list[str]:
            return ["other/model"]

    with Syntra(providers=[Own()], router=Broken()) as client, pytest.raises(syntra.SyntraError) as caught:
        client.ask(ME, "hello")
    assert isinstance(caught.value.__cause__, ZeroDivisionError) and caught.value.__cause__.args == ("no luck",)
    with Syntra(providers=[Own()], router=Stranger()) as client, pytest.raises(syntra.NotFoundError, match="other/model.*mine/"):
        client.plan(ME, "hello")
    with pytest.raises(TypeError, match="plan"):
        Syntra(router=object())  # type: ignore[arg-type]


# --- ranker -----------------------------------------------------------------------------------------------------------


class Newest:
    name = "newest"

    def __init__(self) -> None:
        self.batches: list[int] = []

    def rank(self, query: syntra.RankQuery, candidates: list[syntra.Candidate]) -> list[syntra.Ranked]:
        self.batches.append(len(candidates))
        assert query.text and query.limit
        return [syntra.Ranked(c.id, parts={"age_days": -c.signals["age_days"], "keyword": c.signals.get("keyword", 0) / 1e6}) for c in candidates]


class NewestLater(Newest):
    async def rank(self, query: Any, candidates: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return Newest.rank(self, query, candidates)


@pytest.mark.parametrize("ranker", [Newest, NewestLater])
def test_a_ranker_gets_all_candidates_at_once_and_orders_them(ranker: type[Newest]) -> None:
    mine = ranker()
    with Syntra(ranker=mine) as client:
        for days, text in [(30, "The cat sat in May."), (1, "The cat sat in June."), (9, "The cat sat on the mat.")]:
            client.remember(ME, text, said_at=datetime.now(timezone.utc) - timedelta(days=days))
        found = client.recall(ME, "the cat sat")
        assert [m.text for m in found.memories] == ["The cat sat in June.", "The cat sat on the mat.", "The cat sat in May."]
        assert mine.batches == [3], "one call"
        assert set(found.items[0].parts) == {"age_days", "keyword"}
        assert abs(sum(found.items[0].parts.values()) - found.items[0].score) < 1e-5


def test_a_ranker_may_give_scores_alone_and_what_it_makes_up_is_refused() -> None:
    class Backwards:
        def rank(self, query: Any, candidates: list[syntra.Candidate]) -> list[tuple[str, float]]:
            return [(c.id, float(n)) for n, c in enumerate(sorted(candidates, key=lambda c: c.id))][-1:]

    class Inventive:
        def rank(self, query: Any, candidates: Any) -> list[tuple[str, float]]:
            return [("nothing of the kind", 1.0)]

    class Broken:
        def rank(self, query: Any, candidates: Any) -> Any:
            raise LookupError("lost")

    for ranker, error in [(Inventive(), syntra.DecodeError), (Broken(), syntra.SyntraError)]:
        with Syntra(ranker=ranker) as client:
            client.remember(ME, ["one fish", "two fish"])
            with pytest.raises(error) as caught:
                client.recall(ME, "fish")
    assert isinstance(caught.value.__cause__, LookupError)
    with Syntra(ranker=Backwards()) as client:
        ids = [r.id for r in client.remember(ME, ["one fish", "two fish"])]
        assert [m.id for m in client.recall(ME, "fish").memories] == [max(ids)]


def test_an_older_ranker_by_name() -> None:
    parts = []
    for settings in ({"ranker": "classic"}, {}):
        with Syntra(**settings) as client:  # type: ignore[arg-type]
            client.remember(ME, ["one fish", "two fish"])
            parts.append(set(client.recall(ME, "two fish").items[0].parts))
    assert parts[0] <= {"keyword", "vector", "reliability", "age_days", "access_count", "topic", "entity"} != parts[1]
    assert "reliability" in parts[0] and not parts[0] >= parts[1]
    with pytest.raises(syntra.ConfigError, match="classic_fixed"):
        Syntra(ranker="modern")  # type: ignore[arg-type]


def test_weights_for_the_default_ranker() -> None:
    kinds = ["people", "assistant", "documents", "statements", "code"]
    with Syntra(ranker={kind: {"keyword": 0.0, "vector": 1.0} for kind in kinds}) as client:
        client.remember(ME, ["one fish", "two fish", "a red boat"])
        parts = client.recall(ME, "two fish").items[0].parts
        assert not parts.get("keyword") and parts["vector"] > 0
    for wrong, name in (({"poeple": {}}, "people"), ({"people": {"lenght": 1.0}}, "length")):
        with pytest.raises(syntra.ConfigError, match=name):
            Syntra(ranker=wrong)


# --- reranker ---------------------------------------------------------------------------------------------------------


class LikesDogs:
    name = "likes dogs"
    depth = 5
    weight = 3.0

    def __init__(self) -> None:
        self.read: list[list[str]] = []

    def rerank(self, question: str, texts: list[str]) -> list[float]:
        assert question == "the cat sat"
        self.read.append(texts)
        return [float("dog" in text) for text in texts]


class LikesDogsLater(LikesDogs):
    async def rerank(self, question: str, texts: list[str]) -> list[float]:  # type: ignore[override]
        await asyncio.sleep(0)
        return LikesDogs.rerank(self, question, texts)


@pytest.mark.parametrize("reranker", [LikesDogs, LikesDogsLater])
def test_a_reranker_reads_the_best_again(reranker: type[LikesDogs]) -> None:
    mine = reranker()
    with Syntra(reranker=mine) as client:
        client.remember(ME, ["The cat sat on the mat.", "The cat and the dog."])
        found = client.recall(ME, "the cat sat", limit=1)
        assert [m.text for m in found.memories] == ["The cat and the dog."]
        assert found.items[0].parts["rerank"] == 3
        assert found.rerank is not None and (found.rerank.name, found.rerank.read, found.rerank.error) == ("likes dogs", 2, None)
        assert [len(texts) for texts in mine.read] == [2], "one call, with more than are wanted"


def test_a_reranker_that_fails_leaves_the_ranking_and_is_told() -> None:
    class Broken:
        def rerank(self, question: str, texts: list[str]) -> list[float]:
            raise LookupError("lost")

    with Syntra(reranker=Broken()) as client:
        client.remember(ME, ["The cat sat on the mat.", "The cat and the dog."])
        found = client.recall(ME, "the cat sat")
        assert found.memories[0].text == "The cat sat on the mat."
        assert found.rerank is not None and found.rerank.error is not None and found.rerank.read == 0
    with pytest.raises(TypeError, match="rerank"):
        Syntra(reranker=object())  # type: ignore[arg-type]


# --- context builder --------------------------------------------------------------------------------------------------


class Terse:
    def __init__(self) -> None:
        self.inputs: list[syntra.ContextInput] = []

    def build(self, given: syntra.ContextInput) -> syntra.BuiltContext:
        self.inputs.append(given)
        known = [m for m in given.memories if m.tokens < 50][:1]
        text = "\n".join(f"[{n}] {m.memory.text}" for n, m in enumerate(known, 1))
        lines = [syntra.ContextLine("semantic", m.tokens, label=n, memory_id=m.memory.id) for n, m in enumerate(known, 1)]
        dropped = [syntra.Dropped("semantic", m.tokens, "one is enough", memory_id=m.memory.id) for m in given.memories[1:]]
        return syntra.BuiltContext([syntra.Message.system(text), given.current], lines, dropped)


class TerseLater(Terse):
    async def build(self, given: Any) -> Any:  # type: ignore[override]
        await asyncio.sleep(0)
        return Terse.build(self, given)


@pytest.mark.parametrize("builder", [Terse, TerseLater])
def test_a_context_builder_says_what_is_sent(builder: type[Terse]) -> None:
    mine, provider = builder(), Own(models=["m1"])
    with Syntra(providers=[provider], context_builder=mine) as client:
        client.remember(ME, ["The ferry leaves at six.", "The ferry is blue."])
        answer = client.ask(ME, "When does the ferry leave?")
        sent = provider.requests[-1].messages
        assert [m.role for m in sent] == ["system", "user"] and sent[0].text == "[1] The ferry leaves at six."
        given = mine.inputs[-1]
        assert given.now.tzinfo is not None and given.current_tokens > 0 and len(given.memories) == 2 and given.budget.total
        assert [line.label for line in answer.trace.context] == [1]
        assert answer.trace.dropped[0].reason == "one is enough"
        assert answer.trace.prompt_tokens > 10


def test_a_context_builder_is_held_to_the_window() -> None:
    class Verbose:
        def build(self, given: syntra.ContextInput) -> list[syntra.Message]:
            return [syntra.Message.system("word " * 500), given.current]

    class Empty:
        def build(self, given: syntra.ContextInput) -> list[syntra.Message]:
            return []

    with Syntra(providers=[Own()], context_builder=Verbose(), budget=syntra.Budget(window=100)) as client:
        with pytest.raises(syntra.ContextTooLongError, match="window of 100"):
            client.ask(ME, "hello")
    with Syntra(providers=[Own()], context_builder=Empty()) as client, pytest.raises(syntra.DecodeError, match="no message"):
        client.ask(ME, "hello")


# --- stores -----------------------------------------------------------------------------------------------------------


class Memories:
    """A memory store in a dictionary that finds by shared words and by the vectors' dot product."""

    def __init__(self) -> None:
        self.rows: dict[Scope, dict[str, syntra.Memory]] = {}
        self.vectors: dict[str, list[float]] = {}
        self.ids = itertools.count(1)
        self.touched: list[str] = []

    def _add(self, scope: Scope, item: syntra.NewMemory) -> syntra.Remembered:
        rows = self.rows.setdefault(scope, {})
        for row in rows.values():
            if row.text == item.text and row.valid_to is None:
                return syntra.Remembered(row.id, "duplicate")
        id = item.id or f"m{next(self.ids)}"
        said_at = item.said_at or NOON
        rows[id] = syntra.Memory(
            id, item.kind, item.text, said_at, NOON, said_at, speaker=item.speaker, role=item.role, metadata=dict(item.metadata or {}),
            conversation=item.conversation, title=item.title, source=item.source, reliability=item.reliability,
        )
        assert item.vector is not None, "the embedder's vector comes with it"
        self.vectors[id] = list(item.vector)
        return syntra.Remembered(id, "created")

    def remember(self, scope: Scope, items: list[syntra.NewMemory]) -> list[syntra.Remembered]:
        return [self._add(scope, item) for item in items]

    def recall(self, scope: Scope, strategy: syntra.Strategy, query: syntra.SearchQuery) -> list[Any]:
        rows = [row for row in self.rows.get(scope, {}).values() if row.valid_to is None]
        if strategy == "vector" and query.vector is not None:
            scored = [(row.id, sum(a * b for a, b in zip(query.vector, self.vectors[row.id]))) for row in rows]
        elif strategy == "keyword":
            words = set(query.text.lower().strip("?").split())
            scored = [(row.id, float(len(words & set(row.text.lower().strip(".").split())))) for row in rows]
        else:
            return [row.id for row in rows][: query.limit]
        return sorted((pair for pair in scored if pair[1] > 0), key=lambda pair: -pair[1])[: query.limit]

    def get(self, scope: Scope, ids: list[str]) -> list[syntra.Memory]:
        rows = self.rows.get(scope, {})
        return [rows[id] for id in ids if id in rows]

    def update(self, scope: Scope, id: str, patch: syntra.MemoryPatch) -> syntra.Memory:
        import dataclasses

        rows = self.rows.get(scope, {})
        if id not in rows:
            raise syntra.NotFoundError(f"there is no memory {id!r}")
        rows[id] = dataclasses.replace(rows[id], text=patch.text or rows[id].text, title=patch.title or rows[id].title)
        if patch.vector is not None:
            self.vectors[id] = patch.vector
        return rows[id]

    def supersede(self, scope: Scope, old: str, new: syntra.NewMemory) -> syntra.Remembered:
        import dataclasses

        made = self._add(scope, new)
        self.rows[scope][old] = dataclasses.replace(self.rows[scope][old], valid_to=NOON, superseded_by=made.id)
        return made

    def replaced(self, scope: Scope, ids: list[str], since: datetime, until: datetime) -> list[tuple[str, syntra.Memory]]:
        assert (since.month, until.month) == (5, 6) and since.tzinfo is not None
        rows = self.rows.get(scope, {}).values()
        return [(row.superseded_by, row) for row in rows if row.superseded_by in ids and row.superseded_by is not None]

    def forget(self, scope: Scope, ids: list[str]) -> int:
        return sum(self.rows.get(scope, {}).pop(id, None) is not None for id in ids)

    def touch(self, scope: Scope, ids: list[str], at: datetime) -> None:
        assert at.tzinfo is not None
        self.touched += ids

    def list(self, scope: Scope, filter: syntra.MemoryFilter, offset: int, limit: int) -> Sequence[syntra.Memory]:
        rows = [r for r in self.rows.get(scope, {}).values() if not filter.kinds or r.kind in filter.kinds]
        return rows[offset : offset + limit]

    def stats(self, scope: Scope) -> syntra.MemoryStats:
        rows = self.rows.get(scope, {}).values()
        kinds: dict[str, int] = {}
        for row in rows:
            kinds[row.kind] = kinds.get(row.kind, 0) + 1
        return syntra.MemoryStats(by_type=kinds, total=len(rows), superseded=0, with_vector=len(rows), with_other_vector=0)

    def erase(self, scope: Scope) -> syntra.Erased:
        return syntra.Erased(memories=len(self.rows.pop(scope, {})), vectors=0, messages=0)


def later(cls: type[Any]) -> type[Any]:
    """The same class with every public method ``async``."""

    def wrap(method: Any) -> Any:
        async def call(self: Any, *args: Any) -> Any:
            await asyncio.sleep(0)
            return method(self, *args)

        return call

    methods = {name: wrap(getattr(cls, name)) for name in vars(cls) if not name.startswith("_")}
    return type(f"{cls.__name__}Later", (cls,), methods)


@pytest.mark.parametrize("made", [Memories, later(Memories)])
def test_a_memory_store_of_ones_own(made: type[Memories]) -> None:
    store = made()
    with Syntra(memory_store=store) as client:
        first, again = client.remember(ME, ["The spare key is under the blue pot.", "The spare key is under the blue pot."])
        assert (first.outcome, again.outcome, again.id) == ("created", "duplicate", first.id)
        [bridge] = client.remember(ME, "The bridge opens at noon.", kind="episodic", speaker="Ada", metadata={"k": [1]})
        found = client.recall(ME, "where is the spare key?")
        assert found.memories[0].text.endswith("blue pot.") and {"vector", "keyword"} <= set(found.items[0].found_by)
        assert "blue pot" in client.ask(ME, "Where is the spare key?").text
        assert store.touched, "a use is counted"
        memory = client.memories(ME, bridge.id)[0]
        assert (memory.kind, memory.speaker, memory.metadata) == ("episodic", "Ada", {"k": [1]})
        assert client.update_memory(ME, bridge.id, title="Bridge").title == "Bridge"
        assert client.supersede(ME, first.id, "The spare key is in the drawer.").outcome == "created"
        assert client.memories(ME, first.id)[0].superseded_by
        then = client.recall(ME, "Where was the spare key in May 2020?", now=NOON)
        assert any(memory.id == first.id and memory.valid_to == NOON for memory in then.memories)
        assert [memory.id for memory in client.memories_as_of(ME, NOON)] == [bridge.id, client.memories(ME, first.id)[0].superseded_by]
        assert client.memory_stats(ME).by_type["episodic"] >= 1
        assert len(client.list_memories(ME, limit=1)) == 1
        assert client.memory_stats(Scope("acme", "bob")).total == 0
        with pytest.raises(syntra.NotFoundError, match="nowhere"):
            client.update_memory(ME, "nowhere", title="x")
        assert client.forget(ME, bridge.id) == 1
        assert client.erase(ME).memories > 0 and not store.rows


class Threads:
    def __init__(self) -> None:
        self.rows: dict[tuple[Scope, str], tuple[syntra.Thread, list[syntra.ThreadMessage]]] = {}
        self.ids = itertools.count(1)

    def _row(self, scope: Scope, id: str) -> tuple[syntra.Thread, list[syntra.ThreadMessage]]:
        if (scope, id) not in self.rows:
            raise syntra.NotFoundError(f"there is no thread {id!r}")
        return self.rows[scope, id]

    def create(self, scope: Scope, id: str | None, title: str | None) -> syntra.Thread:
        id = id or f"t{next(self.ids)}"
        return self.rows.setdefault((scope, id), (syntra.Thread(id, NOON, NOON, 0, title), []))[0]

    def read(self, scope: Scope, id: str) -> syntra.Thread:
        return self._row(scope, id)[0]

    def list(self, scope: Scope, offset: int, limit: int) -> Sequence[syntra.Thread]:
        return [thread for (owner, _), (thread, _) in self.rows.items() if owner == scope][offset : offset + limit]

    def delete(self, scope: Scope, id: str) -> bool:
        return self.rows.pop((scope, id), None) is not None

    def append(self, scope: Scope, id: str, messages: Any) -> Sequence[syntra.ThreadMessage]:
        thread, rows = self._row(scope, id)
        new = [
            syntra.ThreadMessage(m.id or f"x{next(self.ids)}", len(rows) + n, m.message, NOON, m.metadata) for n, m in enumerate(messages)
        ]
        rows += new
        self.rows[scope, id] = (syntra.Thread(thread.id, NOON, NOON, len(rows), thread.title), rows)
        return new

    def history(self, scope: Scope, id: str, limit: int, before: int | None) -> Sequence[syntra.ThreadMessage]:
        rows = [m for m in self._row(scope, id)[1] if before is None or m.place < before]
        return rows[-limit:] if limit else []

    def erase(self, scope: Scope) -> int:
        gone = [key for key in self.rows if key[0] == scope]
        return sum(len(self.rows.pop(key)[1]) for key in gone)


@pytest.mark.parametrize("made", [Threads, later(Threads)])
def test_a_thread_store_of_ones_own(made: type[Threads]) -> None:
    store, provider = made(), Own(models=["m1"])
    with Syntra(providers=[provider], thread_store=store) as client:
        thread = client.create_thread(ME, title="Trip").id
        client.ask(ME, "My name is Ada.", thread=thread)
        client.ask(ME, "What is my name?", thread=thread)
        assert [m.message.role for m in client.history(ME, thread)] == ["user", "assistant"] * 2
        assert "My name is Ada." in [m.text for m in provider.requests[-1].messages]
        assert client.thread(ME, thread).messages == 4 and client.threads(ME)[0].title == "Trip"
        assert [m.place for m in client.append(ME, thread, syntra.Message.user("noted"))] == [4]
        client.ask(ME, "hello", thread="made on the way")
        assert client.thread(ME, "made on the way").messages == 2
        with pytest.raises(syntra.NotFoundError):
            client.thread(Scope("acme", "bob"), thread)
        assert client.delete_thread(ME, thread) is True
        client.erase(ME)
        assert not store.rows


def test_a_store_that_fails_says_how() -> None:
    class Down(Memories):
        def remember(self, scope: Scope, items: Any) -> Any:
            raise OSError("the disk is gone")

    with Syntra(memory_store=Down()) as client, pytest.raises(syntra.StorageError, match="the disk is gone") as caught:
        client.remember(ME, "x")
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(TypeError, match="recall|remember"):
        Syntra(memory_store=object())  # type: ignore[arg-type]


# --- clock ------------------------------------------------------------------------------------------------------------


class Hands:
    def __init__(self) -> None:
        self.time, self.seconds = NOON, 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.seconds


class HandsLater(Hands):
    async def now(self) -> datetime:  # type: ignore[override]
        return self.time


@pytest.mark.parametrize("clock", [Hands, HandsLater])
def test_a_clock_of_ones_own(clock: type[Hands]) -> None:
    hands = clock()
    failing = True

    class Flaky(Own):
        def complete(self, request: syntra.Request) -> str:
            if failing:
                raise syntra.OverloadedError("busy")
            return "back"

    breaker = syntra.Breaker(failures=1, cool_down=600)
    with Syntra(providers=[Flaky(models=["m1"])], clock=hands, breaker=breaker, retry_policy=syntra.RetryPolicy(max_attempts=1)) as client:
        [one] = client.remember(ME, "We met today.", kind="episodic")
        assert client.memories(ME, one.id)[0].created_at == NOON
        hands.time += timedelta(days=1)
        [two] = client.remember(ME, "We met again.", kind="episodic")
        assert client.memories(ME, two.id)[0].created_at == NOON + timedelta(days=1)
        assert client.recall(ME, "Whom did I meet yesterday?").analysis.time is not None
        assert client.ask(ME, "hello").degraded
        assert client.health().models[0].keys[0].breaker == "open"
        failing, hands.seconds = False, hands.seconds + 601
        assert client.ask(ME, "hello").text == "back", "the cool-down is over by the clock"

    class Stopped:
        def now(self) -> datetime:
            raise RuntimeError("no hands")

    with pytest.raises(syntra.SyntraError, match="no hands"):
        Syntra(clock=Stopped())


# --- catalogue --------------------------------------------------------------------------------------------------------


def test_rows_of_a_catalogue(tmp_path: Any) -> None:
    rows = [{"provider": "mine", "model": "m1", "context_window": 4321, "price": {"input": 1000, "output": 2000}}]
    import json

    (tmp_path / "rows.json").write_text(json.dumps({"header": {"schema": 1}, "models": rows}))
    for catalogue in (rows, tmp_path / "rows.json"):
        with Syntra(providers=[Own(models=["m1"])], catalogue=catalogue) as client:
            assert client.plan(ME, "hello").candidates[0].context_window == 4321
    with pytest.raises(syntra.ConfigError, match="nowhere.json"):
        Syntra(catalogue=tmp_path / "nowhere.json")
    with pytest.raises(syntra.SyntraError, match="catalogue"):
        Syntra(catalogue=[{"model": "no provider"}])


# --- all of them, many at once ----------------------------------------------------------------------------------------


def test_rooms_wait_beside_each_other_and_the_loop_goes_on() -> None:
    class Patient:
        def __init__(self) -> None:
            self.inside, self.most = 0, 0

        async def plan(self, query: Any, fleet: Any) -> list[str]:
            self.inside += 1
            self.most = max(self.most, self.inside)
            while self.most < 50 and self.inside:  # passes only when fifty wait at once
                await asyncio.sleep(0.001)
            self.inside -= 1
            return ["mine/large"]

    router = Patient()

    async def main() -> None:
        async with AsyncSyntra(providers=[Own()], router=router, ranker=NewestLater(), memory_store=later(Memories)()) as client:
            asks = [client.ask(ME, f"question {n}", remember=False) for n in range(50)]
            texts = {answer.text for answer in await asyncio.wait_for(asyncio.gather(*asks), 60)}
            assert texts == {"large answers"}

    asyncio.run(main())
