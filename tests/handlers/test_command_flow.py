import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from slack_bolt import BoltResponse
from slack_bolt.async_app import AsyncBoltRequest

from handlers.background import INTERNAL_ERROR
from services.alerting.ports import AlertChange
from services.core.reason import Code
from services.delivery.outbox import Outbox
from services.rules.decide import Side
from tests.fakes.alerts import an_alert
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.reasons import reason
from tests.fakes.slack import RESPONSES, FakeSlack, Fault, Person, error_response
from tests.handlers.conftest import reply_to

POST = "chat.postMessage"
LATER = OPEN + timedelta(minutes=30)
OPENED = ((1772637600, "20"), (1772636700, "05"))  # two alerts


async def test_the_bare_command_shows_the_board_only_to_the_person(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    acknowledged = await person.types("")
    (board,) = slack.responses
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert ("ephemeral", False) == (board["response_type"], board["replace_original"])
    assert board["shown"].startswith("WGMI 8.5 pp ahead of BTC today.")
    assert "Market open, closes <!date^1772658000^{time}|4:00 PM ET>" in board["shown"]
    assert "start" in json.dumps(board["blocks"])


async def test_help_is_sent_in_the_acknowledgement(person: Person, slack: FakeSlack) -> None:
    message = ack_body(await person.types("help"))
    assert "`/minerpulse rule add 5d 15pp`" in message["blocks"][1]["text"]["text"]
    assert [] == slack.responses


async def test_an_invalid_rule_is_answered_in_the_acknowledgement(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    message = ack_body(await person.types("rule add 1d 8xx"))
    assert message["text"].startswith("Rule not added: 8xx isn't a valid threshold.")
    assert message["text"].endswith("Did you mean 1d 8pp?")
    assert [] == slack.responses
    assert [] == await harness.commands.rules(CHANNEL)


async def test_no_io_happens_before_the_acknowledgement(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await person.types("help")
    calls_before = len(slack.calls), len(harness.vendors.requests)
    await person.types("help")
    await person.types("rulez")
    assert calls_before == (len(slack.calls), len(harness.vendors.requests))


async def test_the_first_rule_of_a_channel_is_announced_there(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add “1d 8%”")
    (announced,) = slack.arguments_of(POST)
    (answer,) = slack.responses
    assert "C1" == announced["channel"]
    assert "Started by <@U1>" in announced["shown"]
    assert "Rule 1 added: `1d 8pp`" in answer["shown"]
    assert ["1d 8pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_further_rules_are_confirmed_only_to_the_person(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp")
    await person.types("rule add drawdown 60%")
    assert 1 == len(slack.arguments_of(POST))
    assert "Rule 2 added: `drawdown 60%`" in slack.responses[-1]["shown"]


async def test_adding_an_existing_rule_changes_nothing(person: Person, harness: Harness) -> None:
    await person.types("rule add 1d 8pp")
    assert "Not added: rule 1 is already `1d 8pp`." in await reply_to(person, "rule add 1d 8pp")
    assert 1 == len(await harness.commands.rules(CHANNEL))


async def test_adding_a_rule_where_the_app_cannot_post_says_what_to_do(person: Person, slack: FakeSlack) -> None:
    slack.fail(POST, error_response("not_in_channel"))
    await person.types("rule add 1d 8pp at close above")
    (answer,) = slack.responses
    assert "Rule 1 added: `1d 8pp above at close`" in answer["shown"]
    assert "type /invite @MinerPulse there" in answer["shown"]


async def test_a_rule_on_a_pair_without_prices_is_refused(person: Person, harness: Harness) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
    assert "No XXXX prices yet." in await reply_to(person, "rule add 1d 8pp on XXXX/BTC")
    assert [] == await harness.commands.rules(CHANNEL)


async def test_rules_are_listed_with_their_state(person: Person, slack: FakeSlack, harness: Harness) -> None:
    assert "No rules in this channel, so nothing is monitored." in await reply_to(person, "rules")
    await person.types("rule add 1d 8pp")
    await person.types("rule add 20d 30pp below for 10m")
    await harness.ticks(LATER, [0.09, 0.09])
    await person.types("rules")
    lines = slack.responses[-1]["shown"].splitlines()
    assert "2 rules in this channel. 1: 1d 8pp, firing (alert 1). 2: 20d 30pp below for 10m, OK." == lines[0]
    assert "*1*  `1d 8pp` – :red_circle: Firing, #1, +9.0 pp (113%)" in lines
    assert "±8 pp · hold 5 min · clear 4.8 pp" in lines
    assert "−30 pp or less · hold 10 min · clear 18 pp" in lines


async def test_pending_rules_and_rules_without_prices_are_listed(person: Person, harness: Harness) -> None:
    await person.types("rule add 1d 8pp")
    await harness.tick(LATER, 0.09)
    assert "– Pending, past its threshold since <!date^1772636400^" in await reply_to(person, "rules")
    await harness.ticks(LATER + timedelta(hours=1), [None, None])
    harness.clock.advance(timedelta(hours=1))
    assert "– No data since <!date^1772640000^" in await reply_to(person, "rules")


async def test_a_rule_is_edited_paused_and_resumed_and_the_list_shows_by_whom(person: Person, harness: Harness) -> None:
    replies = [
        (await reply_to(person, f"rule {typed}")).splitlines()[0]
        for typed in ("add 1d 8pp", "edit 1 1d 9pp repeat 1h", "edit #1 1d 9pp repeat 1h", "pause 1", "pause 1")
    ]
    lines = (await reply_to(person, "rules")).splitlines()
    replies += [(await reply_to(person, f"rule {typed}")).splitlines()[0] for typed in ("resume 1", "resume 1")]

    assert [
        "Rule 1 changed: 1d 9pp repeat 1h, was 1d 8pp.",
        "Not changed: rule 1 is already 1d 9pp repeat 1h.",
        "Rule 1 1d 9pp repeat 1h paused. Its open alert, if any, resolves unless another rule keeps it open.",
        "Rule 1 1d 9pp repeat 1h is already paused. Nothing was changed.",
        "Rule 1 1d 9pp repeat 1h resumed.",
        "Rule 1 1d 9pp repeat 1h isn't paused. Nothing was changed.",
    ] == replies[1:]
    at = "<!date^1772634000^{date_short_pretty} at {time}|Mar 4, 9:20 AM ET>"
    assert f"*1*  `1d 9pp repeat 1h` – Paused by <@U1>, {at}" in lines
    assert "±9 pp · hold 5 min · clear 5.4 pp · repeat every 1 h" in lines
    assert f"Rule 1 `1d 8pp` → `1d 9pp repeat 1h` edited by <@U1>, {at}" in lines
    assert ["1d 9pp repeat 1h"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_a_rule_is_removed_by_its_number(person: Person, harness: Harness) -> None:
    await person.types("rule add 1d 8pp")
    expected = "Rule 1 `1d 8pp` removed. Its open alert, if any, resolves unless another rule keeps it open."
    assert expected in await reply_to(person, "rule remove #1")
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_unreadable_rule_can_be_removed(person: Person, harness: Harness) -> None:
    await person.types("rule add 1d 8pp")
    async with harness.store._database.write() as tx:  # noqa: SLF001 -- as a bad disk may write
        await tx.exec_driver_sql("UPDATE rules SET rule = '1d 8 furlongs'")
    assert "Rule 1 `1d 8 furlongs` removed." in await reply_to(person, "rule remove 1")


async def test_an_unknown_rule_cannot_be_removed(person: Person, slack: FakeSlack) -> None:
    assert "7" in await reply_to(person, "rule remove 7")
    assert INTERNAL_ERROR != slack.responses[-1]["text"]


async def test_history_lists_open_and_closed_alerts(person: Person, harness: Harness) -> None:
    assert "No alerts in this channel yet." in await reply_to(person, "history")
    await person.types("rule add 1d 8pp")
    await harness.ticks(LATER, [0.09, 0.10, 0.01, -0.09, -0.09])
    (alert,) = await harness.open_alerts(CHANNEL)
    await harness.commands.acknowledge(CHANNEL, alert.id, "U2")
    lines = (await reply_to(person, "history")).splitlines()
    assert "Last 2 alerts in this channel. Newest: alert 2, WGMI behind BTC, peak 9.0 pp." == lines[0]
    newer, older = (f"<!date^{at}^{{date_short_pretty}} at {{time}}|Mar 4, 10:{minute} AM ET>" for at, minute in OPENED)
    assert [
        ":eyes: #2 WGMI behind BTC, peak 9.0 pp",
        f"Acknowledged · {newer} · `1d 8pp` · acknowledged by <@U2>",
        ":white_check_mark: #1 WGMI ahead of BTC, peak 10.0 pp",
        f"Resolved after 5 min · {older} · `1d 8pp`",
    ] == lines[2:]


async def test_channels_do_not_see_each_other(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp")
    await replace(person, channel="C2").types("rules")
    assert "No rules in this channel, so nothing is monitored." in slack.responses[-1]["text"]


async def test_failing_sources_are_shown_on_the_board(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at = LATER
    harness.vendors.faults["yahoo"] = [httpx.Response(404) for _ in range(9)]
    assert ":warning: Yahoo (WGMI): " in await reply_to(person, "")
    assert "no live spread (" in slack.responses[-1]["shown"]


async def test_an_unexpected_error_is_logged_with_its_traceback(
    person: Person, slack: FakeSlack, harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.commands.pair = None  # type: ignore[assignment]  # a bug
    await person.types("")
    assert [INTERNAL_ERROR] == [answer["text"] for answer in slack.responses]
    assert "Traceback" in caplog.text


async def test_an_unavailable_database_is_reported_without_details(
    person: Person, harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.store.aclose()
    assert (await reply_to(person, "rules")).startswith("The database can't be reached, so nothing was changed.")
    assert "request failed" in caplog.text


@pytest.mark.parametrize(
    ("refusals", "kinds", "numbers"),
    [
        pytest.param(1, {"header", "section", "context", "actions"}, "```Sess.", id="once: the table in fixed width"),
        pytest.param(2, {"section", "actions"}, "1 | 0.0 | −0.4 | +0.4 | ", id="twice: its text alone"),
    ],
)
async def test_a_rejected_reply_is_sent_in_a_simpler_form(
    person: Person, slack: FakeSlack, harness: Harness, refusals: int, kinds: set[str], numbers: str
) -> None:
    harness.clock.at = LATER
    for _ in range(refusals):
        slack.fail(RESPONSES, Fault(status=400, body="invalid_blocks", content_type="text/plain"))

    await person.types("")

    (board,) = slack.responses
    assert kinds == {block["type"] for block in board["blocks"]}
    assert numbers in str(board["blocks"])


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault(status=404, body="expired_url", content_type="text/plain"), "expired_url", id="refused"),
        pytest.param(Fault(body="{", status=500), "rejected a reply", id="broken"),
    ],
)
async def test_an_undelivered_reply_is_logged(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture, fault: Fault, expected: str
) -> None:
    slack.fail(RESPONSES, fault)
    await person.types("rules")
    assert [] == slack.responses
    assert expected in caplog.text


async def test_a_connection_error_is_logged_with_its_traceback(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(RESPONSES, *[Fault(drop=True)] * 2)
    await person.types("rules")
    assert "reply did not reach Slack" in caplog.text
    assert "Traceback" in caplog.text


async def test_an_unsigned_request_is_refused(person: Person) -> None:
    response = await person.app.async_dispatch(AsyncBoltRequest(body="command=%2Fminerpulse&text=help", headers={}))
    assert 401 == response.status


def ack_body(acknowledged: BoltResponse) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(acknowledged.body)
    return read


async def test_why_shows_the_newest_or_the_given_alert(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await person.types("why")
    await person.types("why #1")
    await person.types("why 9")

    newest, named, missing = (answer["shown"] for answer in slack.responses)
    assert newest == named
    assert newest.startswith("Audit log of alert #1: WGMI ahead of BTC.")
    assert "Alert message: next attempt now." in newest
    assert "No alert 9 in this channel." in missing


async def test_why_with_an_invalid_id_shows_usage(person: Person, slack: FakeSlack) -> None:
    message = ack_body(await person.types("why me"))
    assert message["text"].startswith("Which alert?")
    assert [] == slack.responses


async def test_alert_commands_default_to_the_only_open_alert(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    for typed in ("ack", "ack", "unack", "snooze 2h30m", "resolve <!here> earnings"):
        await person.types(typed)
    (alert,) = await harness.commands.history(CHANNEL)

    subject = "alert #1, WGMI ahead of BTC."
    assert [
        f"Acknowledged: {subject}",
        "Alert 1 was already acknowledged by <@U1>, Mar 4, 10:00 AM ET.",
        f"Acknowledgement removed: {subject}",
        f"Snoozed until Mar 4, 12:30 PM ET: {subject}",
        f"Resolved: {subject}",
    ] == [answer["text"] for answer in slack.responses]
    assert alert.snoozed is not None
    assert LATER + timedelta(hours=2, minutes=30) == alert.snoozed.until
    assert reason(Code.ENDED_BY_HAND, note="<!here> earnings") == alert.reason


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("resolve earnings", "Resolved by <@U1>: earnings\n", id="resolve"),
        pytest.param("rule pause 1", "<@U1> paused `1d 8pp for 0s`.\n", id="pause"),
        pytest.param("rule remove 1", "<@U1> removed the rule.\n", id="remove"),
        pytest.param(
            "rule edit 1 5d 15pp on MARA/BTC",
            "<@U1> changed `1d 8pp for 0s` to `5d 15pp on MARA/BTC`.\n",
            id="edit",
        ),
    ],
)
async def test_an_alert_that_a_person_ends_says_who_and_does_not_claim_that_it_cleared(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox, typed: str, expected: str
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await outbox.deliver(harness.clock.at)
    await person.types(typed)
    await outbox.deliver(harness.clock.at)

    (message,) = slack.arguments_of("chat.update")
    assert expected in message["shown"]
    assert "cleared" not in message["shown"].lower()


async def test_rules_are_moved_to_a_renamed_symbol_with_their_open_alert_and_noise_votes(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await outbox.deliver(harness.clock.at)
    await harness.commands.add_rule(CHANNEL, "5d 15pp on WGMX/BTC", "U1")
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")

    await person.types("rule move wgmi WGMX")
    later = await harness.ticks(LATER + timedelta(minutes=5), [0.1, 0.13])
    (moved,) = await harness.open_alerts(CHANNEL)
    await harness.tick(later + timedelta(minutes=5), 0.01)
    await outbox.deliver(harness.clock.at)
    await person.types("rule move WGMI WGMX")
    await person.types("rule move WGMX WGMI")

    answer, nothing, back = (one["text"] for one in slack.responses)
    assert (
        "Rule 1 moved from WGMI to WGMX.\nOpen alerts and votes are kept.\n"
        "Rule 3 removed: rule 2 is the same on WGMX." == answer
    )
    assert (1, "WGMX/BTC", "1d 8pp for 0s on WGMX/BTC") == (moved.id, str(moved.pair), moved.hits[0].rule)
    assert 0.1 < moved.peak.value
    ended = slack.arguments_of("chat.update")[-1]["shown"]
    assert ended.startswith("Resolved: WGMX 1.0 pp ahead of BTC, peak 13.0 pp (alert 1).")
    thread = [post["text"] for post in slack.arguments_of(POST) if "thread_ts" in post]
    assert "<@U1> moved the rules on WGMI to WGMX." in thread
    assert "corrected" not in "".join(thread)
    assert "No rule here is on WGMI. /minerpulse rules lists the rules." == nothing
    assert "Rules 1, 2 moved from WGMX to WGMI." in back


async def test_a_moved_rule_keeps_its_side_and_when_it_fired(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    (before,) = await harness.commands.rules(CHANNEL)
    await person.types("rule move WGMI WGMX")
    (after,) = await harness.commands.rules(CHANNEL)

    assert (Side.ABOVE, LATER) == (before.state.firing, before.state.fired_at)
    assert (Side.ABOVE, LATER) == (after.state.firing, after.state.fired_at)


async def test_the_other_leg_is_moved_too(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    await person.types("rule move BTC ETH")

    assert ["5d 15pp on WGMI/ETH"] == [str(one.rule) for one in await harness.commands.rules(CHANNEL)]


async def test_a_rule_that_a_move_removes_leaves_its_alert(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s on WGMX/BTC", "U1")
    await person.types("rule move WGMI WGMX")

    assert [] == await harness.open_alerts(CHANNEL)
    assert [2] == [one.id for one in await harness.commands.rules(CHANNEL)]


@pytest.mark.parametrize("typed", ["", "WGMI", "WGMI WGMI", "WGMI WG/MX", "WGMI WGMX now", "wgmi <!here>"])
async def test_a_move_needs_two_symbols(person: Person, slack: FakeSlack, typed: str) -> None:
    message = ack_body(await person.types(f"rule move {typed}"))

    assert message["text"].startswith("Which symbol was renamed, and what is it now? Type both symbols:")
    assert [] == slack.responses


async def test_alert_commands_need_an_id_unless_one_alert_is_open(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("ack")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    below = AlertChange(alert=an_alert(channel=CHANNEL, side=Side.BELOW), revision=0)
    await harness.store.record([], [below], LATER)
    await person.types("resolve")
    await person.types("resolve #2")

    none, several, named = (answer["text"] for answer in slack.responses)
    assert "No alert is open in this channel." in none
    assert "add the number of one: 1 (WGMI ahead of BTC), 2 (WGMI behind BTC)." in several
    assert "Resolved: alert #2, WGMI behind BTC." == named


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        pytest.param("snooze", "For how long?", id="no length"),
        pytest.param("snooze 12", "For how long?", id="a number alone"),
        pytest.param("snooze 1 forever", "For how long?", id="no length behind a number"),
        pytest.param("snooze 12 0m", "For how long?", id="a length of zero, which is not 120 minutes of another"),
        pytest.param("ack now", "Which alert?", id="no number"),
    ],
)
async def test_an_invalid_alert_command_is_answered_in_the_acknowledgement(
    person: Person, slack: FakeSlack, typed: str, message: str
) -> None:
    assert ack_body(await person.types(typed))["text"].startswith(message)
    assert [] == slack.responses


async def test_snooze_until_close_is_refused_at_night(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    harness.clock.at = LATER + timedelta(hours=12)
    assert (await reply_to(person, "snooze until close")).startswith(
        "Nothing was changed: the market is closed, so there is no close to wait for."
    )


async def test_explain_replies_only_to_the_person(person: Person, slack: FakeSlack) -> None:
    await person.types("explain 5D")
    (message,) = slack.responses
    assert "ephemeral" == message["response_type"]
    assert message["shown"].startswith("WGMI +0.3% over 5 sessions: ")
    assert "BTC factor 0.0 pp, residual 0.0 pp." in message["shown"]


async def test_backtest_and_tune_reply(person: Person, slack: FakeSlack) -> None:
    refused_at_once = ack_body(await person.types("tune 5d often"))
    await person.types("rule add 1d 1pp")
    await person.types("backtest 1d 1pp")
    await person.types("tune 1d 10/year")
    assert refused_at_once["text"].startswith("Not tuned: often isn't a valid rate.")
    assert slack.responses[-2]["text"].startswith("1d 1pp: ")
    assert "Compared with `1d 1pp`: " in slack.responses[-1]["shown"]
