"""`minerpulse drawdown`, `miners` and `network` in the terminal, live or simulated."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bot.documents.studies import miners_document, network_document
from services.core.prices import Symbol
from services.core.reason import Code, Reason
from services.market.holdings import Cohort, Membership
from services.market.measure import Window
from services.market.network import Network, Retarget, Reward
from services.market.network_checks import CheckedNetwork
from services.market.sources.catalogue import SOURCES
from services.research.holdings_effects import HoldingContribution, HoldingsAttribution, brinson_effects
from services.research.holdings_report import HoldingsReport
from services.research.service import NetworkResult, Provenance
from tests.bot.conftest import RunCli
from tests.bot.documents.samples import as_json

pytestmark = pytest.mark.usefixtures("simulated")


def test_both_drawdowns_are_shown(minerpulse: RunCli) -> None:
    result = minerpulse("drawdown")
    assert (result.code, result.out.startswith("SIMULATED · Drawdown: WGMI ")) == (0, True)


def test_both_drawdowns_are_one_document(minerpulse: RunCli) -> None:
    document = json.loads(minerpulse("drawdown", "--json").out)
    etf, crypto = document["legs"]
    assert ("WGMI", "BTC", True) == (etf["symbol"], crypto["symbol"], document["simulated"])
    assert {"depth", "high", "high_on", "since", "deepest", "deepest_on", "rank", "sessions", "first"} <= {*crypto}


def test_a_fund_without_holdings_is_an_error_with_a_next_step(minerpulse: RunCli) -> None:
    result = minerpulse("miners", "20d")
    assert (result.code, result.out) == (1, "")
    assert "import a file of them with `minerpulse holdings import FILE.csv`." in result.err


def test_with_simulated_prices_the_network_is_simulated(minerpulse: RunCli) -> None:
    result = minerpulse("network")
    assert (result.code, result.out.startswith("SIMULATED · Hashprice $")) == (0, True)
    assert "Network SIMULATED, " in result.out


def test_the_simulated_network_has_a_power_draw_with_a_range(minerpulse: RunCli) -> None:
    text = minerpulse("network").out
    for line in ("Power draw ", "Energy ", "Percentiles ", "Break-even ", "Lower bound: "):
        assert line in text
    power = json.loads(minerpulse("network", "--json").out)["power"]
    assert 0 < power["lower"]["power_mw"] < power["best"]["power_mw"] < power["upper"]["power_mw"]
    assert power["best"]["energy_twh_year"] == pytest.approx(power["best"]["power_mw"] / 1_000 * 8.76)
    assert power["break_even_j_th"] == pytest.approx(power["hashprice_14d_mean_usd_ph_day"] / (24 * 0.05))
    assert power["lower"]["standing"]["count"] > 500


def test_assumptions_of_the_power_draw_are_settings(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machines = tmp_path / "machines.csv"
    machines.write_text("Machine,Released,J/TH,AsOf,Source\nOurs,2020-01-01,5,2026-10-01,us\n", encoding="utf-8")
    monkeypatch.setenv("MINERPULSE_MACHINES", str(machines))
    monkeypatch.setenv("MINERPULSE_ELECTRICITY_USD_KWH", "0.06")
    monkeypatch.setenv("MINERPULSE_PUE", "1, 1.5, 2")
    power = json.loads(minerpulse("network", "--json").out)["power"]
    assert ("Ours", 5.0, 1.0) == tuple(power["lower"][name] for name in ("machine", "efficiency_j_th", "pue"))
    assert (0.06, 1, "2026-10-01") == tuple(
        power[name] for name in ("electricity_usd_kwh", "machines", "machines_as_of")
    )
    assert power["upper"]["power_mw"] == pytest.approx(2 * power["lower"]["power_mw"])


def test_a_bad_table_of_machines_is_an_error_with_its_line(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machines = tmp_path / "machines.csv"
    machines.write_text("Machine,Released,J/TH,AsOf,Source\nOurs,2020-01-01,0.05,2026-10-01,us\n", encoding="utf-8")
    monkeypatch.setenv("MINERPULSE_MACHINES", str(machines))
    result = minerpulse("network")
    assert (1, "") == (result.code, result.out)
    assert f"{machines}, line 2: 0.05 J/TH looks like J/GH. Multiply by 1,000: 50." in result.err


def test_an_unreachable_network_is_an_error_with_the_reason(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MINERPULSE_ETF_SOURCES", "MINERPULSE_CRYPTO_SOURCES"):
        monkeypatch.delenv(name)
    nowhere = ",".join(f"{row.name}=http://127.0.0.1:9" for row in SOURCES if row.base_url)
    monkeypatch.setenv("MINERPULSE_SOURCE_URLS", nowhere)
    result = minerpulse("network")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("No bitcoin network data yet. mempool.space (network): ")


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
    view = NetworkResult(
        checked=CheckedNetwork(network=network, trust=Provenance().trust),
        price=None,
        hashprice=38.5,
        hashprice_without_fees=37.6,
        difficulty_rank=None,
        hashrate_rank=None,
        hashprice_rank=None,
        provenance=Provenance(problems=("Coinbase (BTC): away",)),
    )
    document = as_json(network_document(view, NOW))
    assert ("mempool.space", 180.0, 38.5) == (document["source"], document["age_s"], document["hashprice_usd_ph_day"])
    assert {"change": 0.02, "height": 977_760, "at": "2026-11-22T18:00:00+00:00", "in_s": 172_800.0} == document[
        "next_retarget"
    ]
    assert {"blocks": 144, "total_btc": 3.2, "fees_btc": 0.075} == document["reward"]
    assert (None, None, ["Coinbase (BTC): away"]) == (
        document["btc"],
        document["hashrate_per_s"],
        document["problems"],
    )


def test_the_miners_document_adds_up() -> None:
    holdings = (
        HoldingContribution(ticker="IREN", weight=0.6, own_return=0.1, contribution=0.06),
        HoldingContribution(ticker="XYZ", weight=0.3, own_return=None, contribution=0.0),
    )
    member = Membership(ticker="IREN", cohort=Cohort.CONTRACTED, as_of=date(2025, 11, 3), source="8-K")
    report = HoldingsReport(
        fund=Symbol("WGMI"),
        attribution=HoldingsAttribution(
            window=Window.D20,
            anchor=date(2026, 10, 22),
            session=date(2026, 11, 19),
            etf_return=0.07,
            holdings=holdings,
            residual=0.01,
            covered_weight=0.6,
            weight_dates=(date(2026, 10, 1),),
            backfilled=False,
        ),
        cohort_effects=brinson_effects(holdings, {"IREN": Cohort.CONTRACTED}),
        cohorts={"IREN": member},
        warnings=(Reason.of(Code.WEIGHTS_TOO_OLD, as_of=date(2026, 10, 1), age_days=50),),
        simulated=False,
        sources=("Yahoo",),
    )
    document = as_json(miners_document(report))
    assert ["contracted AI", "other"] == [one["cohort"] for one in document["holdings"]]
    assert ("2025-11-03", "8-K") == (
        document["holdings"][0]["cohort_as_of"],
        document["holdings"][0]["cohort_source"],
    )
    total = sum(one["contribution"] for one in document["holdings"]) + document["rest"]
    assert document["etf_return"] == pytest.approx(total)
    assert ["contracted AI"] == [one["cohort"] for one in document["cohorts"]]
    assert (["Yahoo"], "ok", [], []) == tuple(document[name] for name in ("sources", "verdict", "reasons", "problems"))
