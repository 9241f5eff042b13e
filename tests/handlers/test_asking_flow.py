"""What people ask for and nobody else sees: one window, a chart, the sources."""

from __future__ import annotations

from datetime import timedelta

import httpx
import pytest

from tests.fakes.floor import OPEN, Floor
from tests.fakes.slack import RESPONSES, Fault, Person, SlackServer

LATER = OPEN + timedelta(minutes=30)
REFUSED = Fault(status=400, body="invalid_blocks", content_type="text/plain")


async def test_status_of_a_window_tells_it_in_full(person: Person, slack: SlackServer, floor: Floor) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("rule add 1d 8pp above")
    await person.types("status 1d")
    told = slack.answers[-1]["text"].splitlines()
    assert "WGMI 8.5 pp above bitcoin over 1 day" == told[0]
    assert "Since the close of 3 Mar 2026:" == told[1]
    assert "WGMI *+8.5%*" == told[2]
    assert "Rules here over this window: `1d 8pp above`." in told


async def test_status_alone_is_the_board(person: Person, slack: SlackServer) -> None:
    await person.types("status")
    await person.types("board")
    status, board = slack.answers
    assert board["text"] == status["text"]


async def test_a_chart_is_drawn_and_its_text_tells_the_numbers(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("chart 5d")
    (answer,) = slack.answers
    (drawn,) = [block for block in answer["blocks"] if block["type"] == "data_visualization"]
    etf, crypto = drawn["chart"]["series"]
    assert ("WGMI", "Bitcoin") == (etf["name"], crypto["name"])
    assert "4 Mar 26 10:00" == drawn["chart"]["axis_config"]["categories"][-1]
    assert f"WGMI *+{etf['data'][-1]['value']}%*" in answer["text"]
    assert "Live, both legs at 10:00 New York (15:00 UTC), 0 s old." in answer["text"]


async def test_a_chart_that_slack_cannot_draw_is_sent_as_a_table(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    slack.fail(RESPONSES, REFUSED)
    await person.types("chart 1d")
    (answer,) = slack.answers
    (table,) = [block for block in answer["blocks"] if block["type"] == "table"]
    assert [["Session", "WGMI %", "Bitcoin %"], ["3 Mar 26", "0.0", "0.0"], ["4 Mar 26 10:00", "8.5", "0.0"]] == [
        [cell["text"] for cell in row] for row in table["rows"]
    ]


async def test_a_chart_whose_table_is_refused_too_is_sent_in_words(person: Person, slack: SlackServer) -> None:
    slack.fail(RESPONSES, REFUSED, REFUSED, REFUSED)
    await person.types("chart")
    (answer,) = slack.answers
    assert ["section"] == [block["type"] for block in answer["blocks"]]
    assert "Furthest apart here:" in answer["text"]


async def test_sources_tell_what_each_knows_and_how_old_it_is(person: Person, slack: SlackServer, floor: Floor) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER - timedelta(minutes=2))
    await person.types("sources")
    (answer,) = slack.answers
    lines = answer["text"].splitlines()
    assert "Sources of WGMI and bitcoin" == lines[0]
    assert "Data ok." == lines[1]
    assert ("Yahoo: last trade $21.70, Wed 4 Mar 09:58 New York, 2 min old, closes to Tue 3 Mar. Answers.") in lines
    assert any(line.startswith("Coinbase: last trade $50,000,") for line in lines)
    assert "Not asked for WGMI: Nasdaq, Alpaca (needs a key), Tiingo (needs a key), Twelve Data (needs a key)." in lines


async def test_a_source_that_fails_again_and_again_is_shown_as_left_alone(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(50)]
    for minute in range(6):
        floor.clock.at = LATER + timedelta(minutes=minute)
        await person.types("sources")
    first, last = slack.answers[0]["text"], slack.answers[-1]["text"]
    assert "*Fails*: Yahoo on WGMI: answered 503" in first
    assert "*Left alone*, asked again in " in last


async def test_a_brief_at_any_time_tells_the_session_so_far(person: Person, slack: SlackServer, floor: Floor) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    await person.types("brief")
    (answer,) = slack.answers
    told = answer["text"].splitlines()
    assert "WGMI and bitcoin, Wed 4 Mar 10:00 New York" == told[0]
    assert "Over 1 day to now: WGMI +8.5%, bitcoin 0.0%, spread *+8.5 pp*." in told
    assert "None since Tue 3 Mar 16:00 New York." in told


@pytest.mark.parametrize(
    ("text", "end"),
    [
        pytest.param("miners", "imports a file of them with `minerpulse holdings import FILE.csv`.", id="holdings"),
        pytest.param("network", "No source of it is set. Whoever runs MinerPulse sets one.", id="the network"),
    ],
)
async def test_what_waiting_does_not_mend_is_not_answered_with_try_again(
    person: Person, slack: SlackServer, text: str, end: str
) -> None:
    await person.types(text)
    assert slack.answers[-1]["text"].endswith(end)


async def test_the_first_rule_of_a_channel_is_announced_with_the_pair_that_it_is_about(
    person: Person, slack: SlackServer
) -> None:
    await person.types("rule add 1d 8pp on MARA/BTC")
    (told,) = slack.said("chat.postMessage")
    assert told["text"].startswith("MinerPulse alerts on MARA against bitcoin come here from now on.")
