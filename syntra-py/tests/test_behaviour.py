"""The behaviour cases, through `Syntra` and through `AsyncSyntra`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import runner
from conftest import CASES

import syntra

CASES_BY_NAME = {
    f"{path.stem}: {case['name']}": case
    for path in sorted(CASES.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
}


class Plain:
    client: syntra.Syntra

    def open(self, data: Path | None, settings: dict[str, Any]) -> None:
        self.client = syntra.Syntra(data, **settings)

    def call(self, action: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return getattr(self.client, action)(*args, **kwargs)

    def stream(self, args: list[Any], kwargs: dict[str, Any], stop: str | None) -> tuple[list[Any], Any, int]:
        events: list[Any] = []
        try:
            with self.client.stream(*args, **kwargs) as stream:
                for event in stream:
                    events.append(event)
                    if event.type == stop:
                        break
        except syntra.SyntraError as error:
            return events, error, 1
        return events, None, sum(e.type == "done" for e in events)

    def close(self) -> None:
        self.client.close()


class Async:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()

    def open(self, data: Path | None, settings: dict[str, Any]) -> None:
        self.client = syntra.AsyncSyntra(data, **settings)

    def call(self, action: str, args: list[Any], kwargs: dict[str, Any]) -> Any:
        return self.loop.run_until_complete(getattr(self.client, action)(*args, **kwargs))

    def stream(self, args: list[Any], kwargs: dict[str, Any], stop: str | None) -> tuple[list[Any], Any, int]:
        return self.loop.run_until_complete(self._stream(args, kwargs, stop))

    async def _stream(self, args: list[Any], kwargs: dict[str, Any], stop: str | None) -> tuple[list[Any], Any, int]:
        events: list[Any] = []
        try:
            async with self.client.stream(*args, **kwargs) as stream:
                async for event in stream:
                    events.append(event)
                    if event.type == stop:
                        break
        except syntra.SyntraError as error:
            return events, error, 1
        return events, None, sum(e.type == "done" for e in events)

    def close(self) -> None:
        self.loop.run_until_complete(self.client.aclose())


@pytest.mark.parametrize("make", [Plain, Async])
@pytest.mark.parametrize("name", CASES_BY_NAME)
def test_case(name: str, make: Any, mock: Any, tmp_path: Path) -> None:
    case = CASES_BY_NAME[name]
    runner.run(case, mock(case.get("server")), tmp_path, make())


def test_there_are_cases() -> None:
    assert len(CASES_BY_NAME) >= 25
