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
    lines = slack.responses[-1]["shown"].splitlines()
    assert "WGMI 8.5 pp ahead of BTC over 1 session. WGMI +8.5%. BTC 0.0%. Data OK." == lines[0]
    assert "Spread *+8.5 pp* since the Mar 3, 2026 close" in lines
    assert "Rules over this window: `1d 8pp above`" in lines


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
    assert ("WGMI", "BTC") == (etf["name"], crypto["name"])
    assert "Mar 4" == chart["chart"]["axis_config"]["categories"][-1]
    assert f"WGMI +{etf['data'][-1]['value']}%" in answer["text"]
    assert "|Mar 4, 10:00 AM ET> · Data OK" in answer["shown"]


async def test_a_rejected_chart_is_sent_as_a_table(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    slack.fail(RESPONSES, REFUSED)
    await person.types("chart 1d")
    (answer,) = slack.responses
    (table,) = [block for block in answer["blocks"] if block["type"] == "table"]
    assert [["Session", "WGMI (%)", "BTC (%)"], ["Mar 3", "0.0", "0.0"], ["Mar 4", "8.5", "0.0"]] == [
        [cell["text"] for cell in row] for row in table["rows"]
    ]


async def test_a_chart_whose_table_is_rejected_is_sent_as_text(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, REFUSED, REFUSED, REFUSED)
    await person.types("chart")
    (answer,) = slack.responses
    assert {"section"} == {block["type"] for block in answer["blocks"]}
    assert "Widest spread " in answer["shown"]


async def test_sources_show_their_prices_and_ages(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER - timedelta(minutes=2))
    await person.types("sources")
    (answer,) = slack.responses
    lines = answer["shown"].splitlines()
    assert "WGMI and BTC: 2 of 2 sources OK. Data OK." == lines[0]
    (yahoo,) = [line for line in lines if line.startswith("Yahoo *OK*: last trade $21.70, <!date")]
    assert yahoo.endswith("|Mar 4, 9:58 AM ET>, 2 min ago, closes to Tue Mar 3.")
    (coinbase,) = [line for line in lines if line.startswith("Coinbase *OK*: last trade $50,000,")]
    assert coinbase.endswith(" Older history is loading (since Aug 17, 2023).")
    assert "Not used for WGMI: Nasdaq, Alpaca (needs a key), Tiingo (needs a key), Twelve Data (needs a key)." in lines


async def test_a_source_that_keeps_failing_is_shown_in_backoff(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(50)]
    for minute in range(6):
        harness.clock.at = LATER + timedelta(minutes=minute)
        await person.types("sources")
    first, last = slack.responses[0], slack.responses[-1]
    assert first["text"].endswith("Data OK. 1 source failing: Yahoo (WGMI).")
    assert "Yahoo :warning: *failing* (Yahoo (WGMI): HTTP 503" in first["shown"]
    assert "Yahoo :warning: *paused after errors*, next try in " in last["shown"]


async def test_a_brief_covers_the_session_so_far(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("brief")
    (answer,) = slack.responses
    assert answer["shown"].startswith("Now: WGMI 8.5 pp ahead of BTC. WGMI +8.5% to $21.70, BTC 0.0% to $50,000. ")
    assert "|Mar 3, 4:00 PM ET>\n" in answer["shown"].partition("*Alerts:* none since ")[2]


async def test_unusable_values_of_a_network_source_are_named(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    pool = FakeMempool(harness.clock, changes={"fastestFee": "soon"}).service()
    harness.research.network_service = harness.market.mining = pool
    await person.types("network")
    await person.types("sources")

    named = "mempool.space (network): unusable values ignored (fastestFee)."
    assert [True, True] == [f":warning: {named}" in answer["shown"] for answer in slack.responses]


async def test_the_network_has_a_power_draw_with_its_range(person: Person, slack: FakeSlack, harness: Harness) -> None:
    pool = FakeMempool(harness.clock).service()
    pool.power_model = PowerModel(machines=read_machines())
    harness.research.network_service = pool
    await person.types("network")
    (answer,) = slack.responses
    assert "\n*Power draw* 13.4 GW, range 6.9 GW to 22.3 GW\n" in answer["shown"]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        pytest.param("miners", "import a file of them with `minerpulse holdings import FILE.csv`.", id="holdings"),
        pytest.param("network", "No network source is set. Your MinerPulse administrator can set one.", id="network"),
    ],
)
async def test_a_permanent_data_error_does_not_suggest_to_try_again(person: Person, text: str, end: str) -> None:
    assert (await reply_to(person, text)).endswith(end)


async def test_the_announcement_names_the_pair_of_the_first_rule(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp on MARA/BTC")
    (lines,) = slack.arguments_of("chat.postMessage")
    assert lines["text"].startswith("Alerts on MARA and BTC are posted here. ")
