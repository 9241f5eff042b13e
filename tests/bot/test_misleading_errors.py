"""Errors that pointed at something else than what was wrong."""

import socket
from datetime import date
from pathlib import Path

import pytest

from bot.playground.emulator import run_emulator
from services.core.errors import PlaygroundError
from tests.bot.conftest import RunCli
from tests.bot.files import btc_file, daily_btc_file, etf_file
from tests.bot.test_settings import settings_error


@pytest.mark.parametrize("daily", [False, True], ids=["hourly bars", "daily bars"])
@pytest.mark.parametrize("command", ["replay", "pulse"])
def test_swapped_files_of_both_legs_are_named(minerpulse: RunCli, clean: Path, command: str, daily: bool) -> None:
    etf = etf_file(clean, [20.0] * 10)
    btc = daily_btc_file(clean, [50_000.0] * 14, date(2026, 3, 1)) if daily else btc_file(clean, [50_000.0] * 10)
    result = minerpulse(command, "--etf", btc, "--btc", etf)

    assert (1, "") == (result.code, result.out)
    assert f"{btc}: has bitcoin bars, and etf.csv has New York session closes. Swap the --etf and --btc files." in (
        " ".join(result.err.split())
    )


async def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            PlaygroundError,
            match=f"Can't listen on 127.0.0.1:{port}: Address already in use. Choose another port with --port",
        ):
            async with run_emulator(tmp_path / "no program", port=port):
                pass


def test_a_setting_that_resembles_none_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    error = settings_error(monkeypatch, MINERPULSE_TYPO="x")
    assert "MINERPULSE_TYPO: there is no such setting. .env.example lists all settings." == error
