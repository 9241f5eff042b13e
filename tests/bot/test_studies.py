"""`minerpulse drawdown`, `miners` and `network` say in the terminal what Slack says, live or simulated."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.commands.study_report import miners_document, network_document
from services.core.prices import Symbol
from services.market.holdings import Cohort, Membership
from services.market.measure import Window
from services.market.network import Network, Retarget, Reward
from services.market.network_checks import CheckedNetwork
from services.market.sources.catalogue import SOURCES
from services.research.holdings_effects import Contributions, Contributor, effects
from services.research.holdings_report import HoldingsReport
from services.research.results import NetworkView, Provenance
from tests.bot.conftest import Ran


@pytest.fixture(autouse=True)
def _simulated(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 -- clean comes first
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")


def test_both_drawdowns_are_shown(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("drawdown")
    assert (ran.code, ran.out.startswith("SIMULATED: WGMI ")) == (0, True)


def test_both_drawdowns_are_one_document(minerpulse: Callable[..., Ran]) -> None:
    document = json.loads(minerpulse("drawdown", "--json").out)
    etf, crypto = document["legs"]
    assert ("WGMI", "BTC", True) == (etf["symbol"], crypto["symbol"], document["simulated"])
    assert {"depth", "high", "high_on", "since", "deepest", "deepest_on", "rank", "sessions", "first"} <= {*crypto}


def test_a_fund_without_holdings_says_what_to_do(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("miners", "20d")
    assert (ran.code, ran.out) == (1, "")
    assert "imports a file of them with `minerpulse holdings import FILE.csv`." in ran.err


def test_beside_simulated_prices_the_network_is_simulated(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("network")
    assert (ran.code, ran.out.startswith("SIMULATED: Mining earns $")) == (0, True)
    assert "Network from SIMULATED" in ran.out


def test_a_network_that_cannot_be_reached_says_why(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MINERPULSE_ETF_SOURCES", "MINERPULSE_CRYPTO_SOURCES"):
        monkeypatch.delenv(name)
    nowhere = ",".join(f"{row.name}=http://127.0.0.1:9" for row in SOURCES if row.base_url)
    monkeypatch.setenv("MINERPULSE_SOURCE_URLS", nowhere)
    ran = minerpulse("network")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Nothing is known of the bitcoin network yet. mempool.space on network: ")


NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


def test_the_network_is_one_document_with_units_and_ages() -> None:
    network = Network(
        at=NOW - timedelta(minutes=3),
        source="mempool.space",
        difficulty=150e12,
        retarget=Retarget(change=0.02, height=977_760, at=NOW + timedelta(days=2)),
        reward=Reward(blocks=144, total=3.2, fees=0.075),
        fee_rate=3.0,
    )
    view = NetworkView(
        judged=CheckedNetwork(network=network, trust=Provenance().trust),
        price=None,
        hashprice=38.5,
        without_fees=37.6,
        difficulty=None,
        hashrate=None,
        hashprice_standing=None,
        basis=Provenance(problems=("Coinbase on BTC: away",)),
    )
    document = network_document(view, NOW)
    assert ("mempool.space", 180.0, 38.5) == (document["source"], document["age_s"], document["hashprice_usd_ph_day"])
    assert {"change": 0.02, "height": 977_760, "at": NOW + timedelta(days=2), "in_s": 172_800.0} == document[
        "next_retarget"
    ]
    assert {"blocks": 144, "total_btc": 3.2, "fees_btc": 0.075} == document["reward"]
    assert (None, None, ["Coinbase on BTC: away"]) == (
        document["btc"],
        document["hashrate_per_s"],
        document["problems"],
    )


def test_miners_are_one_document_whose_parts_add_up() -> None:
    held = (
        Contributor(ticker="IREN", weight=0.6, moved=0.1, added=0.06),
        Contributor(ticker="XYZ", weight=0.3, moved=None, added=0.0),
    )
    member = Membership(ticker="IREN", cohort=Cohort.CONTRACTED, as_of=date(2025, 11, 3), source="8-K")
    told = HoldingsReport(
        fund=Symbol("WGMI"),
        contributions=Contributions(
            window=Window.D20,
            anchor=date(2026, 10, 22),
            session=date(2026, 11, 19),
            etf_return=0.07,
            contributors=held,
            rest=0.01,
            covered=0.6,
            known=(date(2026, 10, 1),),
            carried_back=False,
        ),
        effects=effects(held, {"IREN": Cohort.CONTRACTED}),
        cohorts={"IREN": member},
        warnings=("the weights are 50 days old",),
        simulated=False,
        sources=("Yahoo",),
    )
    document = miners_document(told)
    assert ["contracted AI", "other"] == [one["cohort"] for one in document["holdings"]]
    assert (date(2025, 11, 3), "8-K") == (
        document["holdings"][0]["cohort_as_of"],
        document["holdings"][0]["cohort_source"],
    )
    whole = sum(one["contribution"] for one in document["holdings"]) + document["rest"]
    assert document["etf_return"] == pytest.approx(whole)
    assert ["contracted AI"] == [one["cohort"] for one in document["cohorts"]]
    assert (["Yahoo"], "ok", [], []) == tuple(document[name] for name in ("sources", "verdict", "reasons", "problems"))
