from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.cli import run_cli

ROOT = Path(__file__).parents[2]
MINERPULSE = str(Path(sys.executable).with_name("minerpulse"))
SETTING_PREFIXES = ("MINERPULSE_", "SLACK_")


class CliResult(tuple[int, str, str]):
    """The exit code, stdout and stderr of a command line."""

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
    """An empty working directory and an environment without settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for name in os.environ:
        if name.startswith(SETTING_PREFIXES) or name.lower().endswith("_proxy") or name == "PORT":
            monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def minerpulse(clean: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., CliResult]:  # noqa: ARG001 -- for its effect
    """Runs the command line in this process."""

    def run(*arguments: str | Path) -> CliResult:
        capsys.readouterr()
        code = run_cli([str(argument) for argument in arguments])
        return CliResult((code, *capsys.readouterr()))

    return run
