"""Takes the steps of a behaviour case and judges the results; see `tests/cases/README.md`."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import syntra
from syntra import Image, Message, NewMemory, Request, Scope, Tool, ToolResult
from syntra._convert import decode, encode


def resolve(value: Any, path: str) -> list[Any]:
    found = [value]
    for step in filter(None, path.split(".")):
        after: list[Any] = []
        for item in found:
            if step == "*" and isinstance(item, list):
                after += item
            elif step == "*" and isinstance(item, dict):
                after += item.values()
            elif step == "#" and isinstance(item, (list, str)):
                after.append(len(item))
            elif isinstance(item, dict) and step in item:
                after.append(item[step])
            elif isinstance(item, list) and step.isdigit() and int(step) < len(item):
                after.append(item[int(step)])
        found = after
    return [item for item in found if item is not None]


def equal(a: Any, b: Any) -> bool:
    numbers = isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool)
    return math.isclose(a, b, abs_tol=1e-6) if numbers else bool(a == b)


def in_order(items: Any, wanted: list[Any]) -> bool:
    rest = iter(items)
    return all(any(item == w for item in rest) for w in wanted)


OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "equals": equal,
    "contains": lambda v, e: e in (v if isinstance(v, str) else json.dumps(v, ensure_ascii=False, separators=(",", ":"))),
    "at_least": lambda v, e: v >= e,
    "at_most": lambda v, e: v <= e,
    "one_of": lambda v, e: v in e,
    "in_order": in_order,
}


def check(result: Any, path: str, operation: str, expected: Any) -> None:
    found = resolve(result, path)
    negated, name = operation.startswith("no_"), operation.removeprefix("no_")
    if name == "absent":
        holds = not found
    elif name == "present":
        holds = bool(found)
    else:
        holds = any(OPERATIONS[name](value, expected) for value in found)
    assert holds != negated, f"{path!r} should be {operation} {expected!r}, found {str(found)[:2000]}"


def substitute(value: Any, saved: dict[str, Any]) -> Any:
    if isinstance(value, str) and value.startswith("$"):
        name, _, path = value[1:].partition(".")
        return resolve(saved[name], path)[0]
    if isinstance(value, list):
        return [substitute(v, saved) for v in value]
    if isinstance(value, dict):
        return {k: substitute(v, saved) for k, v in value.items()}
    return value


def settings(case: dict[str, Any], base_url: Callable[[str], str]) -> dict[str, Any]:
    setup = case.get("setup", {})
    out: dict[str, Any] = {
        "providers": [
            syntra.ProviderConfig(p["name"], p.get("api_key"), base_url(p["name"]), p["models"])
            for p in setup.get("providers", [])
        ]
    }
    classes = {"budget": syntra.Budget, "persona": syntra.Persona, "retry_policy": syntra.RetryPolicy, "hedging": syntra.HedgePolicy}
    classes |= {"pacing": syntra.PaceLimits, "breaker": syntra.Breaker, "response_cache": syntra.ResponseCacheOptions}
    classes["semantic_cache"] = syntra.SemanticCacheOptions
    classes["index_limits"] = syntra.IndexLimits
    for name, cls in classes.items():
        if name in setup:
            out[name] = cls(**setup[name])
    if "policy" in setup:
        out["policy"] = syntra.RoutingPolicy(**setup["policy"])
    if "organisation_policies" in setup:
        out["organisation_policies"] = {org: syntra.RoutingPolicy(**own) for org, own in setup["organisation_policies"].items()}
    if "experiments" in setup:
        out["experiments"] = [experiment(given) for given in setup["experiments"]]
    if "regions" in setup:
        out["regions"] = setup["regions"]
    if "tools" in setup:
        out["tools"] = [scripted(name, **given) for name, given in setup["tools"].items()]
    for name in ("max_tool_rounds", "extractive_fallback", "history_messages", "recovery", "deadline", "thinking", "time_zone"):
        if name in setup:
            out[name] = setup[name]
    return out


def scripted(name: str, description: str, parameters: dict[str, Any], returns: str = "", fails: str | None = None) -> syntra.FunctionTool:
    """A tool of a case."""

    def run(use: syntra.ToolUse, **given: Any) -> str:
        if fails is not None:
            raise ValueError(fails)
        return returns.format(user=use.scope.user, **given)

    return syntra.FunctionTool(run, name=name, description=description, parameters=parameters, with_use=True)


def experiment(given: dict[str, Any]) -> syntra.Experiment:
    arms = [syntra.Arm(a["name"], a.get("weight", 1), syntra.RoutingPolicy(**a["policy"]) if "policy" in a else None) for a in given["arms"]]
    rails = syntra.GuardRails(**given["guard_rails"]) if "guard_rails" in given else None
    return syntra.Experiment(given["name"], arms, rails)


def arguments(action: str, step: dict[str, Any], given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The step's arguments as a Python program would write them."""
    out = dict(given)
    for name in ("said_from", "said_to", "now", "at"):
        if name in out:
            out[name] = syntra._convert.parse_time(out[name])
    if action in ("ask", "stream", "plan"):
        if "policy" in out:
            out["policy"] = syntra.RoutingPolicy(**out["policy"])
        if "history" in out:
            out["history"] = [decode(Message, m) for m in out["history"]]
        out["tools"] = [Tool(**t) for t in out.get("tools", [])]
        out["images"] = [Image(**i) for i in out.get("images", [])]
        out["tool_results"] = [ToolResult(**r) for r in out.get("tool_results", [])]
    if action == "remember":
        out["items"] = [i if isinstance(i, str) else new_memory(i) for i in out["items"]]
    if action == "supersede":
        out["new"] = new_memory(out["new"])
    if action == "append":
        out["messages"] = [decode(Message, m) for m in out["messages"]]
    if action == "complete":
        out["request"] = decode(Request, out["request"])
    scoped = action not in ("complete", "count_tokens", "embed", "providers", "models", "health")
    return ([Scope(*step.get("scope", "acme/ada").split("/"))] if scoped else []), out


