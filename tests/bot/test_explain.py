"""`minerpulse explain` explains price files or the simulated market, in the words of Slack and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bot.conftest import Ran
from tests.bot.files import btc_file, etf_file
from tests.fakes.legs import random_legs

LEGS = random_legs(300)  # up to 19 April 2023
FIRST = "2022-02-08"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options that name the three files."""
    market = LEGS.aligned
    smh = etf_file(clean, LEGS.proxy_prices.tolist(), FIRST).rename(clean / "smh.csv")
    etf, btc = etf_file(clean, market.etf.tolist(), FIRST), btc_file(clean, market.crypto.tolist(), FIRST)
    return ["--etf", etf, "--btc", btc, "--ai", smh]


def test_the_document_holds_every_part_with_its_error(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("explain", "60D", *files, "--json")
    assert (ran.code, ran.err) == (0, "")
    found = json.loads(ran.out)["explanation"]
    parts = found["attribution"]
    assert ("60d", "2023-04-19", 60) == (parts["window"], parts["session"], parts["steps"])
    whole = sum(parts[name]["amount"] for name in ("crypto", "proxy", "residual"))
    assert parts["etf_return"] == pytest.approx(whole, abs=1e-9)
    assert ["etf.csv", "btc.csv", "smh.csv"] == found["sources"]
    assert "2023-04-19" == found["gauge"]["now"]["session"]


def test_files_are_explained_as_in_slack(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("explain", "20d", *files)
    assert ran.code == 0
    assert ran.out.startswith("WGMI ")
    assert "over 20 days: bitcoin " in ran.out.splitlines()[0]
    assert "Session closes: WGMI from etf.csv, bitcoin from btc.csv, SMH from smh.csv." in ran.out


def test_files_are_of_the_pair_and_the_proxy_that_are_set(
    minerpulse: Callable[..., Ran], files: list[str | Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    monkeypatch.setenv("MINERPULSE_AI_PROXY", "QQQ")
    ran = minerpulse("explain", "20d", *files)
    assert ran.code == 0
    assert "Session closes: MARA from etf.csv, bitcoin from btc.csv, QQQ from smh.csv." in ran.out
    assert minerpulse("pulse", *files[:4]).out.startswith("MARA ")
    assert minerpulse("tune", "5d", "1/month", *files[:4]).out.startswith("5d ")
    assert "on MARA/BTC: " in minerpulse("tune", "5d", "1/month", *files[:4]).out


def test_files_come_all_three_or_not_at_all(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("explain", *files[:4])
    assert ran.code == 2
    assert "--etf, --btc and --ai go together: all three come from files, or none." in ran.err


def test_a_history_too_short_for_betas_says_so(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("explain", "252d", *files)
    assert ran.code == 1
    assert ran.err == (
        "252d cannot be explained: fewer than 94 of the 126 sessions up to 2022-04-18 have all three prices.\n"
    )


def test_a_simulated_market_is_explained_and_labelled(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")
    assert minerpulse("explain", "5d").out.startswith("SIMULATED: WGMI ")
