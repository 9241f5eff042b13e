import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from handlers.render.markup import NBSP
from handlers.render.message import FALLBACK_TEXT
from services.alerting.alert import Alert
from services.channels.permissions import Permissions
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person, error_response
from tests.handlers.conftest import reply_to

POST, UPDATE = "chat.postMessage", "chat.update"
VOTE_BUTTONS = ["useful", "noise"]
LATER = OPEN + timedelta(minutes=30)
NEXT_OPEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


@pytest.fixture
async def alert(harness: Harness) -> Alert:
    """An open alert of the channel, not yet posted."""
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(LATER, [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    return alert


async def test_refresh_replaces_the_board(person: Person, slack: FakeSlack, harness: Harness) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    acknowledged = await person.presses("refresh", "board")
    (board,) = slack.responses
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert board["replace_original"] is True
    assert board["shown"].startswith("WGMI 8.5 pp ahead of BTC today.")


async def test_a_reason_shows_people_and_hides_channel_names(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await person.types("resolve <@U2|ann> told <#C9|secret-plan> &amp; <!channel> about it" + " x" * 200)
    await outbox.deliver(harness.clock.at)
    await person.types(f"why {alert.id}")
    posts = [post for post in slack.arguments_of(POST) if post["text"].startswith(("Resolved", ":white_check_mark:"))]
    assert 2 == len(posts)
    for message in (*posts, slack.responses[-1]):
        assert ": <@U2> told <#C9> &amp; @channel about it x" in message["shown"]
        assert "secret-plan" not in message["shown"]
    assert all(len(post["text"]) < FALLBACK_TEXT for post in posts)


@pytest.mark.parametrize("typed", ["snooze 2 hours", "snooze 1 “2h”", "snooze #1 120 min"])
async def test_a_duration_in_two_words_or_quotes_snoozes_the_right_alert(
    person: Person, slack: FakeSlack, alert: Alert, typed: str
) -> None:
    await person.types(typed)
    expected = f"Snoozed until Mar 4, 12:05 PM ET: alert #{alert.id}, WGMI ahead of BTC."
    assert expected == slack.responses[-1]["text"]


async def test_concurrent_starts_are_announced_once(person: Person, slack: FakeSlack, harness: Harness) -> None:
    other = replace(person, user="U2")
    await asyncio.gather(person.presses("start", "board"), other.presses("start", "board"))
    (text,) = slack.arguments_of(POST)
    started_by = {rule.created_by for rule in await harness.commands.rules(CHANNEL)}
    assert [f"Started by <@{one}>" in text["shown"] for one in started_by] == [True]
    assert all("Rules: `1d 8pp`" in board["shown"] for board in slack.responses)


async def test_concurrent_starts_from_the_welcome_have_one_outcome(person: Person, slack: FakeSlack) -> None:
    other = replace(person, user="U2")
    await asyncio.gather(person.presses("begin", "channel"), other.presses("begin", "channel"))
    assert [False, True] == sorted(answer["replace_original"] for answer in slack.responses)
    assert 1 == sum("Started by" in answer["shown"] for answer in slack.responses)


async def test_share_posts_the_board_with_the_name_of_the_sharer(person: Person, slack: FakeSlack) -> None:
    await person.presses("share", "board")
    (board,) = slack.responses
    assert ("in_channel", False) == (board["response_type"], board["replace_original"])
    assert "Shared by <@U1>, <!date^1772634000^{date_short_pretty} at {time}|Mar 4, 9:20 AM ET>." in board["shown"]
    assert [] == [block for block in board["blocks"] if block["type"] == "actions"]


async def test_start_announces_alerts_then_adds_the_default_rules(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.presses("start", "board")
    (announcement,) = slack.arguments_of(POST)
    (board,) = slack.responses
    assert "C1" == announcement["channel"]
    assert [
        "Alerts on WGMI and BTC are posted here. Rules: 1d 8pp, 5d 15pp, 20d 30pp.",
        "Alerts on WGMI and BTC are posted here.",
        "Rules: `1d 8pp`, `5d 15pp`, `20d 30pp`.",
        "Started by <@U1> · help: `/minerpulse help`",
    ] == announcement["shown"].splitlines()
    assert board["replace_original"] is True
    assert "Rules: `1d 8pp`, `5d 15pp`, `20d 30pp`\n" in board["shown"]
    assert ["1d 8pp", "5d 15pp", "20d 30pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_start_pressed_twice_announces_once(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await person.presses("start", "board")
    await person.presses("start", "board")
    assert 1 == len(slack.arguments_of(POST))
    assert 3 == len(await harness.commands.rules(CHANNEL))


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found"])
async def test_start_adds_no_rules_if_the_app_cannot_post(
    person: Person, slack: FakeSlack, harness: Harness, code: str
) -> None:
    slack.fail(POST, error_response(code))
    await person.presses("start", "board")
    (answer,) = slack.responses
    assert "type /invite @MinerPulse there" in answer["text"]
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_acknowledgement_updates_the_alert_message(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(harness.clock.at)
    await person.presses("acknowledge", str(alert.id))
    await outbox.deliver(harness.clock.at)
    (edited,) = slack.arguments_of(UPDATE)
    posted, first_reply, thread_reply = slack.arguments_of(POST)
    assert [] == slack.responses
    assert edited["text"].startswith("Acknowledged: WGMI ")
    assert ":eyes: Alert #1 · by <@U1> at <!date^1772636700^{time}|10:05 AM ET>" in edited["shown"]
    assert ["unacknowledge", "snooze", "details"] == buttons(edited)
    assert ["acknowledge", "snooze", "details"] == buttons(posted)
    assert ":eyes: Acknowledged by <@U1>." == thread_reply["text"]
    assert {edited["ts"]} == {first_reply["thread_ts"], thread_reply["thread_ts"]}


async def test_a_second_acknowledgement_names_the_first_person(person: Person, slack: FakeSlack, alert: Alert) -> None:
    await person.presses("acknowledge", str(alert.id))
    await replace(person, user="U2").presses("acknowledge", str(alert.id))
    assert ["Alert 1 was already acknowledged by <@U1>, Mar 4, 10:05 AM ET."] == [
        one["text"] for one in slack.responses
    ]


async def test_a_closed_alert_cannot_be_acknowledged_or_snoozed(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await person.presses("acknowledge", str(alert.id))
    await harness.tick(LATER + timedelta(minutes=10), 0.01)
    await person.presses("acknowledge", str(alert.id))
    await person.chooses("snooze", f"{alert.id}:1h")
    expected = "Alert 1 was closed Mar 4, 10:10 AM ET. Nothing was changed."
    assert [expected, expected] == [one["text"] for one in slack.responses]


@pytest.mark.parametrize(
    ("span", "until"),
    [
        pytest.param("30m", LATER + timedelta(minutes=35), id="30 min"),
        pytest.param("1h", LATER + timedelta(hours=1, minutes=5), id="1 h"),
        pytest.param("4h", LATER + timedelta(hours=4, minutes=5), id="4 h"),
        pytest.param("close", CLOSE, id="until the close"),
        pytest.param("open", NEXT_OPEN, id="until the next open"),
    ],
)
async def test_a_snooze_ends_at_the_chosen_time(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, span: str, until: datetime
) -> None:
    await person.chooses("snooze", f"{alert.id}:{span}")
    (snoozed,) = await harness.open_alerts(CHANNEL)
    assert [] == slack.responses
    assert snoozed.snoozed is not None
    assert ("U1", until) == (snoozed.snoozed.by, snoozed.snoozed.until)


async def test_snooze_until_close_is_refused_when_the_market_is_closed(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    harness.clock.at = CLOSE
    await person.chooses("snooze", f"{alert.id}:close")
    (current,) = await harness.open_alerts(CHANNEL)
    assert current.snoozed is None
    assert [
        "Nothing was changed: the market is closed, so there is no close to wait for. It opens Mar 5, 9:30 AM ET."
    ] == [one["text"] for one in slack.responses]


@pytest.mark.parametrize(
    ("action_id", "value"),
    [
        pytest.param("acknowledge", "", id="nothing"),
        pytest.param("acknowledge", "1; drop table alerts", id="forged"),
        pytest.param("acknowledge", "99999999999999999999", id="larger than any number"),
        pytest.param("snooze", "soon", id="no number"),
        pytest.param("snooze", "1", id="no span"),
        pytest.param("snooze", "1:9y", id="unknown span"),
        pytest.param("snooze", "one:1h", id="no number, but a span"),
    ],
)
async def test_a_stale_button_is_explained(
    person: Person, slack: FakeSlack, alert: Alert, action_id: str, value: str
) -> None:
    assert 1 == alert.id
    await (person.presses if action_id == "acknowledge" else person.chooses)(action_id, value)
    expected = "This button is out of date. Type /minerpulse for the current state."
    assert [expected] == [one["text"] for one in slack.responses]


async def test_an_alert_of_another_channel_is_not_found(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await replace(person, channel="C2").presses("acknowledge", str(alert.id))
    (current,) = await harness.open_alerts(CHANNEL)
    assert current.acknowledged is None
    assert [f"No alert {alert.id} in this channel."] == [one["text"] for one in slack.responses]


async def test_an_alert_is_one_message_with_a_thread(
    slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(harness.clock.at)
    await harness.tick(LATER + timedelta(minutes=40), 0.12)
    await outbox.deliver(harness.clock.at)
    await harness.tick(LATER + timedelta(minutes=45), 0.01)
    await outbox.deliver(harness.clock.at)
    posted, first_reply, resolved = slack.arguments_of(POST)
    updated, ended = slack.arguments_of(UPDATE)
    assert ["Firing: WGMI 10.0 pp ahead of BTC over 1 session", "Firing: WGMI 12.0 pp ahead of BTC over 1 session"] == [
        title(posted),
        title(updated),
    ]
    assert "Resolved: WGMI 1.0 pp ahead of BTC, peak 12.0 pp" == title(ended)
    assert "Context for alert #1" == title(first_reply)
    assert {updated["ts"]} == {ended["ts"], first_reply["thread_ts"], resolved["thread_ts"]}
    assert resolved["shown"].startswith(
        ":white_check_mark: Resolved: WGMI 1.0 pp ahead of BTC, peak 12.0 pp. Was open for 40 min."
    )
    assert "`1d 8pp` cleared: +1.0 pp, inside the 4.8 pp clear level" in resolved["shown"]
    assert [*VOTE_BUTTONS, "details"] == buttons(ended)
    assert alert.id == 1


async def test_anyone_can_remove_an_acknowledgement(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await person.presses("acknowledge", str(alert.id))
    await outbox.deliver(harness.clock.at)
    await replace(person, user="U2").presses("unacknowledge", str(alert.id))
    await replace(person, user="U3").presses("unacknowledge", str(alert.id))
    await outbox.deliver(harness.clock.at)

    (current,) = await harness.open_alerts(CHANNEL)
    before, after = slack.arguments_of(POST)[0], slack.arguments_of(UPDATE)[-1]
    assert current.acknowledged is None
    assert ["Alert 1 isn't acknowledged. Nothing was changed."] == [one["text"] for one in slack.responses]
    assert ["unacknowledge", "snooze", "details"] == buttons(before)
    assert ["acknowledge", "snooze", "details"] == buttons(after)
    assert ":red_circle: <@U2> removed the acknowledgement." == slack.arguments_of(POST)[-1]["text"]


async def test_a_manually_resolved_alert_stays_resolved_until_its_rule_clears(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(harness.clock.at)
    await person.presses("resolve", str(alert.id))
    await replace(person, user="U2").presses("resolve", str(alert.id))
    await outbox.deliver(harness.clock.at)
    ended, thread_reply = slack.arguments_of(UPDATE)[-1], slack.arguments_of(POST)[-2]
    later = harness.clock.at + timedelta(minutes=5)
    past = await harness.ticks(later, [0.11, 0.12])
    suppressed = await harness.open_alerts(CHANNEL)
    await harness.ticks(past + timedelta(minutes=5), [0.01, 0.09, 0.09])

    (reopened,) = await harness.open_alerts(CHANNEL)
    assert title(ended).startswith("Resolved: WGMI 10.0 pp ahead of BTC")
    assert [*VOTE_BUTTONS, "details"] == buttons(ended)
    assert thread_reply["shown"].startswith(
        ":white_check_mark: Resolved by <@U1>. WGMI 10.0 pp ahead of BTC, peak 10.0 pp."
    )
    assert ["Alert 1 was closed Mar 4, 10:05 AM ET. Nothing was changed."] == [one["text"] for one in slack.responses]
    assert ([], alert.id + 1) == (suppressed, reopened.id)


async def test_the_chart_of_an_alert_is_shown_only_to_the_person(
    person: Person, slack: FakeSlack, alert: Alert
) -> None:
    await person.presses("chart", str(alert.id))
    (answer,) = slack.responses
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert answer["text"].startswith("WGMI ")
    assert "over 20 sessions" in answer["shown"].splitlines()[0]
    assert "data_visualization" in {block["type"] for block in answer["blocks"]}


async def test_why_shows_the_audit_log_only_to_the_person(person: Person, slack: FakeSlack, alert: Alert) -> None:
    await person.presses("why", str(alert.id))
    (answer,) = slack.responses
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert answer["text"].startswith(f"Audit log of alert #{alert.id}: WGMI ahead of BTC.")


async def test_a_closed_alert_still_has_why_and_chart(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await harness.tick(LATER + timedelta(minutes=10), 0.01)
    await person.presses("why", str(alert.id))
    await person.presses("chart", str(alert.id))
    why, chart = (answer["shown"] for answer in slack.responses)
    assert " – Resolved: " in why
    assert "over 20 sessions" in chart


async def test_edit_opens_the_rule_that_fired_and_replaces_it(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await person.presses("edit_rule", "1:1d 8pp")
    form = {**slack.views("views.open")[-1], "id": "V1"}
    await person.submits(form, {"threshold": "9"})
    assert "Edit rule 1" == form["title"]["text"]
    assert alert.hits[0].rule == "1d 8pp"
    assert ["1d 9pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]
    assert "Rule 1 changed: 1d 9pp, was 1d 8pp." == slack.responses[-1]["text"]


async def test_editing_a_deleted_rule_shows_that_it_is_gone(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await harness.commands.remove_rule(CHANNEL, 1, "U2")
    await person.presses("edit_rule", f"{alert.hits[0].rule_id}:1d 8pp")
    shown = slack.views()[-1]
    assert "outcome" == shown["callback_id"]
    assert shown["blocks"][0]["text"]["text"].startswith("Rule 1 `1d 8pp` no longer exists in this channel.")


async def test_editing_a_changed_rule_shows_the_current_rule(person: Person, slack: FakeSlack, alert: Alert) -> None:
    await person.presses("edit_rule", f"{alert.hits[0].rule_id}:1d 7pp")
    assert "Rule 1 was changed to `1d 8pp`. *Save Rule* replaces it." in slack.views()[-1]["blocks"][0]["text"]["text"]


async def test_the_list_of_rules_offers_the_editor(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await person.types("rules")
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.commands.add_rule(CHANNEL, "drawdown 60%", "U1")
    await person.types("rules")
    none, two = slack.responses
    await person.chooses("edit_rule", "2:drawdown 60%")
    form = slack.views("views.open")[-1]
    assert (["add_rule", "run_command"], ["add_rule", "run_command"]) == (buttons(none), buttons(two))
    menus = [block["accessory"] for block in two["blocks"] if "accessory" in block]
    assert [("edit:1", "Edit…"), ("edit:2", "Edit…")] == [
        (menu["options"][0]["value"], menu["options"][0]["text"]["text"]) for menu in menus
    ]
    (metric,) = [block for block in form["blocks"] if block.get("block_id") == "metric"]
    assert "drawdown" == metric["element"]["initial_option"]["value"]
    await person.presses("add_rule", "rule")
    assert "Add rule" == slack.views("views.open")[-1]["title"]["text"]


async def test_only_editors_change_rules_and_others_see_who_may(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.commands.permissions = Permissions(people=("U7", "U8"))
    for typed in ("rule add 1d 8pp", "rule remove 1"):
        await person.types(typed)
    await person.presses("start", "board")
    expected = "Nothing was changed. Only <@U7> or <@U8> can add, edit, pause, resume or remove rules here."
    assert [expected] * 3 == [answer["text"] for answer in slack.responses]
    assert [] == slack.arguments_of(POST)
    await replace(person, user="U8").types("rule add 1d 8pp")
    assert 1 == len(await harness.commands.rules(CHANNEL))


async def test_a_person_without_permission_cannot_submit_the_form(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add")
    harness.commands.permissions = Permissions(people=("U7",))
    await person.submits({**slack.views("views.open")[-1], "id": "V1"}, {})
    assert "Only <@U7> can add, edit, pause, resume or remove rules here" in slack.responses[-1]["text"]
    assert [] == await harness.commands.rules(CHANNEL)


async def test_concurrent_acknowledgements_have_one_outcome(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert, outbox: Outbox
) -> None:
    others = [replace(person, user=f"U{number}") for number in range(1, 6)]
    await asyncio.gather(*(one.presses("acknowledge", str(alert.id)) for one in others))
    await outbox.deliver(harness.clock.at)
    (text,) = [message["text"] for message in slack.arguments_of(POST) if "Acknowledged by" in message["text"]]
    (by,) = re.findall(r"Acknowledged by (<@U[1-5]>)", text)
    assert [f"Alert 1 was already acknowledged by {by}, Mar 4, 10:05 AM ET."] * 4 == [
        answer["text"] for answer in slack.responses
    ]


def title(message: dict[str, Any]) -> str:
    """Return the header of a message, with ordinary spaces."""
    (header,) = [block for block in message["blocks"] if block["type"] == "header"]
    return str(header["text"]["text"]).replace(NBSP, " ")


def buttons(message: dict[str, Any]) -> list[str]:
    """Return the action ids of a message."""
    return [
        element["action_id"]
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]


async def test_a_vote_counts_once_per_person_and_can_be_changed(
    person: Person, slack: FakeSlack, harness: Harness, alert: Alert
) -> None:
    await harness.commands.resolve(CHANNEL, alert.id, "U2", "")
    await harness.commands.vote(CHANNEL, alert.id, "U2", noise=True)
    for action_id in ("noise", "noise", "useful"):
        await person.presses(action_id, f"{alert.id}")
    await person.types("history")
    await person.types("why")
    text = [answer["shown"] for answer in slack.responses]

    assert text[1].startswith("Your vote: noise. Votes on this alert: 0 useful, 2 noise. Mark Useful changes yours.")
    assert text[2].startswith("Your vote: useful. Votes on this alert: 1 useful, 1 noise. Mark Noise changes yours.")
    assert "votes: 1 useful, 1 noise" in text[3]
    assert "Votes: 1 useful, 1 noise." in text[4]


async def test_rules_show_noise_rates_and_propose_a_looser_rule(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 1pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "20d 30pp", "U1")
    for n in range(5):
        await harness.ticks(LATER + n * timedelta(minutes=20), [0.02, 0.0])
    alerts = await harness.commands.history(CHANNEL)
    for alert in alerts[1:]:
        await harness.commands.vote(CHANNEL, alert.id, "U2", noise=alert.id != alerts[-1].id)
    text = await reply_to(person, "rules")

    assert 5 == len(alerts)
    assert "±1 pp · hold 0 s · clear 0.6 pp\n303 alerts in 2 years (backtest) · false-alarm rate 3 of 4\n" in text
    assert "±30 pp · hold 5 min · clear 18 pp\n0 alerts in 2 years (backtest)\n" in text
    assert (
        "Rule 1: false-alarm rate 3 of 4. `1d 1.9pp for 0s` would have fired half as often, 72.5 times a year" in text
    )
    assert "To compare, type `/minerpulse tune 1d 75/year`." in text
    assert ["1d 1pp for 0s", "20d 30pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]
