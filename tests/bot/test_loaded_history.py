"""Studies in the terminal on vendors, behind one fake transport."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from services.market.sources.vendors.coinbase import Coinbase
from tests.bot.conftest import RunCli
from tests.fakes.clock import SetClock
from tests.fakes.vendors import Vendors


@pytest.fixture
def vendors(clean: Path, monkeypatch: pytest.MonkeyPatch) -> Vendors:  # noqa: ARG001 -- clean comes first
    """Yahoo and Coinbase with a fixed clock and without rate limits."""
    vendors = Vendors(SetClock(datetime(2026, 3, 5, 0, 30, tzinfo=UTC)), etf_since=date(2023, 1, 3))
    vendors.crypto_since = datetime(2022, 6, 1, tzinfo=UTC)
    monkeypatch.setattr("bot.market_app.HttpClient", vendors.client)
    monkeypatch.setattr("bot.market_app.SystemClock", lambda: vendors.clock)
    monkeypatch.setattr(Coinbase, "limits", ())
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "yahoo")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "coinbase")
    return vendors


@pytest.mark.parametrize("arguments", [("drawdown",), ("backtest", "1d", "8pp"), ("tune", "1d", "2/year")], ids=str)
def test_a_study_in_the_terminal_first_loads_all_sessions_since_the_listing(
    minerpulse: RunCli, vendors: Vendors, arguments: tuple[str, ...]
) -> None:
    """The last 930 days begin in August 2023."""
    vendors.etf_moves = {date(2023, 2, 1): 30.0, date(2025, 2, 3): 30.0}
    result = minerpulse(*arguments, "--json")

    assert "Loading older prices…" in result.err
    document = json.loads(result.out)
    history = document["legs"][0]["history"] if "legs" in document else document["history"]
    assert ("2023-01-03", False) == (history["first"], history["loading"])
    assert len(vendors.calls("chart")) <= 2


def test_bitcoins_drawdown_counts_the_days_before_the_listing(minerpulse: RunCli, vendors: Vendors) -> None:
    vendors.crypto_moves = {datetime(2022, 7, 1, tzinfo=UTC): 90_000.0, datetime(2022, 8, 1, tzinfo=UTC): 45_000.0}
    etf, bitcoin = json.loads(minerpulse("drawdown", "--json").out)["legs"]

    assert (0.5, "2022-06-30", "2022-06-01") == (bitcoin["depth"], bitcoin["high_on"], bitcoin["since"])
    assert ("2022-06-01", True) == (bitcoin["history"]["first"], bitcoin["history"]["daily"])
    assert "2023-01-03" == etf["since"]
