"""The first lines that anybody reads do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parents[1]
BLOCKS = [
    (path.name, code)
    for path in (HERE / "README.md", HERE.parent / "docs" / "python.md")
    for code in re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
    if "pip install" not in code
]


def run(arguments: list[str], folder: Any) -> str:
    ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=folder, timeout=60)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_quickstart(tmp_path: Any) -> None:
    out = run([str(HERE / "examples" / "quickstart.py")], tmp_path)
    assert "under the blue pot" in out and "back door" in out


@pytest.mark.parametrize("name, code", BLOCKS)
def test_what_the_pages_show(name: str, code: str, tmp_path: Any) -> None:
    run(["-c", code], tmp_path)
