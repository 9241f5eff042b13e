"""Whatever a file, a vendor or an argument contains, no command prints a control character on the terminal."""

import ast
import asyncio
import json
import logging
from pathlib import Path

import pytest

from bot.cli import COMMANDS
from bot.commands.live import query_live
from bot.commands.options import print_document
from bot.settings import load_settings
from bot.streams import PlainFormatter
from tests.bot.conftest import ROOT, CliResult, RunCli

HOSTILE = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202edesrever"
CONTROL = {"\x1b", "\x07", "\x9b", "\u202e"}
PRINTING = {"echo", "secho", "print", "print_json", "Console"}


def control_characters(result: CliResult) -> set[str]:
    return CONTROL & {*result.out, *result.err}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_no_command_has_is_printed_escaped(minerpulse: RunCli, command: str) -> None:
    result = minerpulse(command, f"--{HOSTILE}")

    assert set() == control_characters(result)
    assert 2 == result.code
    assert "\\u001b" in result.err or "\\x1b" in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param((HOSTILE,), id="command"),
        pytest.param(("holdings", HOSTILE), id="subcommand"),
        pytest.param(("holdings", "fetch", HOSTILE), id="ticker"),
        pytest.param(("holdings", "import", HOSTILE), id="file"),
        pytest.param(("holdings", "list", "--as-of", HOSTILE), id="day"),
        pytest.param(("replay", HOSTILE), id="rule"),
        pytest.param(("tune", "1d", HOSTILE), id="rate"),
        pytest.param(("why", HOSTILE), id="alert"),
        pytest.param(("forget", HOSTILE), id="person"),
        pytest.param(("manifest", "--url", f"https://{HOSTILE}"), id="address"),
    ],
)
def test_a_hostile_argument_is_printed_escaped(minerpulse: RunCli, arguments: tuple[str, ...]) -> None:
    result = minerpulse(*arguments)

    assert set() == control_characters(result)
    assert result.out or result.err


def test_lines_that_an_import_leaves_out_are_printed_escaped(minerpulse: RunCli, clean: Path) -> None:
    file = clean / "wgmi.csv"
    rows = [f"As received: {HOSTILE}", "Ticker,Name,Weight", "IREN US,IREN Ltd,98%"]
    file.write_text("\n".join(rows), encoding="utf-8")
    result = minerpulse("holdings", "import", file, "--as-of", "2026-07-07")

    assert set() == control_characters(result)
    assert "\\u001b[31mred" in result.err


@pytest.mark.usefixtures("clean")
def test_a_database_that_cannot_be_used_is_named_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / f"a{HOSTILE}.db"
    folder.mkdir()
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", f"sqlite:///{folder}")

    async def nothing(_app: object) -> str:
        return "answered"

    assert "answered" == asyncio.run(query_live(load_settings(), nothing))
    printed = capsys.readouterr()
    assert set() == CONTROL & {*printed.out, *printed.err}
    assert "The prices aren't saved." in printed.err


def test_json_keeps_its_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"name": HOSTILE, "lines": "a\nb\tc"})
    printed = capsys.readouterr().out

    assert set() == CONTROL & {*printed}
    assert {"name": HOSTILE, "lines": "a\nb\tc"} == json.loads(printed)


def test_errors_that_commands_log_are_escaped() -> None:
    record = logging.LogRecord("bot", logging.ERROR, "here.py", 1, "cannot read %s", (HOSTILE,), None)

    assert set() == CONTROL & {*PlainFormatter().format(record)}


def test_all_output_goes_through_what_escapes_it() -> None:
    """`bot.streams.echo` and `SafeConsole` escape; nothing else may print."""
    direct = {
        f"{path.relative_to(ROOT)}:{call.lineno} {name}"
        for folder in ("bot", "handlers", "services")
        for path in (ROOT / folder).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and (name := printing_name(call))
    }

    assert set() == {found.partition(":")[0] for found in direct} - {"bot/streams.py"}


def printing_name(call: ast.Call) -> str | None:
    """Return the name of a function that prints; methods of a console are not meant."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="click" | "sys" | "rich" as module), attr=name):
            return f"{module}.{name}" if name in PRINTING else None
        case ast.Attribute(value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="write"):
            return "write"
        case ast.Name(id="print" | "secho" | "Console" as name):
            return name
        case _:
            return None
