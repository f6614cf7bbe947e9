"""The package's types: strict, complete, and true of the built module."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

import syntra

HERE = Path(__file__).parent


def run(*arguments: str, cwd: Path) -> None:
    ended = subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=cwd, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_mypy_strict_accepts_the_package_and_its_use(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    cache = f"--cache-dir={tmp_path}"
    run("mypy", "--strict", cache, "-p", "syntra", cwd=HERE)
    # Some of the packages whose interfaces it has want a newer Python; its own modules do not.
    run("mypy", "--strict", cache, "--python-version", "3.10", "-m", "syntra", cwd=HERE)
    run("mypy", "--strict", cache, str(HERE / "typed_use.py"), str(HERE / "wrong_use.py"), cwd=HERE)


def test_pyright_strict_accepts_the_package_and_its_use() -> None:
    pytest.importorskip("pyright")
    for package in ("openai", "langchain_core", "llama_index.core"):
        pytest.importorskip(package)  # their types are part of what is checked
    run("pyright", "--pythonpath", sys.executable, cwd=HERE.parent)


def test_ruff_finds_nothing() -> None:
    pytest.importorskip("ruff")
    run("ruff", "check", "--no-cache", ".", "../benches/scripts/bindings.py", cwd=HERE.parent)


def test_the_stubs_say_what_the_native_module_has(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    run("mypy.stubtest", "syntra._native", cwd=tmp_path)


def test_the_package_is_typed_and_exports_what_it_says() -> None:
    assert files(syntra).joinpath("py.typed").is_file()
    for name in syntra.__all__:
        assert hasattr(syntra, name), name


