from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.notifier import SlackNotifier
from handlers.render.limits import FALLBACK_TEXT
from services.alerting.alert import Alert
from services.channels.permissions import RulePermissions
from services.delivery.outbox import Outbox
from tests.fakes.floor import CLOSE, DESK, OPEN, Floor
from tests.fakes.slack import TOKEN, Person, SlackServer, refused

POST, UPDATE = "chat.postMessage", "chat.update"
LOOKS = ["chart", "why", "edit_rule"]  # what an alert offers also once it has ended
VOTES = ["useful", "noise"]
LATER = OPEN + timedelta(minutes=30)
NEXT_OPEN = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


@pytest.fixture
async def alert(floor: Floor) -> Alert:
    """An alert that is open in the channel, and told there by nobody yet."""
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.ticks(LATER, [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)
    return alert


@pytest.fixture
def outbox(slack: SlackServer, floor: Floor) -> Outbox:
    client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
    return Outbox(store=floor.store, notifier=SlackNotifier(client, floor.clock), clock=floor.clock)


async def test_refresh_puts_a_new_board_in_the_place_of_the_old(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    acknowledged = await person.presses("refresh", "board")
    (board,) = slack.answers
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert board["replace_original"] is True
    assert board["text"].startswith("WGMI is 8.5 pp above bitcoin today")


async def test_a_reason_names_people_and_hides_the_names_of_channels(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    await person.types("resolve <@U2|ann> told <#C9|secret-plan> &amp; <!channel> about it" + " x" * 3_000)
    await outbox.deliver(floor.clock.at)
    await person.types(f"why {alert.id}")
    for told in (*slack.said(POST), slack.answers[-1]):
        assert "nded by hand: <@U2> told <#C9> &amp; @channel about it x" in told["text"]
        assert "secret-plan" not in told["text"]
    assert len(slack.said(POST)[0]["text"]) < FALLBACK_TEXT


@pytest.mark.parametrize("typed", ["snooze 2 hours", "snooze 1 “2h”", "snooze #1 120 min"])
async def test_a_length_in_two_words_or_in_quotes_snoozes_the_alert_that_is_meant(
    person: Person, slack: SlackServer, alert: Alert, typed: str
) -> None:
    await person.types(typed)
    until = "Wed 4 Mar 12:05 New York (17:05 UTC)"
    assert f"Snoozed until {until}: alert {alert.id}, WGMI above bitcoin." == slack.answers[-1]["text"]


async def test_two_who_start_alerts_at_once_announce_them_once(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    other = replace(person, user="U2")
    await asyncio.gather(person.presses("start", "board"), other.presses("start", "board"))
    (told,) = slack.said(POST)
    started_by = {watch.created_by for watch in await floor.desk.rules(DESK)}
    assert [f"Started by <@{one}>" in told["text"] for one in started_by] == [True]
    assert all("Rules here: `1d 8pp`" in board["text"] for board in slack.answers)


async def test_two_who_begin_from_the_welcome_at_once_see_one_outcome(person: Person, slack: SlackServer) -> None:
    other = replace(person, user="U2")
    await asyncio.gather(person.presses("begin", "channel"), other.presses("begin", "channel"))
    assert [False, True] == sorted(answer["replace_original"] for answer in slack.answers)
    assert 1 == sum("Started by" in answer["text"] for answer in slack.answers)


async def test_share_shows_the_board_to_the_channel_with_the_name_of_who_did(
    person: Person, slack: SlackServer
) -> None:
    await person.presses("share", "board")
    (board,) = slack.answers
    assert ("in_channel", False) == (board["response_type"], board["replace_original"])
    assert "Shared by <@U1>, Wed 4 Mar 09:20 New York." in board["text"]
    assert [] == [block for block in board["blocks"] if block["type"] == "actions"]


async def test_start_greets_the_channel_then_adds_the_usual_rules(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.presses("start", "board")
    (greeting,) = slack.said(POST)
    (board,) = slack.answers
    assert "C1" == greeting["channel"]
    assert [
        "MinerPulse alerts on WGMI against bitcoin come here from now on.",
        "Rules: `1d 8pp`, `5d 15pp`, `20d 30pp`. Started by <@U1>. `/minerpulse help` tells the rest.",
    ] == greeting["text"].splitlines()
    assert board["replace_original"] is True
    assert "Rules here: `1d 8pp`, `5d 15pp`, `20d 30pp`." in board["text"]
    assert ["1d 8pp", "5d 15pp", "20d 30pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]


async def test_start_pressed_twice_greets_once(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.presses("start", "board")
    await person.presses("start", "board")
    assert 1 == len(slack.said(POST))
    assert 3 == len(await floor.desk.rules(DESK))


@pytest.mark.parametrize("code", ["not_in_channel", "channel_not_found"])
async def test_start_where_the_app_cannot_post_starts_nothing_and_says_what_to_do(
    person: Person, slack: SlackServer, floor: Floor, code: str
) -> None:
    slack.fail(POST, refused(code))
    await person.presses("start", "board")
    (answer,) = slack.answers
    assert "type /invite @MinerPulse there" in answer["text"]
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert [] == await floor.desk.rules(DESK)


async def test_an_acknowledgement_is_told_by_the_alerts_own_message(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(floor.clock.at)
    await person.presses("acknowledge", str(alert.id))
    await outbox.deliver(floor.clock.at)
    (edited,) = slack.said(UPDATE)
    posted, line = slack.said(POST)
    assert [] == slack.answers
    assert "Acknowledged by <@U1>, Wed 4 Mar 10:05 New York." in edited["text"]
    assert ["unacknowledge", "snooze", "resolve", *LOOKS] == buttons(edited)
    assert ["acknowledge", "snooze", "resolve", *LOOKS] == buttons(posted)
    assert ("Acknowledged by <@U1>, Wed 4 Mar 10:05 New York.", edited["ts"]) == (line["text"], line["thread_ts"])


async def test_the_second_to_acknowledge_learns_who_was_first(person: Person, slack: SlackServer, alert: Alert) -> None:
    await person.presses("acknowledge", str(alert.id))
    await replace(person, user="U2").presses("acknowledge", str(alert.id))
    assert ["Already acknowledged by <@U1>, Wed 4 Mar 10:05 New York."] == [one["text"] for one in slack.answers]


async def test_an_alert_that_ended_can_be_neither_acknowledged_nor_snoozed(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await person.presses("acknowledge", str(alert.id))
    await floor.tick(LATER + timedelta(minutes=10), 0.01)
    await person.presses("acknowledge", str(alert.id))
    await person.chooses("snooze", f"{alert.id}:1h")
    expected = "This alert ended Wed 4 Mar 10:10 New York; nothing was changed."
    assert [expected, expected] == [one["text"] for one in slack.answers]


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
async def test_a_snooze_ends_when_it_says(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, span: str, until: datetime
) -> None:
    await person.chooses("snooze", f"{alert.id}:{span}")
    (snoozed,) = await floor.open_alerts(DESK)
    assert [] == slack.answers
    assert snoozed.snoozed is not None
    assert ("U1", until) == (snoozed.snoozed.by, snoozed.snoozed.until)


async def test_there_is_no_close_to_wait_for_when_the_market_is_shut(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    floor.clock.at = CLOSE
    await person.chooses("snooze", f"{alert.id}:close")
    (still,) = await floor.open_alerts(DESK)
    assert still.snoozed is None
    assert [
        "The market is shut, so there is no close to wait for. The next open is Thu 5 Mar 09:30 New York (14:30 UTC)."
    ] == [one["text"] for one in slack.answers]


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
async def test_a_button_from_another_time_is_explained(
    person: Person, slack: SlackServer, alert: Alert, action_id: str, value: str
) -> None:
    assert 1 == alert.id
    await (person.presses if action_id == "acknowledge" else person.chooses)(action_id, value)
    assert ["This button is no longer in use. Type /minerpulse to see what is open here."] == [
        one["text"] for one in slack.answers
    ]


async def test_an_alert_of_another_channel_is_out_of_reach(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await replace(person, channel="C2").presses("acknowledge", str(alert.id))
    (still,) = await floor.open_alerts(DESK)
    assert still.acknowledged is None
    assert [f"No alert {alert.id} in this channel."] == [one["text"] for one in slack.answers]


async def test_the_whole_life_of_an_alert_is_one_message_and_its_thread(
    slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(floor.clock.at)
    await floor.tick(LATER + timedelta(minutes=40), 0.12)
    await outbox.deliver(floor.clock.at)
    await floor.tick(LATER + timedelta(minutes=45), 0.01)
    await outbox.deliver(floor.clock.at)
    posted, resolved = slack.said(POST)
    worse, ended = slack.said(UPDATE)
    assert "WGMI 10.0 pp above bitcoin over 1 day" == posted["text"].splitlines()[0]
    assert "WGMI 12.0 pp above bitcoin over 1 day" == worse["text"].splitlines()[0]
    assert "Resolved after 40 min: WGMI above bitcoin, peak +12.0 pp over 1 day" == ended["text"].splitlines()[0]
    assert {worse["ts"]} == {ended["ts"], resolved["thread_ts"]}
    assert resolved["text"].startswith(
        "Resolved after 40 min: WGMI above bitcoin, peak +12.0 pp over 1 day. 1d 8pp: 1pp is back"
    )
    assert [*VOTES, *LOOKS] == buttons(ended)
    assert alert.id == 1


async def test_an_acknowledgement_can_be_taken_back_by_anyone(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    await person.presses("acknowledge", str(alert.id))
    await outbox.deliver(floor.clock.at)
    await replace(person, user="U2").presses("unacknowledge", str(alert.id))
    await replace(person, user="U3").presses("unacknowledge", str(alert.id))
    await outbox.deliver(floor.clock.at)

    (still,) = await floor.open_alerts(DESK)
    before, after = slack.said(POST)[0], slack.said(UPDATE)[-1]
    assert still.acknowledged is None
    assert ["Nobody has acknowledged this alert; nothing was changed."] == [one["text"] for one in slack.answers]
    assert ["unacknowledge", "snooze", "resolve", *LOOKS] == buttons(before)
    assert ["acknowledge", "snooze", "resolve", *LOOKS] == buttons(after)
    assert "No longer acknowledged: nobody sees to it by <@U2>." == slack.said(POST)[-1]["text"]


async def test_an_alert_that_was_resolved_by_hand_stays_so_until_its_rule_has_cleared(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    await outbox.deliver(floor.clock.at)
    await person.presses("resolve", str(alert.id))
    await replace(person, user="U2").presses("resolve", str(alert.id))
    await outbox.deliver(floor.clock.at)
    ended, line = slack.said(UPDATE)[-1], slack.said(POST)[-1]
    later = floor.clock.at + timedelta(minutes=5)
    past = await floor.ticks(later, [0.11, 0.12])
    quiet = await floor.open_alerts(DESK)
    await floor.ticks(past + timedelta(minutes=5), [0.01, 0.09, 0.09])

    (anew,) = await floor.open_alerts(DESK)
    assert ended["text"].startswith("Resolved after 0 s: WGMI above bitcoin")
    assert [*VOTES, *LOOKS] == buttons(ended)
    assert line["text"].endswith("Ended by hand; a rule of it fires again once it has cleared by <@U1>.")
    assert ["This alert ended Wed 4 Mar 10:05 New York; nothing was changed."] == [one["text"] for one in slack.answers]
    assert ([], alert.id + 1) == (quiet, anew.id)


async def test_an_alert_is_charted_over_its_window_for_the_person_alone(
    person: Person, slack: SlackServer, alert: Alert
) -> None:
    await person.presses("chart", str(alert.id))
    (answer,) = slack.answers
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert answer["text"].startswith("WGMI ")
    assert "over 20 days" in answer["text"].splitlines()[0]
    assert "data_visualization" in {block["type"] for block in answer["blocks"]}


async def test_why_shows_the_receipt_to_the_person_alone(person: Person, slack: SlackServer, alert: Alert) -> None:
    await person.presses("why", str(alert.id))
    (answer,) = slack.answers
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert answer["text"].startswith(f"Why alert {alert.id}: WGMI above bitcoin")


async def test_an_alert_that_ended_can_still_be_looked_into(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await floor.tick(LATER + timedelta(minutes=10), 0.01)
    await person.presses("why", str(alert.id))
    await person.presses("chart", str(alert.id))
    why, chart = (answer["text"] for answer in slack.answers)
    assert "resolved" in why
    assert "over 20 days" in chart


async def test_edit_opens_the_rule_that_fired_and_another_takes_its_place(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await person.presses("edit_rule", "1:1d 8pp")
    form = {**slack.shown("views.open")[-1], "id": "V1"}
    await person.submits(form, {"threshold": "9"})
    assert "Edit rule 1" == form["title"]["text"]
    assert alert.facts[0].rule == "1d 8pp"
    assert ["1d 9pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]
    assert "is `1d 9pp` now, and was `1d 8pp`" in slack.answers[-1]["text"]


async def test_edit_of_a_rule_that_is_gone_says_so_in_the_form(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await floor.desk.remove_rule(DESK, 1, "U2")
    await person.presses("edit_rule", f"{alert.facts[0].rule_id}:1d 8pp")
    shown = slack.shown()[-1]
    assert "outcome" == shown["callback_id"]
    assert shown["blocks"][0]["text"]["text"].startswith("Rule 1 `1d 8pp` does not stand here any more.")


async def test_edit_of_a_rule_that_reads_otherwise_by_now_says_how(
    person: Person, slack: SlackServer, alert: Alert
) -> None:
    await person.presses("edit_rule", f"{alert.facts[0].rule_id}:1d 7pp")
    assert "Rule 1 reads `1d 8pp` by now" in slack.shown()[-1]["blocks"][0]["text"]["text"]


async def test_the_list_of_rules_offers_the_editor(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("rules")
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.desk.add_rule(DESK, "drawdown 60%", "U1")
    await person.types("rules")
    none, two = slack.answers
    await person.chooses("edit_rule", "2:drawdown 60%")
    form = slack.shown("views.open")[-1]
    assert (["add_rule"], ["add_rule", "edit_rule"]) == (buttons(none), buttons(two))
    (metric,) = [block for block in form["blocks"] if block.get("block_id") == "metric"]
    assert "drawdown" == metric["element"]["initial_option"]["value"]
    await person.presses("add_rule", "rule")
    assert "Add a rule" == slack.shown("views.open")[-1]["title"]["text"]


async def test_only_those_on_the_list_change_rules_and_the_others_learn_who(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.desk.editors = RulePermissions(people=("U7", "U8"))
    for typed in ("rule add 1d 8pp", "rule remove 1"):
        await person.types(typed)
    await person.presses("start", "board")
    expected = "Nothing was changed: rules are changed here by <@U7>, <@U8> only; ask one of them."
    assert [expected] * 3 == [answer["text"] for answer in slack.answers]
    assert [] == slack.said(POST)
    await replace(person, user="U8").types("rule add 1d 8pp")
    assert 1 == len(await floor.desk.rules(DESK))


async def test_whoever_may_not_change_rules_is_told_so_in_the_form(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("rule add")
    floor.desk.editors = RulePermissions(people=("U7",))
    await person.submits({**slack.shown("views.open")[-1], "id": "V1"}, {})
    assert "rules are changed here by <@U7> only" in slack.answers[-1]["text"]
    assert [] == await floor.desk.rules(DESK)


async def test_two_who_press_at_once_see_one_outcome(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert, outbox: Outbox
) -> None:
    others = [replace(person, user=f"U{number}") for number in range(1, 6)]
    await asyncio.gather(*(one.presses("acknowledge", str(alert.id)) for one in others))
    await outbox.deliver(floor.clock.at)
    (told,) = [message["text"] for message in slack.said(POST) if message["text"].startswith("Acknowledged by")]
    assert 4 == len(slack.answers)
    assert 1 == len({answer["text"] for answer in slack.answers})
    assert {answer["text"] for answer in slack.answers} == {f"Already a{told[1:]}"}


def buttons(message: dict[str, Any]) -> list[str]:
    """The actions that a message offers."""
    return [
        element["action_id"]
        for block in message["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]


async def test_a_vote_on_an_ended_alert_counts_once_for_each_person_and_can_be_changed(
    person: Person, slack: SlackServer, floor: Floor, alert: Alert
) -> None:
    await floor.desk.resolve(DESK, alert.id, "U2", "")
    await floor.desk.vote(DESK, alert.id, "U2", noise=True)
    for action_id in ("noise", "noise", "useful"):
        await person.presses(action_id, f"{alert.id}")
    await person.types("history")
    await person.types("why")
    told = [answer["text"] for answer in slack.answers]

    assert told[1].startswith("Noted as noise. All votes on this alert: 0 useful, 2 noise. *Useful* changes yours;")
    assert told[2].startswith("Noted as useful. All votes on this alert: 1 useful, 1 noise. *Noise* changes yours;")
    assert "votes: 1 useful, 1 noise" in told[3]
    assert "Votes: 1 useful, 1 noise." in told[4]


async def test_rules_tell_how_much_was_noise_and_propose_less_of_the_noisiest_without_changing_it(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 1pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "20d 30pp", "U1")
    for n in range(5):
        await floor.ticks(LATER + n * timedelta(minutes=20), [0.02, 0.0])
    alerts = await floor.desk.history(DESK)
    for told in alerts[1:]:
        await floor.desk.vote(DESK, told.id, "U2", noise=told.id != alerts[-1].id)
    await person.types("rules")
    text = slack.answers[-1]["text"]

    assert 5 == len(alerts)
    assert "clears below 0.6 pp; noise 3 of 4" in text
    assert "clears below 18 pp\n" in text
    assert "Rule 1 was noise 3 of 4. `1d " in text
    assert "for 0s` would have fired half as often, " in text
    assert "`/minerpulse tune 1d " in text
    assert "/year` shows what it would change." in text
    assert ["1d 1pp for 0s", "20d 30pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]
