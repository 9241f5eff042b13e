"""Errors with `--json` are one document on stderr, and notes disappear with `--quiet`."""

import json
from datetime import date
from pathlib import Path

import click
import pytest

from bot.streams import echo
from tests.bot.conftest import RunCli
from tests.bot.documents.test_schemas import validator
from tests.bot.files import btc_file, daily_btc_file, etf_file, price_options
from tests.bot.test_cli import run_program


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "expected"),
    [
        pytest.param(["pulse", "--etf", "none.csv"], 2, "usage", "File 'none.csv' does not exist", id="option"),
        pytest.param(["plse"], 2, "usage", "Did you mean “pulse”?", id="command"),
        pytest.param(["backtest", "1d", "8bananas"], 2, "input", "“8bananas” isn't", id="rule"),
        pytest.param(["holdings", "list"], 1, "data", "No holdings of WGMI are stored.", id="data"),
        pytest.param(["why"], 1, "storage", "There is no database at", id="database"),
    ],
)
def test_an_error_with_json_is_one_valid_document(
    minerpulse: RunCli, arguments: list[str], code: int, kind: str, expected: str
) -> None:
    result = minerpulse(*arguments, "--json")

    assert (code, "") == (result.code, result.out)
    document = json.loads(result.err)
    validator("error").validate(document)
    assert (kind, code) == (document["error"]["kind"], document["error"]["exit_code"])
    assert expected in document["error"]["message"]


def test_a_wrong_setting_with_json_is_a_document(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERPULSE_TYPO", "x")

    assert "configuration" == json.loads(minerpulse("pulse", "--json").err)["error"]["kind"]


def test_quiet_prints_results_without_notes(minerpulse: RunCli, clean: Path) -> None:
    etf, btc = etf_file(clean, [20.0, 22.0]), daily_btc_file(clean, [50_000.0] * 4, date(2026, 3, 1))
    loud, quiet = (
        minerpulse(*options, "replay", "--etf", etf, "--btc", btc, "--rule", "1d 8pp") for options in ([], ["-q"])
    )

    assert loud.err.startswith("WARNING: ")
    assert (0, loud.out, "") == quiet


def test_quiet_still_prints_errors(minerpulse: RunCli) -> None:
    assert minerpulse("why").err == minerpulse("--quiet", "why").err != ""


def test_debug_adds_the_traceback_of_an_error(clean: Path) -> None:
    assert b"Traceback" not in run_program(clean, "why").stderr
    assert b"Traceback" in run_program(clean, "--debug", "why").stderr


def test_quiet_and_verbose_exclude_each_other(minerpulse: RunCli) -> None:
    result = minerpulse("-q", "-v", "why")

    assert 2 == result.code
    assert "-q/--quiet can't be combined with -v/--verbose or --debug." in result.err


def test_no_color_turns_colors_off_on_a_terminal(monkeypatch: pytest.MonkeyPatch, clean: Path) -> None:  # noqa: ARG001
    shown = list[str | None]()
    monkeypatch.setattr(click, "secho", lambda *_, fg, **__: shown.append(fg))
    echo("WARNING: daily bars", color="yellow")
    monkeypatch.setenv("NO_COLOR", "1")
    echo("WARNING: daily bars", color="yellow")

    assert ["yellow", None] == shown


def test_no_color_is_in_the_output_of_a_pipe(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("replay", *price_options(clean, [20.0, 22.0], [50_000.0] * 2), "--rule", "1d 8pp")

    assert "\x1b[" not in result.out


def test_a_file_of_another_kind_is_named(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("migrate")
    database = clean / "minerpulse.db"

    result = minerpulse("pulse", "--etf", database, "--btc", btc_file(clean, [50_000.0]))

    assert (1, "") == (result.code, result.out)
    assert "minerpulse.db: is an SQLite database. Use a CSV file." in result.err
