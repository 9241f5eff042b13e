"""Every command prints one valid document with `--json`, on price files and on the simulated market."""

import json
import math
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from bot.documents.fields import DocumentName, close_of
from bot.documents.studies import miners_document
from services.core.prices import Symbol
from services.market.holdings import Holding, Holdings
from services.market.measure import Window
from tests.bot.conftest import RunCli
from tests.bot.documents.samples import as_json
from tests.bot.documents.test_schemas import validator
from tests.bot.files import etf_file, price_options
from tests.fakes.harness import YESTERDAY, open_harness
from tests.fakes.legs import random_legs

LEGS = random_legs(300)  # up to 19 April 2023
FIRST = "2022-02-08"
LAST_CLOSE = "2023-04-19T20:00:00+00:00"
ON_FILES: dict[DocumentName, tuple[str, ...]] = {
    "pulse": (),
    "explain": ("60d", "--ai"),
    "backtest": ("5d", "15pp"),
    "tune": ("5d", "2/month", "--against", "5d 8pp"),
    "replay": ("--rule", "1d 8pp", "--rule", "5d z 3"),
    "report": ("--rule", "5d 15pp", "--ai"),
    "drawdown": (),
}


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options for the two files, where each leg lacks a price."""
    etf: list[float | None] = [*LEGS.aligned.etf.tolist()]
    btc: list[float | None] = [*LEGS.aligned.crypto.tolist()]
    etf[40], btc[50] = None, None
    return price_options(clean, etf, btc, FIRST)


@pytest.fixture
def proxy_file(files: list[str | Path], clean: Path) -> Path:  # noqa: ARG001 -- written after the file of its name
    """The closes of the AI proxy."""
    folder = clean / "proxy"
    folder.mkdir()
    return etf_file(folder, LEGS.proxy_prices.tolist(), FIRST)


@pytest.mark.parametrize("name", ON_FILES)
def test_a_command_on_price_files_prints_a_valid_document(
    minerpulse: RunCli, files: list[str | Path], proxy_file: Path, name: DocumentName
) -> None:
    options = [proxy for option in ON_FILES[name] for proxy in ([option, proxy_file] if option == "--ai" else [option])]

    result = minerpulse(name, *options, *files, "--json")

    assert (0, "") == (result.code, result.err)
    document = json.loads(result.out, parse_constant=pytest.fail)
    validator(name).validate(document)
    assert LAST_CLOSE == document["as_of"]


def test_the_basis_of_an_explanation_is_printed_and_in_the_document(
    minerpulse: RunCli, files: list[str | Path], proxy_file: Path
) -> None:
    options = ["explain", "60d", *files, "--ai", proxy_file]
    history = json.loads(minerpulse(*options, "--json").out)["basis"]["history"]

    assert ("2023-04-19", 298) == (history["last"], history["sessions"])
    assert "298 sessions" in " ".join(minerpulse(*options).out.split()).replace("\N{NO-BREAK SPACE}", " ")


def test_a_backtest_lists_the_sessions_that_it_leaves_out(minerpulse: RunCli, files: list[str | Path]) -> None:
    left_out = json.loads(minerpulse("backtest", "5d", "15pp", *files, "--json").out)["left_out"]

    assert ["etf", "btc"] == [one["leg"] for one in left_out]


@pytest.mark.usefixtures("simulated")
@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("pulse", (), id="pulse"),
        pytest.param("explain", ("5d",), id="explain"),
        pytest.param("backtest", ("5d 15pp",), id="backtest"),
        pytest.param("tune", ("5d 2/month",), id="tune"),
        pytest.param("drawdown", (), id="drawdown"),
        pytest.param("network", (), id="network"),
        pytest.param("report", (), id="report"),
    ],
)
def test_a_command_on_the_simulated_market_prints_a_valid_document(
    minerpulse: RunCli, name: DocumentName, options: tuple[str, ...]
) -> None:
    result = minerpulse(name, *options, "--json")

    assert (0, "") == (result.code, result.err)
    validator(name).validate(json.loads(result.out, parse_constant=pytest.fail))


@pytest.mark.usefixtures("simulated")
def test_a_window_has_a_percentile_or_a_sigma_and_every_statistic_of_its_beta(minerpulse: RunCli) -> None:
    windows = {row["window"]: row for row in json.loads(minerpulse("pulse", "--json").out)["windows"]}

    assert [window.value for window in Window] == list(windows)
    for name, row in windows.items():
        assert (name in {"1d", "5d", "20d"}) == (row["percentile"] is not None) == (row["sigma"] is None)
        assert None not in [row[key] for key in ("sessions", "beta", "beta_se", "r2", "correlation")]


async def test_the_miners_of_stored_holdings_are_a_valid_document() -> None:
    position = Holding(ticker="MARA", weight=0.5)
    held = Holdings(fund=Symbol("WGMI"), as_of=date(2026, 3, 2), source="test", positions=(position,))
    async with open_harness() as harness:
        await harness.store.save_holdings([held])
        report = await harness.research.holdings.report(Window.D1, harness.clock.at)

    document = as_json(miners_document(report))

    validator("miners").validate(document)
    assert [f"{YESTERDAY}", "MARA"] == [document["session"], document["holdings"][0]["ticker"]]


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        pytest.param(date(2026, 11, 25), "2026-11-25T21:00:00+00:00", id="winter"),
        pytest.param(date(2026, 11, 27), "2026-11-27T18:00:00+00:00", id="half-day"),
        pytest.param(date(2026, 12, 31), "2026-12-31T21:00:00+00:00", id="last of a year"),
    ],
)
def test_the_time_of_a_document_on_closes_is_the_close(session: date, expected: str) -> None:
    assert expected == as_json(close_of(session))


def test_numbers_that_json_lacks_are_null() -> None:
    assert {"a": None, "b": [None, 1.5], "c": {"d": None}} == as_json(
        {"a": math.nan, "b": (-math.inf, 1.5), "c": {"d": np.float64("inf")}}
    )


@pytest.mark.usefixtures("simulated")
def test_a_report_as_json_writes_no_page(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("report", "--json", "-o", "page.html")

    assert (2, "") == (result.code, result.out)
    assert "--json prints the document and writes no page. Omit -o." in result.err
    assert minerpulse("report", "--json").code == 0
    assert [] == list(clean.iterdir())


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        pytest.param(("backtest", "5d 15pq"), 2, "“15pq” isn't", id="rule"),
        pytest.param(("backtest", "gap 5%"), 1, "measured only while the market is closed", id="rule on the gap"),
        pytest.param(("backtest",), 2, "Missing argument 'RULE'", id="no rule"),
    ],
)
def test_an_error_is_on_stderr_alone(
    minerpulse: RunCli, files: list[str | Path], arguments: tuple[str, ...], code: int, expected: str
) -> None:
    result = minerpulse(*arguments, *files, "--json")

    assert (code, "") == (result.code, result.out)
    assert expected in result.err


def test_a_backtest_is_shown_as_in_slack(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("backtest", "5d", "15pp", *files)

    assert (0, "") == (result.code, result.err)
    assert result.out.startswith("5d 15pp: ")
    assert "Evaluated on session closes, no hold" in result.out


def test_a_backtest_has_what_followed_beside_chance_and_any_sessions(
    minerpulse: RunCli, files: list[str | Path]
) -> None:
    document = json.loads(minerpulse("backtest", "1d", "5pp", *files, "--json").out)

    follow_up, outcomes = document["follow_up"], [episode["outcome"] for episode in document["episodes"]]
    assert follow_up["alerts"] == sum(outcome is not None for outcome in outcomes)
    assert follow_up["closed"] == sum(bool(one) and one["closed"] and one["non_overlapping"] for one in outcomes)
    assert follow_up["low"] <= follow_up["closed"] / follow_up["cases"] <= follow_up["high"]
    assert [5, 20] == [benchmark["sessions"] for benchmark in document["benchmarks"]]
    assert document["measured_to"] == "2023-04-19"
    assert ("2022-02-08", 298) == (document["history"]["first"], document["history"]["sessions"])


def test_a_transition_has_a_value_if_the_rule_is_not_on_the_spread(minerpulse: RunCli, files: list[str | Path]) -> None:
    document = json.loads(minerpulse("replay", "--rule", "1d 8pp", "--rule", "5d z 3", *files, "--json").out)
    on_spread, on_z = (rule["transitions"][0] for rule in document["rules"])

    assert {"session", "to", "direction", "spread_pp", "etf_return", "btc_return"} == on_spread.keys()
    assert on_spread["spread_pp"] == pytest.approx(100 * (on_spread["etf_return"] - on_spread["btc_return"]))
    assert {"value", *on_spread} == on_z.keys()
    assert on_z["spread_pp"] is None
    assert abs(on_z["value"]) >= 3
