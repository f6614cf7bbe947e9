"""The package's dataclasses are dataclasses, although their methods are shared and their `__init__` compiled late."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
import typing
from typing import Any

import pytest

import syntra
from syntra import Image, Message, Scope, Syntra, Text, ToolCall, ToolCallEvent, Usage
from syntra._convert import decode
from syntra._options import ask_params


def classes() -> list[Any]:
    named = [getattr(syntra, name) for name in syntra.__all__]
    return [cls for cls in named if isinstance(cls, type) and dataclasses.is_dataclass(cls) and not issubclass(cls, Exception)]


@pytest.mark.parametrize("cls", classes())
def test_each_is_made_compared_shown_copied_and_frozen(cls: Any) -> None:
    fields = dataclasses.fields(cls)
    required = {f.name: f.name for f in fields if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING}
    one, two = cls(**required), cls(**required)
    assert one == two and one != object() and not hasattr(one, "__dict__")
    assert [getattr(one, f.name) for f in fields] == [getattr(two, f.name) for f in fields]
    assert repr(one).startswith(cls.__name__)
    assert pickle.loads(pickle.dumps(one)) == copy.deepcopy(one) == dataclasses.replace(one) == one
    assert cls.__match_args__ == tuple(f.name for f in fields) and cls.__doc__
    if fields:
        with pytest.raises(dataclasses.FrozenInstanceError, match=fields[0].name):
            setattr(one, fields[0].name, 1)
        with pytest.raises(dataclasses.FrozenInstanceError):
            delattr(one, fields[0].name)
    for f in fields:
        if f.default_factory is not dataclasses.MISSING:
            assert getattr(one, f.name) is not getattr(two, f.name), "each has its own"
    with pytest.raises(TypeError, match="nonsense"):
        cls(**required, nonsense=1)
    if required:
        with pytest.raises(TypeError, match="missing"):
            cls()


def test_values() -> None:
    assert {Scope("a", "b"): 1}[Scope("a", "b")] == 1 and Scope("a", "b") != Scope("a", "c")
    assert repr(Scope("a", user="b")) == "Scope(org='a', user='b')"
    call = ToolCallEvent("1", "find", {"q": 1})
    assert isinstance(call, ToolCall) and call != ToolCall("1", "find", {"q": 1}) and call.arguments == {"q": 1}
    assert "data" not in repr(Image(data=b"x", media_type="image/png"))
    assert dataclasses.asdict(Usage(input_tokens=1))["input_tokens"] == 1
    assert dataclasses.replace(Message.user("x"), name="ada") == Message("user", [Text("x")], "ada")
    match Scope("a", "b"):
        case Scope(org, user="b"):
            assert org == "a"
        case _:
            raise AssertionError


def test_the_standard_library_knows_them() -> None:
    @dataclasses.dataclass(frozen=True)
    class Tenant(Scope):
        plan: str = "free"

    assert dataclasses.asdict(Tenant("a", "b")) == {"org": "a", "user": "b", "plan": "free"}
    assert [f.name for f in dataclasses.fields(ToolCallEvent)] == [f.name for f in dataclasses.fields(ToolCall)]
    assert [(f.name, f.type, f.repr) for f in dataclasses.fields(Image)][:2] == [("url", "str | None", True), ("data", "bytes | None", False)]
    with Syntra() as client:
        client.remember(Tenant("a", "b"), "The spare key is under the blue pot.")
        assert client.memory_stats(Scope("a", "b")).total == 1


def test_what_is_imported_late_is_there() -> None:
    assert set(syntra.__all__) <= set(dir(syntra)) and len(typing.get_type_hints(syntra.Settings)) > 30
    with pytest.raises(AttributeError, match="nonsense"):
        _ = getattr(syntra, "nonsense")  # noqa: B009 (a name that no checker would let through)


def test_importing_takes_little() -> None:
    """At most 50 ms and 30 MB on a machine of one's own; here a machine may be busy, so what counts is what is not done."""
    code = """if True:
        import resource, sys
        before = resource.getrusage(resource.RUSAGE_SELF)
        import syntra
        after = resource.getrusage(resource.RUSAGE_SELF)
        others = "asyncio ssl logging http email numpy concurrent.futures mimetypes inspect dataclasses threading weakref"
        for name in (*others.split(), "syntra._lent", "syntra._settings"):
            assert name not in sys.modules, name
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        assert used < 0.5, f"{used} s of CPU"
        memory = (after.ru_maxrss - before.ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
        assert memory < 30e6, f"{memory} bytes"
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_an_answer_crosses_as_its_json_says() -> None:
    class Own:
        name, models = "mine", ["m1"]

        def stream(self, request: syntra.Request) -> Any:
            if request.messages[-1].text == "all":
                yield syntra.ReasoningEvent("Let me see.")
                yield syntra.ToolCallEvent("c1", "find", {"q": [1, None, "ü"]})
                yield syntra.CitationEvent(url="https://example.com/a", title="A")
                yield syntra.UsageEvent(input_tokens=10, output_tokens=5, cached_input_tokens=3)
            yield "Said “so”.\n"
            yield syntra.FinishEvent("pause" if request.messages[-1].text == "all" else "stop")

    find = syntra.Tool("find")
    with syntra.Syntra(providers=[Own()]) as client:
        for question in ["all", "little"]:
            params = ask_params(Scope.local(), question, {"tools": [find], "recall": False, "remember": False})
            there = decode(syntra.Answer, json.loads(client._engine.call("ask", params)))
            here = client.ask(Scope.local(), question, tools=[find], recall=False, remember=False)
            own = {"message_id", "thread_id", "turn_id", "elapsed_ms", "first_token_ms", "trace"}
            for f in dataclasses.fields(here):
                name, one, two = f.name, getattr(here, f.name), getattr(there, f.name)
                assert type(one) is type(two) and (name in own or one == two), name
            assert here.trace.turn_id == here.turn_id and here.message.text == here.text == "Said “so”.\n"
            assert bool(here.tool_calls) == bool(here.citations) == bool(here.reasoning) == (question == "all")
