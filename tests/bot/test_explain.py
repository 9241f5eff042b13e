"""`minerpulse explain` on price files and the simulated market, as text and JSON."""

import json
from pathlib import Path

import pytest

from tests.bot.conftest import RunCli
from tests.bot.files import etf_file, price_options
from tests.fakes.legs import random_legs

LEGS = random_legs(300)  # up to 19 April 2023
FIRST = "2022-02-08"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options for the three files."""
    market = LEGS.aligned
    smh = etf_file(clean, LEGS.proxy_prices.tolist(), FIRST).rename(clean / "smh.csv")
    return [*price_options(clean, market.etf.tolist(), market.crypto.tolist(), FIRST), "--ai", smh]


def test_the_document_has_every_part_with_its_standard_error(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("explain", "60D", *files, "--json")
    assert (result.code, result.err) == (0, "")
    explanation = json.loads(result.out)["explanation"]
    parts = explanation["attribution"]
    assert ("60d", "2023-04-19", 60) == (parts["window"], parts["session"], parts["steps"])
    total = sum(parts[name]["amount"] for name in ("crypto", "proxy", "residual"))
    assert parts["etf_return"] == pytest.approx(total, abs=1e-9)
    assert ["etf.csv", "btc.csv", "smh.csv"] == explanation["sources"]
    gauge, correlation = explanation["gauge"], explanation["correlation"]
    assert "2023-04-19" == gauge["now"]["session"]
    assert (0, ["changed", "p", "statistic"]) == (gauge["shared_sessions"], sorted(gauge["test"]))
    assert (gauge["test"]["p"] < 0.10) == gauge["test"]["changed"]
    assert correlation["low"] < correlation["value"] < correlation["high"]
    assert (correlation["value"] ** 2, 60) == (pytest.approx(correlation["r2"]), correlation["sessions"])


def test_files_are_explained_as_in_slack(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("explain", "20d", *files)
    assert result.code == 0
    assert result.out.startswith("WGMI ")
    assert " over 20\u00a0sessions: " in result.out.splitlines()[0]
    assert "WGMI etf.csv, BTC btc.csv, SMH smh.csv" in " ".join(result.out.split())
    assert "Share to Channel" not in result.out


def test_files_use_the_configured_pair_and_proxy(
    minerpulse: RunCli, files: list[str | Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    monkeypatch.setenv("MINERPULSE_AI_PROXY", "QQQ")
    result = minerpulse("explain", "20d", *files)
    assert result.code == 0
    assert "MARA etf.csv, BTC btc.csv, QQQ smh.csv" in " ".join(result.out.split())
    assert minerpulse("pulse", *files[:4]).out.startswith("MARA ")
    assert minerpulse("tune", "5d", "1/month", *files[:4]).out.startswith("5d ")
    assert "on MARA/BTC: " in minerpulse("tune", "5d", "1/month", *files[:4]).out


def test_all_three_files_are_required(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("explain", *files[:4])
    assert result.code == 2
    assert "Pass all of --etf, --btc and --ai, or none of them." in result.err


def test_a_history_too_short_for_betas_is_an_error(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("explain", "252d", *files)
    assert result.code == 1
    assert result.err == (
        "The 252-session return can't be explained: "
        "fewer than 94 of the 126 sessions up to Apr 18, 2022 have all three prices.\n"
    )


@pytest.mark.usefixtures("simulated")
def test_a_simulated_market_is_explained_and_labelled(minerpulse: RunCli) -> None:
    assert minerpulse("explain", "5d").out.startswith("SIMULATED · WGMI ")
