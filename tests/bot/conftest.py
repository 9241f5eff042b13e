from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli import outcome

ROOT = Path(__file__).parents[2]
MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
FOREIGN = ("MINERPULSE_", "SLACK_")


class Ran(tuple[int, str, str]):
    """What a command line came to: its exit code, what it printed, and what it complained of."""

    __slots__ = ()

    @property
    def code(self) -> int:
        return self[0]

    @property
    def out(self) -> str:
        return self[1]

    @property
    def err(self) -> str:
        return self[2]


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder to run in, and no setting in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in os.environ:
        if name.startswith(FOREIGN) or name.lower().endswith("_proxy") or name == "PORT":
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def minerpulse(clean: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:  # noqa: ARG001 -- for its effect
    """The command line, in this process."""

    def run(*arguments: str | Path) -> Ran:
        capsys.readouterr()
        code = outcome([str(one) for one in arguments])
        return Ran((code, *capsys.readouterr()))

    return run
