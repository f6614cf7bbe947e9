"""Everything that `tests/parity.json` lists has a working counterpart here."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any

import pytest
from conftest import ROOT

import syntra

PARITY: dict[str, Any] = json.loads((ROOT / "tests" / "parity.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("client", [syntra.Syntra, syntra.AsyncSyntra])
@pytest.mark.parametrize("method", PARITY["methods"])
def test_method(client: Any, method: str) -> None:
    found = getattr(client, method)
    assert inspect.getdoc(found), f"{method} has no doc"
    if client is syntra.AsyncSyntra and method != "stream":
        assert inspect.iscoroutinefunction(found)


@pytest.mark.parametrize("name", PARITY["ask"])
def test_ask_option(name: str) -> None:
    options = {**PARITY["python"]["ask"]}.get(name, name)
    for option in options if isinstance(options, list) else [options]:
        assert option in syntra.AskOptions.__annotations__ or option == "question"


@pytest.mark.parametrize("name", PARITY["settings"])
def test_setting(name: str) -> None:
    parameters = inspect.signature(syntra.Syntra.__init__).parameters
    assert name in syntra.Settings.__annotations__ or name in parameters or hasattr(syntra.Syntra, name)


@pytest.mark.parametrize("kind", PARITY["errors"])
def test_error_class(kind: str) -> None:
    assert kind == "unknown" or issubclass(syntra._errors.CLASSES[kind], syntra.SyntraError)


@pytest.mark.parametrize("name", PARITY["results"])
def test_result_fields(name: str) -> None:
    cls = getattr(syntra, PARITY["python"]["results"].get(name, name))
    fields = {f.name.rstrip("_") for f in dataclasses.fields(cls)}
    assert set(PARITY["results"][name]) <= fields
