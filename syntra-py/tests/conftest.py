"""What the tests share: the scripted model server of the workspace and the behaviour cases."""

from __future__ import annotations

import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syntra import _convert

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT / "tests" / "cases"

# A field that the dataclasses do not have is a failure here.
_convert.STRICT = True


def mock_program() -> Path:
    """The program `mock_server`, built by cargo before the tests run."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    triple = os.environ.get("CARGO_BUILD_TARGET", "")
    name = "mock_server.exe" if os.name == "nt" else "mock_server"
    for folder in [target / triple / "debug", target / "debug"]:
        if (folder / name).exists():
            return folder / name
    raise RuntimeError("build it first: cargo build -p syntra-tests --bin mock_server")


class Mock:
    """A model server that answers as its script says."""

    def __init__(self, script: dict[str, Any] | None) -> None:
        self._process = subprocess.Popen([mock_program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(script or {}) + "\n")
        self._process.stdin.flush()
        self.port = int(self._process.stdout.readline())

    def base_url(self, provider: str) -> str:
        return f"http://127.0.0.1:{self.port}/{provider}/v1"

    def log(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/log", timeout=10) as answer:
            log: list[dict[str, Any]] = json.load(answer)
        return log

    def wait_for(self, holds: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        until = time.monotonic() + 10
        while not holds(log := self.log()):
            assert time.monotonic() < until, f"never came: {log}"
            time.sleep(0.02)
        return log

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture
def mock() -> Iterator[Callable[[dict[str, Any] | None], Mock]]:
    started: list[Mock] = []

    def start(script: dict[str, Any] | None) -> Mock:
        started.append(Mock(script))
        return started[-1]

    yield start
    for server in started:
        server.close()