def new_memory(item: dict[str, Any]) -> NewMemory:
    if "said_at" in item:
        item = {**item, "said_at": syntra._convert.parse_time(item["said_at"])}
    return NewMemory(**item)


def streamed(events: list[Any], terminals: int) -> dict[str, Any]:
    seen = [encode(e) for e in events]
    types = [e["type"] for e in seen]
    return {
        "order": list(dict.fromkeys(types)),
        "last": types[-1] if types else None,
        "text": "".join(e["text"] for e in seen if e["type"] == "text"),
        "terminals": terminals,
        "done": next((e for e in seen if e["type"] == "done"), None),
        "events": seen,
    }


def as_json(action: str, result: Any) -> Any:
    value = encode(result)
    if action == "export_learned":
        value = {"learned": value}
    if action == "complete":  # a Response is taken apart; the cases see the message
        parts = [{"type": "reasoning", "text": result.reasoning}] * bool(result.reasoning)
        value["message"] = {"parts": [*parts, {"type": "text", "text": result.text}, *value["tool_calls"]]}
    return value


def error_json(error: syntra.SyntraError) -> dict[str, Any]:
    out = {k: encode(v) for k, v in vars(error).items()} | {"kind": error.kind, "message": error.message}
    if error.retry_after is not None:
        out["retry_after_ms"] = round(error.retry_after * 1000)
    assert type(error) is syntra._errors.CLASSES[error.kind], "the class follows from the kind"
    return out


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def run(case: dict[str, Any], mock: Any, folder: Path, client: Any) -> None:
    """``client`` has ``open(data_dir, settings)``, ``call(action, args, kwargs)``, ``stream(args, kwargs, stop_after)``, ``close()``."""
    files, data = folder / "files", folder / "data"
    files.mkdir()
    setup = case.get("setup", {})
    write_files(files, setup.get("files", {}))
    saved: dict[str, Any] = {"dir": str(files)}
    configured = settings(case, mock.base_url)
    client.open(data if setup.get("disk") else None, configured)
    try:
        for number, step in enumerate(case["steps"], 1):
            until = time.monotonic() + (5 if step.get("eventually") else 0)
            while True:
                try:
                    take(step, saved, mock, files, client, lambda: client.open(data, configured))
                    break
                except AssertionError as why:
                    if time.monotonic() > until:
                        raise AssertionError(f"step {number} ({step['do']}): {why}") from why
                    time.sleep(0.05)
    finally:
        client.close()


def take(step: dict[str, Any], saved: dict[str, Any], mock: Any, files: Path, client: Any, reopen: Callable[[], None]) -> None:
    action = step["do"]
    given = substitute(step.get("with", {}), saved)
    value: Any = None
    raised: syntra.SyntraError | None = None
    if action == "sent":
        value = mock.log()
    elif action == "files":
        write_files(files, given)
    elif action == "reopen":
        client.close()
        reopen()
    else:
        args, kwargs = arguments(action, step, given)
        if action == "stream":
            events, raised, terminals = client.stream(args, kwargs, step.get("stop_after"))
            value = streamed(events, terminals)
        else:
            try:
                value = as_json(action, client.call(action, args, kwargs))
            except syntra.SyntraError as error:
                raised = error
    if "error" in step:
        assert raised is not None, f"should have failed with {step['error']}, gave {value}"
        shown = error_json(raised)
        for name, expected in step["error"].items():
            if name == "message_contains":
                check(shown, "message", "contains", expected)
            else:
                check(shown, name, "equals", expected)
    elif raised is not None:
        raise raised
    for path, operation, expected in step.get("expect", []):
        check(value, path, operation, substitute(expected, saved))
    if "save" in step:
        saved[step["save"]] = value
