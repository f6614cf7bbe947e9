"""Everything that `tests/parity.json` lists has a counterpart here; that they work is what the behaviour cases show, which call every method."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from conftest import ROOT

import syntra

PARITY: dict[str, Any] = json.loads((ROOT / "tests" / "parity.json").read_text(encoding="utf-8"))
OURS: dict[str, Any] = PARITY["python"]


def listed(names: str | list[str]) -> list[str]:
    return [names] if isinstance(names, str) else names


@pytest.mark.parametrize("client", [syntra.Syntra, syntra.AsyncSyntra])
@pytest.mark.parametrize("method", PARITY["methods"])
def test_method(client: Any, method: str) -> None:
    found = getattr(client, method)
    assert inspect.getdoc(found), f"{method} has no doc"
    if client is syntra.AsyncSyntra and method != "stream":
        assert inspect.iscoroutinefunction(found)
    takes = inspect.signature(found).parameters
    for parameter in PARITY["methods"][method]:
        for own in listed(OURS["parameters"].get(f"{method}.{parameter}", parameter)):
            assert own in takes, f"{method} takes no {own}"


@pytest.mark.parametrize("name", PARITY["ask"])
def test_ask_option(name: str) -> None:
    for option in listed(OURS["ask"].get(name, name)):
        assert option in syntra.AskOptions.__annotations__ or option == "question"


@pytest.mark.parametrize("name", PARITY["settings"])
def test_setting(name: str) -> None:
    parameters = inspect.signature(syntra.Syntra.__init__).parameters
    assert name in syntra.Settings.__annotations__ or name in parameters or hasattr(syntra.Syntra, name)


@pytest.mark.parametrize("kind", PARITY["errors"])
def test_error_class(kind: str) -> None:
    assert kind == "unknown" or issubclass(syntra._errors.CLASSES[kind], syntra.SyntraError)


def fields_of(name: str) -> set[str]:
    """The fields of a class, or the parameters of `Class.method`."""
    cls, _, method = name.partition(".")
    if method:
        return set(inspect.signature(getattr(getattr(syntra, cls), method)).parameters)
    return {f.name.rstrip("_") for f in dataclasses.fields(getattr(syntra, cls))}


@pytest.mark.parametrize("name", PARITY["types"])
def test_type(name: str) -> None:
    fields = fields_of(OURS["types"].get(name, name))
    for field in PARITY["types"][name]:
        for own in listed(OURS["fields"].get(f"{name}.{field}", field)):
            assert own in fields, f"{name} has no {own}"


def words_of(hint: Any) -> set[str]:
    """The words that a type allows: those of its literals, and what tells the classes of a union apart."""
    if get_origin(hint) is Literal:
        return set(get_args(hint))
    if get_origin(hint) in (Union, types.UnionType):
        return set().union(*map(words_of, get_args(hint)))
    return {hint.type} if isinstance(getattr(hint, "type", None), str) else set()


@pytest.mark.parametrize("name", PARITY["enums"])
def test_enum(name: str) -> None:
    cls, _, field = OURS["enums"].get(name, name).partition(".")
    found = getattr(syntra, cls)
    assert set(PARITY["enums"][name]) == words_of(typing.get_type_hints(found)[field] if field else found)


@pytest.mark.parametrize("name", PARITY["traits"])
def test_trait(name: str) -> None:
    for cls in listed(OURS["traits"].get(name, name)):
        found = getattr(syntra, cls)
        for method in PARITY["traits"][name]["methods"]:
            own = OURS["fields"].get(f"{name}.{method}", method)
            said = inspect.getdoc(found) or ""
            assert hasattr(found, own) or own in found.__annotations__ or f"``{own}" in said or f"`{own}" in said, f"{cls} says nothing of {own}"


@pytest.mark.parametrize("name", PARITY["built_in"])
def test_built_in(name: str) -> None:
    fields = fields_of(PARITY["built_in"][name]["is"])
    assert set(PARITY["built_in"][name]["options"].values()) <= fields
