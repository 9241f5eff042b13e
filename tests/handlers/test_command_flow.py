from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest

from handlers.background import SORRY
from services.alerting.records import AlertChange
from services.rules.decide import Side
from tests.fakes.alerts import an_alert
from tests.fakes.floor import DESK, OPEN, Floor
from tests.fakes.slack import RESPONSES, Fault, Person, SlackServer, refused

POST = "chat.postMessage"
LATER = OPEN + timedelta(minutes=30)


async def test_the_command_alone_shows_the_board_only_to_the_person(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    acknowledged = await person.types("")
    (board,) = slack.answers
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert ("ephemeral", False) == (board["response_type"], board["replace_original"])
    assert board["text"].startswith("WGMI is 8.5 pp above bitcoin today\nOpen; closes 16:00 New York (21:00 UTC).")
    assert "start" in json.dumps(board["blocks"])


async def test_help_goes_out_in_the_acknowledgement_itself(person: Person, slack: SlackServer) -> None:
    told = shown(await person.types("help"))
    assert "`/minerpulse rule add [RULE]`" in told["text"]
    assert [] == slack.answers


async def test_a_rule_that_cannot_be_read_is_answered_in_the_acknowledgement(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    told = shown(await person.types("rule add 1d 8xx"))
    assert told["text"].startswith("```1d 8xx\n   ^^^```")
    assert [] == slack.answers
    assert [] == await floor.desk.rules(DESK)


async def test_nothing_is_asked_of_slack_or_the_market_before_the_acknowledgement(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("help")
    asked = len(slack.calls), len(floor.vendors.requests)
    await person.types("help")
    await person.types("rulez")
    assert asked == (len(slack.calls), len(floor.vendors.requests))


async def test_the_first_rule_of_a_channel_is_announced_there(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("rule add “1d 8%”")
    (announced,) = slack.said(POST)
    (answer,) = slack.answers
    assert "C1" == announced["channel"]
    assert "Rules: `1d 8pp`. Started by <@U1>." in announced["text"]
    assert "Rule 1 `1d 8pp` is added: fires at 8 pp on either side, held 5m, clears below 4.8 pp." == answer["text"]
    assert ["1d 8pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]


async def test_further_rules_are_told_only_to_the_person(person: Person, slack: SlackServer) -> None:
    await person.types("rule add 1d 8pp")
    await person.types("rule add drawdown 60%")
    assert 1 == len(slack.said(POST))
    assert "fires at 60%, held 5m, clears below 36%" in slack.answers[-1]["text"]


async def test_a_rule_that_stands_already_changes_nothing(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("rule add 1d 8pp")
    await person.types("rule add 1d 8pp")
    assert "Rule 1 `1d 8pp` stands here already; nothing was changed." == slack.answers[-1]["text"]
    assert 1 == len(await floor.desk.rules(DESK))


async def test_a_rule_where_the_app_cannot_post_says_what_to_do(person: Person, slack: SlackServer) -> None:
    slack.fail(POST, refused("not_in_channel"))
    await person.types("rule add 1d 8pp at close above")
    (answer,) = slack.answers
    assert "is added: fires at 8 pp above, decided at each close" in answer["text"]
    assert "type /invite @MinerPulse there" in answer["text"]


async def test_a_rule_on_a_pair_without_prices_is_refused(person: Person, slack: SlackServer, floor: Floor) -> None:
    floor.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
    await person.types("rule add 1d 8pp on XXXX/BTC")
    assert "No XXXX prices yet." in slack.answers[-1]["text"]
    assert [] == await floor.desk.rules(DESK)


async def test_rules_are_listed_with_what_they_do(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("rules")
    assert "No rules in this channel yet." in slack.answers[-1]["text"]
    await person.types("rule add 1d 8pp")
    await person.types("rule add 20d 30pp below for 10m")
    await floor.ticks(LATER, [0.09, 0.09])
    await person.types("rules")
    lines = slack.answers[-1]["text"].splitlines()
    assert "2 rules in this channel:" == lines[0]
    assert (
        "*1*  `1d 8pp`: firing since Wed 4 Mar 10:05 New York; "
        "fires at 8 pp on either side, held 5m, clears below 4.8 pp"
    ) == lines[1]
    assert lines[2].startswith("*2*  `20d 30pp below for 10m`: quiet; fires at 30 pp below, held 10m")


async def test_a_rule_on_its_way_and_one_without_prices_are_listed_as_such(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("rule add 1d 8pp")
    await floor.tick(LATER, 0.09)
    await person.types("rules")
    assert "past its threshold since Wed 4 Mar 10:00 New York, not yet held" in slack.answers[-1]["text"]
    await floor.ticks(LATER + timedelta(hours=1), [None, None])
    floor.clock.advance(timedelta(hours=1))
    await person.types("rules")
    assert "no usable prices since Wed 4 Mar 11:00 New York" in slack.answers[-1]["text"]


async def test_a_rule_is_edited_paused_and_resumed_by_its_number_and_the_list_tells_by_whom(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    told = []
    for typed in ("add 1d 8pp", "edit 1 1d 9pp repeat 1h", "edit #1 1d 9pp repeat 1h", "pause 1", "pause 1"):
        await person.types(f"rule {typed}")
        told.append(slack.answers[-1]["text"].splitlines()[0])
    await person.types("rules")
    lines = slack.answers[-1]["text"].splitlines()
    for typed in ("resume 1", "resume 1"):
        await person.types(f"rule {typed}")
        told.append(slack.answers[-1]["text"].splitlines()[0])

    assert "Rule 1 is `1d 9pp repeat 1h` now, and was `1d 8pp`: fires at 9 pp on either side, held 5m" in told[1]
    assert "clears below 5.4 pp, told again every 1h until acknowledged." in told[1]
    assert "Rule 1 `1d 9pp repeat 1h` stands here already; nothing was changed." == told[2]
    assert "is paused; an alert that it alone kept open ends. `/minerpulse rule resume 1` watches it again." in told[3]
    assert "Rule 1 `1d 9pp repeat 1h` is paused already; nothing was changed." == told[4]
    assert "`1d 9pp repeat 1h`: paused since Wed 4 Mar 09:20 New York" in lines[1]
    assert "Rule 1 `1d 8pp → 1d 9pp repeat 1h` edited by <@U1>, Wed 4 Mar 09:20 New York." in lines
    assert "is watched again: fires at 9 pp" in told[5]
    assert "is not paused; nothing was changed" in told[6]
    assert ["1d 9pp repeat 1h"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]


async def test_a_rule_is_removed_by_its_number(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("rule add 1d 8pp")
    await person.types("rule remove #1")
    assert "Rule 1 `1d 8pp` is removed; an alert that it alone kept open ends." == slack.answers[-1]["text"]
    assert [] == await floor.desk.rules(DESK)


async def test_a_rule_whose_row_is_damaged_is_removed_by_its_number(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("rule add 1d 8pp")
    async with floor.store._database.write() as tx:  # noqa: SLF001 -- as a bad disk may write
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs'")
    await person.types("rule remove 1")
    assert "Rule 1 `1d 8 furlongs` is removed; an alert that it alone kept open ends." == slack.answers[-1]["text"]


async def test_a_rule_that_is_not_here_cannot_be_removed(person: Person, slack: SlackServer) -> None:
    await person.types("rule remove 7")
    assert "7" in slack.answers[-1]["text"]
    assert SORRY != slack.answers[-1]["text"]


async def test_history_lists_open_and_closed_alerts(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("history")
    assert "No alerts in this channel so far." in slack.answers[-1]["text"]
    await person.types("rule add 1d 8pp")
    await floor.ticks(LATER, [0.09, 0.10, 0.01, -0.09, -0.09])
    (alert,) = await floor.open_alerts(DESK)
    await floor.desk.acknowledge(DESK, alert.id, "U2")
    await person.types("history")
    assert [
        "The last 2 alerts here:",
        (
            "*Wed 4 Mar 10:20 New York*  #2 WGMI below bitcoin, peak −9.0 pp over 1 day, still open, `1d 8pp`, "
            "acknowledged by <@U2>"
        ),
        "*Wed 4 Mar 10:05 New York*  #1 WGMI above bitcoin, peak +10.0 pp over 1 day, lasted 5 min, `1d 8pp`",
    ] == slack.answers[-1]["text"].splitlines()


async def test_channels_do_not_see_each_other(person: Person, slack: SlackServer) -> None:
    await person.types("rule add 1d 8pp")
    await replace(person, channel="C2").types("rules")
    assert "No rules in this channel yet." in slack.answers[-1]["text"]


async def test_sources_that_fail_are_told_on_the_board(person: Person, slack: SlackServer, floor: Floor) -> None:
    floor.clock.at = LATER
    floor.vendors.faults["yahoo"] = [httpx.Response(404) for _ in range(9)]
    await person.types("")
    assert "Problem: " in slack.answers[-1]["text"]
    assert "No live spread: " in slack.answers[-1]["text"]


async def test_a_bug_is_logged_with_its_trace_and_told_to_the_person(
    person: Person, slack: SlackServer, floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    floor.desk.pair = None  # type: ignore[assignment]  # a bug
    await person.types("")
    assert [SORRY] == [answer["text"] for answer in slack.answers]
    assert "Traceback" in caplog.text


async def test_a_database_out_of_reach_is_told_without_its_details(
    person: Person, slack: SlackServer, floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    await floor.store.aclose()
    await person.types("rules")
    assert slack.answers[-1]["text"].startswith("The database cannot be reached")
    assert "told a person" in caplog.text


@pytest.mark.parametrize(
    ("refusals", "kinds", "numbers"),
    [
        pytest.param(1, {"header", "section", "context", "actions"}, "```Window", id="once: the table in fixed width"),
        pytest.param(2, {"section", "actions"}, "1d: WGMI ", id="twice: its text alone"),
    ],
)
async def test_an_answer_that_slack_refuses_is_sent_in_a_plainer_form(
    person: Person, slack: SlackServer, floor: Floor, refusals: int, kinds: set[str], numbers: str
) -> None:
    floor.clock.at = LATER
    for _ in range(refusals):
        slack.fail(RESPONSES, Fault(status=400, body="invalid_blocks", content_type="text/plain"))

    await person.types("")

    (board,) = slack.answers
    assert kinds == {block["type"] for block in board["blocks"]}
    assert numbers in str(board["blocks"])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault(status=404, body="expired_url", content_type="text/plain"), "expired_url", id="refused"),
        pytest.param(Fault(body="{", status=500), "did not take an answer", id="broken"),
    ],
)
async def test_an_answer_that_does_not_arrive_is_logged(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture, fault: Fault, expected: str
) -> None:
    slack.fail(RESPONSES, fault)
    await person.types("rules")
    assert [] == slack.answers
    assert expected in caplog.text


async def test_an_answer_to_nowhere_is_logged_with_its_trace(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(RESPONSES, *[Fault(drop=True)] * 2)
    await person.types("rules")
    assert "an answer did not reach Slack" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_unsigned_request_is_refused(person: Person) -> None:
    response = await person.app.async_dispatch(AsyncBoltRequest(body="command=%2Fminerpulse&text=help", headers={}))
    assert 401 == response.status


def shown(acknowledged: BoltResponse) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(acknowledged.body)
    return read


async def test_why_shows_the_receipt_of_the_newest_alert_or_of_the_one_that_is_named(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    await person.types("why")
    await person.types("why #1")
    await person.types("why 9")

    newest, named, missing = (answer["text"] for answer in slack.answers)
    assert newest == named
    assert newest.startswith("Why alert 1: WGMI above bitcoin")
    assert "The alert's message: about to be tried." in newest
    assert "No alert 9 in this channel." in missing


async def test_why_of_what_is_no_number_says_what_to_type(person: Person, slack: SlackServer) -> None:
    told = shown(await person.types("why me"))
    assert told["text"].startswith("Which alert?")
    assert [] == slack.answers


async def test_acts_on_the_only_open_alert_need_no_number(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    for typed in ("ack", "ack", "unack", "snooze 2h30m", "resolve <!here> earnings"):
        await person.types(typed)
    (alert,) = await floor.desk.history(DESK)

    topic = "alert 1, WGMI above bitcoin."
    assert [
        f"Acknowledged: {topic}",
        "Already acknowledged by <@U1>, Wed 4 Mar 10:00 New York.",
        f"No longer acknowledged: {topic}",
        f"Snoozed until Wed 4 Mar 12:30 New York (17:30 UTC): {topic}",
        f"Resolved: {topic}",
    ] == [answer["text"] for answer in slack.answers]
    assert alert.snoozed is not None
    assert LATER + timedelta(hours=2, minutes=30) == alert.snoozed.until
    assert "ended by hand: <!here> earnings; a rule of it fires again once it has cleared" == alert.reason


async def test_acts_ask_which_where_several_are_open_and_say_where_none_is(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("ack")
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    below = AlertChange(alert=an_alert(channel=DESK, side=Side.BELOW), revision=0)
    await floor.store.record([], [below], LATER)
    await person.types("resolve")
    await person.types("resolve #2")

    none, several, named = (answer["text"] for answer in slack.answers)
    assert "No alert is open in this channel." in none
    assert "say which by its number: 1 (WGMI above bitcoin), 2 (WGMI below bitcoin)." in several
    assert "Resolved: alert 2, WGMI below bitcoin." == named


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        pytest.param("snooze", "For how long?", id="no length"),
        pytest.param("snooze 12", "For how long?", id="a number alone"),
        pytest.param("snooze 1 forever", "For how long?", id="no length behind a number"),
        pytest.param("ack now", "Which alert?", id="no number"),
    ],
)
async def test_an_act_that_cannot_be_read_is_answered_in_the_acknowledgement(
    person: Person, slack: SlackServer, typed: str, told: str
) -> None:
    assert shown(await person.types(typed))["text"].startswith(told)
    assert [] == slack.answers


async def test_there_is_no_close_to_snooze_until_at_night(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    floor.clock.at = LATER + timedelta(hours=12)
    await person.types("snooze until close")
    assert slack.answers[-1]["text"].startswith("The market is shut, so there is no close to wait for.")


async def test_an_explanation_is_shown_to_the_person_who_asks(person: Person, slack: SlackServer) -> None:
    await person.types("explain 5D")
    (told,) = slack.answers
    assert "ephemeral" == told["response_type"]
    assert told["text"].startswith("WGMI ")
    assert "over 5 days: bitcoin " in told["text"]


async def test_a_rule_is_put_to_history_and_a_rate_to_the_channels_rules(person: Person, slack: SlackServer) -> None:
    refused_at_once = shown(await person.types("tune 5d often"))
    await person.types("rule add 1d 1pp")
    await person.types("backtest 1d 1pp")
    await person.types("tune 1d 10/year")
    assert "```5d often\n   ^^^^^```" in refused_at_once["text"]
    assert slack.answers[-2]["text"].startswith("1d 1pp: ")
    assert "*Against `1d 1pp`*: " in slack.answers[-1]["text"]
