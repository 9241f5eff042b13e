"""`minerpulse pulse` shows the board from files or live, and every number as JSON."""

import asyncio
import json
from datetime import date
from pathlib import Path

import pytest

from bot.documents.pulse import view_document
from services.storage import SqlStore
from tests.bot.conftest import RunCli
from tests.bot.documents.samples import as_json
from tests.bot.files import btc_file, daily_btc_file, etf_file, price_options
from tests.handlers.boards import shut_view

ETF = [20.0, 20.0, 21.0, 22.0, 22.0, 24.2]  # of 2 to 9 March 2026
BTC = [50_000.0, 50_000.0, 50_000.0, 50_000.0, 50_000.0, 51_000.0]
UNUSABLE = (
    "Can't use the database /nowhere/at/all.db: unable to open database file. "
    "Check that its folder exists and is writable."
)
NOWHERE = "http://127.0.0.1:9"  # nothing listens at the discard port
UNREACHABLE = ",".join(
    f"{name}={NOWHERE}" for name in ("yahoo", "nasdaq", "coinbase", "kraken", "bitstamp", "mempool", "blockchain")
)
CLOSE = "2026-03-09T20:00:00+00:00"


async def create_database(url: str) -> None:
    await (await SqlStore.open(url)).aclose()


def test_the_document_has_every_number_with_source_and_age(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("pulse", *price_options(clean, ETF, BTC), "--json")
    assert (result.code, result.err) == (0, "")
    document = json.loads(result.out)
    windows = {row.pop("window"): row for row in document.pop("windows")}
    drawdowns = document.pop("drawdowns")
    assert document == {
        "schema": {"name": "pulse", "version": 1},
        "pair": "WGMI/BTC",
        "simulated": False,
        "now": "2026-03-09T20:15:00+00:00",
        "as_of": CLOSE,
        "session": "2026-03-09",
        "live": False,
        "live_reason": "the market is closed; the last session was Mar 9, 2026",
        "market": {
            "is_open": False,
            "session": "2026-03-09",
            "opens_at": "2026-03-09T13:30:00+00:00",
            "closes_at": CLOSE,
            "half_day": False,
            "next_open_at": "2026-03-10T13:30:00+00:00",
        },
        "prices": {
            "etf": {"symbol": "WGMI", "source": "etf.csv", "price": 24.2, "at": CLOSE, "age_s": 900.0},
            "btc": {"symbol": "BTC", "source": "btc.csv", "price": 51_000.0, "at": CLOSE, "age_s": 900.0},
        },
        "verdict": "ok",
        "reasons": [],
        "gap": None,
        "left_out": [],
        "problems": [],
    }
    assert windows["1d"] == {
        "from": "2026-03-06",
        "etf_return": pytest.approx(0.1),
        "btc_return": pytest.approx(0.02),
        "spread": pytest.approx(0.08),
        "relative": pytest.approx(1.1 / 1.02 - 1),
        "beta": None,
        "beta_se": None,
        "r2": None,
        "correlation": None,
        "residual": None,
        "z": None,
        "percentile": None,
        "sigma": None,
        "sessions": 1,
        "verdict": "ok",
        "reasons": [],
    }
    assert windows["5d"]["spread"] == pytest.approx(0.19)
    assert windows["20d"] == {"reason": "history starts on Mar 2, 2026, after the start of the 20-session window"}
    assert drawdowns["btc"] == {"depth": 0.0, "high": 51_000.0, "high_on": "2026-03-09", "since": "2026-03-02"}


def test_price_files_count_their_own_span_and_wait_for_no_older_prices(minerpulse: RunCli, clean: Path) -> None:
    """The bitcoin file begins more than 930 days before its end, and before the ETF's."""
    btc = daily_btc_file(clean, [50_000.0] * 1530, date(2022, 1, 1))

    result = minerpulse("pulse", "--etf", etf_file(clean, ETF), "--btc", btc)

    assert 0 == result.code
    assert "drawdowns from highs since Jan 2022 and Mar 2026" in " ".join(result.out.split())
    assert "lder history is loading" not in result.out


def test_a_window_has_beta_with_its_error_r2_and_correlation() -> None:
    row = next(row for row in as_json(view_document(shut_view()))["windows"] if row["window"] == "20d")
    assert 0 < row["beta_se"] < row["beta"]
    assert row["r2"] == pytest.approx(row["correlation"] ** 2)


def test_the_document_has_the_implied_gap_with_its_interval() -> None:
    gap = as_json(view_document(shut_view()))["gap"]
    assert {"implied", "low", "high", "beta", "pairs", "basis"} < gap.keys()
    assert gap["low"] < gap["implied"] < gap["high"]
    assert (60, "openings") == (gap["pairs"], gap["basis"])


def test_files_are_measured_at_their_last_common_close(minerpulse: RunCli, clean: Path) -> None:
    files = price_options(clean, ETF, [*BTC[:4], None, None])
    document = json.loads(minerpulse("pulse", *files, "--json").out)
    assert (document["session"], document["as_of"]) == ("2026-03-05", "2026-03-05T21:00:00+00:00")


def test_the_board_is_shown_as_in_slack(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("pulse", *price_options(clean, ETF, BTC))
    shown = [line.rstrip() for line in result.out.splitlines()]
    assert shown[:2] == [
        "WGMI closed 8.0\N{NO-BREAK SPACE}pp ahead of BTC, Mar 9",
        "No BTC price since WGMI's close.",
    ]
    assert "1       +10.0   +2.0       +8.0     –" in shown
    assert "WGMI $24.20 from etf.csv, Mar 9, 4:00 PM ET." in shown


def test_daily_bitcoin_bars_cause_a_warning(minerpulse: RunCli, clean: Path) -> None:
    btc = daily_btc_file(clean, [50_000.0] * 8 + [51_000.0, 52_000.0], date(2026, 3, 1))
    result = minerpulse("pulse", "--etf", etf_file(clean, ETF), "--btc", btc, "--json")
    document = json.loads(result.out)
    assert result.err.count("WARNING: These bitcoin bars are daily") == 1
    assert "daily: they end at midnight UTC" in document["problems"][0]
    assert document["session"] == "2026-03-09"
    assert document["windows"][0]["btc_return"] == pytest.approx(0.02)


def test_a_file_with_future_dates_is_rejected(minerpulse: RunCli, clean: Path) -> None:
    etf, btc = etf_file(clean, ETF, "2027-03-01"), btc_file(clean, BTC)
    future = date.today() < date(2027, 1, 1)  # noqa: DTZ011 -- as the file's dates, of no zone
    result = minerpulse("pulse", "--etf", etf, "--btc", btc)
    assert result.code == 1
    assert (" in the future. Correct its dates." in result.err) is future


def test_files_without_a_common_session_are_rejected(minerpulse: RunCli, clean: Path) -> None:
    etf, btc = etf_file(clean, ETF), btc_file(clean, BTC, "2025-03-03")
    result = minerpulse("pulse", "--etf", etf, "--btc", btc)
    assert (result.code, result.out) == (1, "")
    assert result.err == "etf.csv and btc.csv have no sessions in common. Check their dates.\n"


@pytest.mark.usefixtures("simulated")
def test_a_simulated_market_is_labelled_and_not_stored(minerpulse: RunCli, clean: Path) -> None:
    assert minerpulse("pulse").out.startswith("SIMULATED · ")
    document = json.loads(minerpulse("pulse", "--json").out)
    assert document["simulated"] is True
    assert document["prices"]["btc"]["source"] == "SIMULATED"
    assert list(clean.iterdir()) == []


@pytest.mark.parametrize("command", ["pulse", "drawdown", "explain", "tune 5d 2/month", "report", "chart", "network"])
def test_a_command_that_reads_creates_no_database(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MINERPULSE_SOURCE_URLS", UNREACHABLE)

    result = minerpulse(*command.split())

    assert (result.code, result.out) == (1, "")
    assert "atabase" not in result.err
    assert [] == list(clean.iterdir())


@pytest.mark.parametrize(
    ("database", "expected"),
    [
        pytest.param("sqlite:///desk.db", [], id="usable"),
        pytest.param("sqlite:////nowhere/at/all.db", [f"{UNUSABLE} The prices aren't saved."], id="unusable"),
    ],
)
def test_an_unusable_database_is_named_and_the_prices_are_fetched(
    minerpulse: RunCli,
    monkeypatch: pytest.MonkeyPatch,
    database: str,
    expected: list[str],
) -> None:
    asyncio.run(create_database("sqlite:///desk.db"))
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", database)
    monkeypatch.setenv("MINERPULSE_SOURCE_URLS", UNREACHABLE)
    result = minerpulse("pulse")
    assert (result.code, result.out) == (1, "")
    *notes, sentence = result.err.splitlines()
    assert notes == expected
    assert sentence.startswith("No WGMI prices yet. ")
