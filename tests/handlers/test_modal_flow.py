"""The rule editor: opened, typed into and sent off, as Slack tells of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from slack_bolt import BoltResponse

from handlers.background import SORRY
from tests.fakes.floor import DESK, Floor
from tests.fakes.slack import RESPONSES, Fault, Person, SlackServer, filled, refused

OPENED, UPDATED, POST = "views.open", "views.update", "chat.postMessage"


def words(view: dict[str, Any]) -> str:
    """What stands below the fields of a form, or in it where it has none."""
    return "\n".join(block["text"]["text"] for block in view["blocks"] if block["type"] == "section")


def errors(acknowledged: BoltResponse) -> dict[str, str]:
    answer: dict[str, Any] = json.loads(acknowledged.body)
    assert "errors" == answer["response_action"]
    found: dict[str, str] = answer["errors"]
    return found


async def opened(person: Person, slack: SlackServer) -> dict[str, Any]:
    """Open the editor; the form as Slack holds it once the first preview is there."""
    await person.types("rule add")
    (view_id,) = slack.hashes
    return {**slack.shown()[-1], "id": view_id, "hash": slack.hashes[view_id]}


async def test_the_editor_opens_at_once_and_the_preview_follows(person: Person, slack: SlackServer) -> None:
    acknowledged = await person.types("rule add")
    (form,), (preview,) = slack.shown(OPENED), slack.shown()
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert "1.trigger" == slack.said(OPENED)[0]["trigger_id"]
    assert "Trying it on the last two years …" == words(form)
    assert words(preview).startswith(
        "`1d 8pp` fires at 8 pp on either side, held 5m, clears below 4.8 pp.\n"
        "Would have fired *not once* from 4 Mar 2024 to 3 Mar 2026, at session closes."
    )
    assert [] == slack.answers


async def test_the_preview_follows_what_is_typed(person: Person, slack: SlackServer) -> None:
    form = await opened(person, slack)
    await person.fills(form, {"threshold": "1", "clear": "0.5", "direction": "above"})
    told = words(slack.shown()[-1])
    assert told.startswith("`1d 1pp above clear 0.5pp` fires at 1 pp above")
    assert "Would have fired *1" in told
    assert "; last on " in told


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"metric": "z", "threshold": "3.5"}, "`1d z3.5` fires at z 3.5", id="z with a bare number"),
        pytest.param({"metric": "drawdown", "threshold": "60%"}, "`drawdown 60%` fires at 60%", id="no window"),
        pytest.param({"metric": "gap", "threshold": "5"}, "cannot be told: a gap is there only while", id="no closes"),
        pytest.param({"threshold": "800bp", "at_close": "at close"}, "decided at each close", id="at the close"),
        pytest.param({"threshold": "8,5"}, "Threshold: Cannot read “8,5pp”: expected percentage points", id="a comma"),
        pytest.param({"hold": "7h"}, "Hold: Cannot read “7h”: expected a duration of at most 6h", id="too long a hold"),
        pytest.param({"pair": "MARA/BTC"}, "the prices of MARA/BTC are fetched once the rule is added", id="a pair"),
    ],
)
async def test_the_preview_says_what_it_understands(
    person: Person, slack: SlackServer, values: dict[str, str], expected: str
) -> None:
    form = await opened(person, slack)
    await person.fills(form, values)
    assert expected in words(slack.shown()[-1])


async def test_a_preview_fetches_nothing_for_a_symbol_that_is_being_typed(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    asked = len(floor.vendors.requests)
    for symbol in ("M", "MA", "MARA"):
        await person.fills(form, {"pair": f"{symbol}/BTC"})
    assert asked == len(floor.vendors.requests)


async def test_the_newest_input_wins_over_an_older_one_whose_update_is_still_under_way(
    person: Person, slack: SlackServer
) -> None:
    form = await opened(person, slack)
    told = asyncio.Event()
    slack.fail(UPDATED, Fault(until=told))
    first = asyncio.create_task(person.fills(form, {"threshold": "5"}))
    await slack.held.wait()
    second = asyncio.create_task(person.fills(form, {"threshold": "12"}))  # seen with the hash from before the first
    await asyncio.wait({second}, timeout=0.2)  # it is ready, and waits for the first to end
    told.set()
    await asyncio.gather(first, second)
    assert words(slack.shown()[-1]).startswith("`1d 12pp` ")


async def test_an_update_that_another_process_outran_is_dropped(person: Person, slack: SlackServer) -> None:
    form = await opened(person, slack)
    slack.fail(UPDATED, refused("hash_conflict"))
    before = len(slack.shown())
    await person.fills(form, {"threshold": "5"})
    assert before == len(slack.shown())


async def test_a_rule_is_added_as_the_form_closes_and_the_person_is_told(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    acknowledged = await person.submits(form, {"window": "5d", "threshold": "15", "direction": "above", "clear": "10"})
    (answer,) = slack.answers
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert ["5d 15pp above clear 10pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]
    assert ("ephemeral", False) == (answer["response_type"], answer["replace_original"])
    assert answer["text"].startswith("Rule 1 `5d 15pp above clear 10pp` is added: fires at 15 pp above")
    assert ["C1"] == [one["channel"] for one in slack.said(POST)]


async def test_choices_that_come_back_as_none_are_those_that_the_form_began_with(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    sent = filled(form, {"threshold": "9"})
    for fields in sent["state"]["values"].values():
        for one in fields.values():
            one.update({"selected_option": None} if "selected_option" in one else {})
    about = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "3.trigger"}
    await person.sends({"type": "view_submission", **about, "view": sent})
    assert ["1d 9pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]


async def test_whoever_sends_a_form_after_its_half_hour_is_told_in_the_channel(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    slack.fail(RESPONSES, Fault(status=404, body="expired_url", content_type="text/plain"))
    await person.submits(form, {"threshold": "9"})
    (told,) = slack.said("chat.postEphemeral")
    assert ("C1", "U1") == (told["channel"], told["user"])
    assert told["text"].startswith("Rule 1 `1d 9pp` is added")
    assert 1 == len(await floor.desk.rules(DESK))


async def test_wrong_fields_are_told_beneath_them_and_the_form_stays(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    acknowledged = await person.submits(form, {"threshold": "8", "clear": "9", "hold": "soon", "pair": "WGMI"})
    assert {"clear", "hold", "pair"} == errors(acknowledged).keys()
    assert "at most 8pp" in errors(acknowledged)["clear"]
    assert {"threshold"} == errors(await person.submits(form, {"threshold": ""})).keys()
    assert [] == await floor.desk.rules(DESK)


async def test_a_pair_without_prices_is_refused_with_the_rule_as_it_stood_in_the_form(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(person, slack)
    floor.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
    await person.submits(form, {"threshold": "9", "pair": "XXXX/BTC"})
    (answer,) = slack.answers
    assert "No XXXX prices yet." in answer["text"]
    assert answer["text"].endswith("Nothing was changed. The form is closed; the rule in it was `1d 9pp on XXXX/BTC`.")
    assert [] == await floor.desk.rules(DESK)


async def test_a_form_that_slack_does_not_open_any_more_is_told_to_the_person(
    person: Person, slack: SlackServer
) -> None:
    slack.fail(OPENED, refused("expired_trigger_id"))
    await person.types("rule add")
    (answer,) = slack.answers
    assert answer["text"].startswith("Slack opens a form within three seconds only")


async def test_a_bug_while_saving_is_told_to_the_person(
    person: Person, slack: SlackServer, floor: Floor, caplog: pytest.LogCaptureFixture
) -> None:
    form = await opened(person, slack)
    floor.desk.clock = None  # type: ignore[assignment]  # a bug
    await person.submits(form, {"threshold": "9"})
    assert [SORRY] == [answer["text"] for answer in slack.answers]
    assert "Traceback" in caplog.text


async def test_a_form_is_about_the_channel_that_it_was_opened_in(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    form = await opened(replace(person, channel="C2"), slack)
    await person.submits(form, {"threshold": "9"})
    assert [] == await floor.desk.rules(DESK)
    assert ["1d 9pp"] == [str(watch.rule) for watch in await floor.desk.rules(replace(DESK, id="C2"))]
