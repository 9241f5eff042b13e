"""Requests that only the person sees: one window, a chart, the sources."""

from datetime import timedelta

import httpx
import pytest

from services.market.mining_power import PowerModel
from services.market.sources.files.machines import read_machines
from tests.fakes.harness import OPEN, Harness
from tests.fakes.mempool import FakeMempool
from tests.fakes.slack import RESPONSES, FakeSlack, Fault, Person
from tests.handlers.conftest import reply_to

LATER = OPEN + timedelta(minutes=30)
REFUSED = Fault(status=400, body="invalid_blocks", content_type="text/plain")


async def test_status_of_a_window_shows_it_in_full(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("rule add 1d 8pp above")
    await person.types("status 1d")
    lines = slack.responses[-1]["text"].splitlines()
    assert "WGMI 8.5 pp above bitcoin over 1 day" == lines[0]
    assert "Since the close of 3 Mar 2026:" == lines[1]
    assert "WGMI *+8.5%*" == lines[2]
    assert "Rules here over this window: `1d 8pp above`." in lines


async def test_status_alone_is_the_board(person: Person, slack: FakeSlack) -> None:
    await person.types("status")
    await person.types("board")
    status, board = slack.responses
    assert board["text"] == status["text"]


async def test_a_chart_has_its_numbers_in_the_text(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("chart 5d")
    (answer,) = slack.responses
    (chart,) = [block for block in answer["blocks"] if block["type"] == "data_visualization"]
    etf, crypto = chart["chart"]["series"]
    assert ("WGMI", "Bitcoin") == (etf["name"], crypto["name"])
    assert "4 Mar 26 10:00" == chart["chart"]["axis_config"]["categories"][-1]
    assert f"WGMI *+{etf['data'][-1]['value']}%*" in answer["text"]
    assert "Live, both legs at 10:00 New York (15:00 UTC), 0 s old." in answer["text"]


async def test_a_rejected_chart_is_sent_as_a_table(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    slack.fail(RESPONSES, REFUSED)
    await person.types("chart 1d")
    (answer,) = slack.responses
    (table,) = [block for block in answer["blocks"] if block["type"] == "table"]
    assert [["Session", "WGMI %", "Bitcoin %"], ["3 Mar 26", "0.0", "0.0"], ["4 Mar 26 10:00", "8.5", "0.0"]] == [
        [cell["text"] for cell in row] for row in table["rows"]
    ]


async def test_a_chart_whose_table_is_rejected_is_sent_as_text(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, REFUSED, REFUSED, REFUSED)
    await person.types("chart")
    (answer,) = slack.responses
    assert ["section"] == [block["type"] for block in answer["blocks"]]
    assert "Furthest apart here:" in answer["text"]


async def test_sources_show_their_prices_and_ages(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER - timedelta(minutes=2))
    await person.types("sources")
    (answer,) = slack.responses
    lines = answer["text"].splitlines()
    assert "Sources of WGMI and bitcoin" == lines[0]
    assert "Data ok." == lines[1]
    assert ("Yahoo: last trade $21.70, Wed 4 Mar 09:58 New York, 2 min old, closes to Tue 3 Mar. Answers.") in lines
    (coinbase,) = [line for line in lines if line.startswith("Coinbase: last trade $50,000,")]
    assert coinbase.endswith(" Answers. Older history is loading (since 17 Aug 2023).")
    assert "Not asked for WGMI: Nasdaq, Alpaca (needs a key), Tiingo (needs a key), Twelve Data (needs a key)." in lines


async def test_a_source_that_keeps_failing_is_shown_in_backoff(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(50)]
    for minute in range(6):
        harness.clock.at = LATER + timedelta(minutes=minute)
        await person.types("sources")
    first, last = slack.responses[0]["text"], slack.responses[-1]["text"]
    assert "*Fails*: Yahoo on WGMI: answered 503" in first
    assert "*Left alone*, asked again in " in last


async def test_a_brief_covers_the_session_so_far(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("brief")
    (answer,) = slack.responses
    lines = answer["text"].splitlines()
    assert "WGMI and bitcoin, Wed 4 Mar 10:00 New York" == lines[0]
    assert "Over 1 day to now: WGMI +8.5%, bitcoin 0.0%, spread *+8.5 pp*." in lines
    assert "None since Tue 3 Mar 16:00 New York." in lines


async def test_unusable_values_of_a_network_source_are_named(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    pool = FakeMempool(harness.clock, changes={"fastestFee": "soon"}).service()
    harness.research.network_service = harness.market.mining = pool
    await person.types("network")
    await person.types("sources")

    named = "mempool.space on network: ignored values that it sent in an unusable form: fastestFee."
    assert [True, True] == [f"Problem: {named}" in answer["text"] for answer in slack.responses]


async def test_the_network_has_a_power_draw_with_its_range(person: Person, slack: FakeSlack, harness: Harness) -> None:
    pool = FakeMempool(harness.clock).service()
    pool.power_model = PowerModel(machines=read_machines())
    harness.research.network_service = pool
    await person.types("network")
    (answer,) = slack.responses
    power = [line for line in answer["text"].splitlines() if line.startswith("*Power draw*")]
    assert ["*Power draw* 13.4 GW, best estimate; between 6.9 GW and 22.3 GW."] == power


@pytest.mark.parametrize(
    ("text", "end"),
    [
        pytest.param("miners", "import a file of them with `minerpulse holdings import FILE.csv`.", id="holdings"),
        pytest.param("network", "No source of it is set. Your MinerPulse administrator can set one.", id="the network"),
    ],
)
async def test_a_permanent_data_error_does_not_suggest_to_try_again(person: Person, text: str, end: str) -> None:
    assert (await reply_to(person, text)).endswith(end)


async def test_the_announcement_names_the_pair_of_the_first_rule(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp on MARA/BTC")
    (lines,) = slack.arguments_of("chat.postMessage")
    assert lines["text"].startswith("MinerPulse alerts on MARA against bitcoin come here from now on.")
