"""`minerpulse replay` from files to tables and JSON."""

import json
from datetime import date
from pathlib import Path

import pytest

from bot.commands.replay import format_rule_value
from services.market.metrics import CORRELATION, PERCENT, PP, SIGMA, Unit
from tests.bot.conftest import ROOT, RunCli
from tests.bot.files import btc_file, daily_btc_file, etf_file, price_options

SHARED = ROOT.parent / "shared" / "data"
ETF = [20.0, 20.0, 22.0, 22.0, 22.0]  # of 2 to 6 March 2026: a tenth up on the 4th
BTC = [50_000.0] * 5


def test_the_document_has_only_sessions_and_transitions(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("replay", *price_options(clean, ETF, BTC), "--rule", "1D  8pp", "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    [fired, resolved] = document["rules"][0].pop("transitions")
    assert document == {
        "schema": {"name": "replay", "version": 1},
        "as_of": "2026-03-06T21:00:00+00:00",
        "sessions": 5,
        "left_out": [],
        "rules": [{"rule": "1d 8pp", "episodes": 1, "per_year": 252 / 4}],
    }
    assert fired == {
        "session": "2026-03-04",
        "to": "firing",
        "direction": "above",
        "spread_pp": pytest.approx(10.0),
        "etf_return": pytest.approx(0.1),
        "btc_return": 0.0,
    }
    assert resolved == {
        "session": "2026-03-05",
        "to": "resolved",
        "direction": "above",
        "spread_pp": 0.0,
        "etf_return": 0.0,
        "btc_return": 0.0,
    }


def test_a_leg_without_a_price_is_null(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, [20.0, None, 20.0], [50_000.0, 10_000.0, 10_000.0])
    result = minerpulse("replay", *files, "--rule", "drawdown 60%", "--json")
    document = json.loads(result.out, parse_constant=pytest.fail)
    [fired] = document["rules"][0]["transitions"]
    assert (fired["session"], fired["spread_pp"], fired["btc_return"]) == ("2026-03-03", None, pytest.approx(-0.8))
    assert document["sessions"] == 2
    assert document["left_out"] == [
        {"session": "2026-03-03", "leg": "etf", "reason": "etf.csv has no WGMI close for this session"}
    ]


def test_the_default_rules_are_replayed(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("replay", *price_options(clean, ETF, BTC), "--json")
    assert [rule["rule"] for rule in json.loads(result.out)["rules"]] == ["1d 8pp", "5d 15pp", "20d 30pp"]


def test_the_period_can_be_limited(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, ETF, BTC)
    result = minerpulse("replay", *files, "--rule", "1d 8pp", "--from", "2026-03-05", "--to", "2026-03-06", "--json")
    document = json.loads(result.out)
    assert (document["sessions"], document["rules"][0]["episodes"]) == (2, 0)


def test_the_terminal_shows_each_episode_and_a_summary(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, [*ETF, 20.0, 20.0, 24.0], [50_000.0] * 8)
    result = minerpulse("replay", *files, "--rule", "1d 8pp", "--rule", "20d 30pp")
    assert [line.rstrip() for line in result.out.replace("\N{NO-BREAK SPACE}", " ").splitlines()] == [
        "8 sessions with both prices, 2026-03-02 to 2026-03-11",
        "",
        "1d 8pp",
        "Fired      Resolved   Side    Spread    ETF  BTC Sessions",
        "2026-03-04 2026-03-05 above +10.0 pp +10.0% 0.0%        1",
        "2026-03-09 2026-03-10 below  −9.1 pp  −9.1% 0.0%        1",
        "2026-03-11 still open above +20.0 pp +20.0% 0.0%        1",
        "1d 8pp: fired 3 times, 108.0 a year, median length 1 session",
        "2026 Q1 █ 2026 Q1 alerts per quarter",
        "Median 1 session to clear, longest 1 session.",
        "5 sessions later, the gap was closed in 0 of 1 separate case.",
        "5-session forward change: median +9.1 pp, wider in 1 of 1. Base rate: median 0.0 pp, wider in 22%.",
        "Alerts with non-overlapping look-back windows: 3 of 3.",
        "",
        "20d 30pp: never fired.",
    ]


def test_a_rule_on_another_metric_shows_its_value(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, [20.0] * 70, [50_000.0] * 69 + [20_000.0], "2025-11-20")
    result = minerpulse("replay", *files, "--rule", "drawdown 50%", "--rule", "60d residual 10pp")
    shown = [" ".join(line.split()) for line in result.out.splitlines()]
    assert "Fired Resolved Side Drawdown Spread ETF BTC Sessions" in shown
    assert "2026-03-04 still open above 60.0% +60.0 pp 0.0% −60.0% 1" in shown
    assert "drawdown 50%: fired 1 time, 3.6 a year, median length 1 session" in shown
    assert "2025 Q4 ▁█ 2026 Q1 alerts per quarter" in shown


@pytest.mark.parametrize(
    ("unit", "value", "expected"),
    [
        pytest.param(CORRELATION, 0.3591, "+0.36", id="two decimals"),
        pytest.param(CORRELATION, -0.004, "0.00", id="zero has no sign"),
        pytest.param(PERCENT, -0.0554, "−5.5%", id="a leg that fell"),
        pytest.param(PP, -0.0004, "0.0 pp", id="zero in points"),
        pytest.param(SIGMA, 2.24, "+2.2σ", id="sigma"),
    ],
)
def test_a_fired_value_has_the_decimals_of_its_unit(unit: Unit, value: float, expected: str) -> None:
    assert expected == format_rule_value(value, unit)


def test_quarters_before_the_first_measurement_are_dots(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, [20.0] * 70 + [30.0], [50_000.0] * 71, "2025-11-20")
    result = minerpulse("replay", *files, "--rule", "60d 10pp")
    assert "2025 Q4 ·█ 2026 Q1 alerts per quarter" in result.out


def test_excluded_sessions_are_grouped_by_reason(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, [20.0, None, 20.0, 20.0, 20.0], [50_000.0, 50_000.0, None, 50_000.0, None])
    result = minerpulse("replay", *files, "--rule", "1d 8pp")
    shown = " ".join(result.out.split())
    assert "2 sessions (Mar 4, 2026" in shown
    assert "1 session (Mar 3, 2026) has no WGMI price: etf.csv has no WGMI close for this session" in shown


def test_daily_bitcoin_bars_cause_a_warning_on_stderr(minerpulse: RunCli, clean: Path) -> None:
    etf, btc = etf_file(clean, ETF), daily_btc_file(clean, [50_000.0] * 7, date(2026, 3, 1))
    result = minerpulse("replay", "--etf", etf, "--btc", btc, "--rule", "1d 8pp", "--json")
    assert result.err.startswith("WARNING: These bitcoin bars are daily")
    assert json.loads(result.out)["sessions"] == 5


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        pytest.param(("--rule", "1d 8pq"), 2, "1d 8pq\n   ^^^", id="rule"),
        pytest.param(
            ("--rule", "gap 5%"), 1, "measured only while the market is closed", id="rule-that-a-replay-cannot-decide"
        ),
        pytest.param(("--from", "2027-01-01"), 1, "the prices run from 2026-03-02 to 2026-03-06", id="no-session"),
        pytest.param(
            ("--from", "March"), 2, "“March” isn't a valid date. Use YYYY-MM-DD, as in 2026-03-31.", id="date"
        ),
    ],
)
def test_invalid_input_is_an_error(
    minerpulse: RunCli, clean: Path, options: tuple[str, str], code: int, expected: str
) -> None:
    result = minerpulse("replay", *price_options(clean, ETF, BTC), *options)
    assert (result.code, result.out) == (code, "")
    assert expected in result.err


def test_a_parse_error_names_the_line(minerpulse: RunCli, clean: Path) -> None:
    broken = clean / "broken.csv"
    broken.write_text("Date,Close\n2026-03-02,abc\n", encoding="utf-8")
    result = minerpulse("replay", "--etf", broken, "--btc", btc_file(clean, BTC))
    assert (result.code, result.out) == (1, "")
    assert f"{broken}, line 2: " in result.err


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the vendors' real prices beside this repository")
def test_1d_8pp_fired_44_times_on_real_prices(minerpulse: RunCli) -> None:
    files = "--etf", SHARED / "equities" / "WGMI.csv", "--btc", SHARED / "btc" / "btcusdt_binance_1h.csv"
    document = json.loads(minerpulse("replay", *files, "--rule", "1d 8pp", "--json").out)
    assert (document["sessions"], document["rules"][0]["episodes"]) == (1047, 44)
