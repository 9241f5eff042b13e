"""The rule editor: opened, edited and submitted, with Slack's payloads."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from slack_bolt import BoltResponse

from handlers.background import INTERNAL_ERROR
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import RESPONSES, FakeSlack, Fault, Person, error_response, filled_view

OPENED, UPDATED, POST = "views.open", "views.update", "chat.postMessage"


def view_text(view: dict[str, Any]) -> str:
    """Return the text below the fields of a form, or of a view without fields."""
    return "\n".join(block["text"]["text"] for block in view["blocks"] if block["type"] == "section")


def errors(acknowledged: BoltResponse) -> dict[str, str]:
    response: dict[str, Any] = json.loads(acknowledged.body)
    assert "errors" == response["response_action"]
    errors_by_field: dict[str, str] = response["errors"]
    return errors_by_field


async def open_editor(person: Person, slack: FakeSlack) -> dict[str, Any]:
    """Open the editor, and return the form after its first preview."""
    await person.types("rule add")
    (view_id,) = slack.hashes
    return {**slack.views()[-1], "id": view_id, "hash": slack.hashes[view_id]}


async def test_the_editor_opens_at_once_and_the_preview_follows(person: Person, slack: FakeSlack) -> None:
    acknowledged = await person.types("rule add")
    (form,), (preview,) = slack.views(OPENED), slack.views()
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert "1.trigger" == slack.arguments_of(OPENED)[0]["trigger_id"]
    assert "Trying it on all sessions since the listing …" == view_text(form)
    assert view_text(preview).startswith(
        "`1d 8pp` fires at 8 pp on either side, held 5m, clears below 4.8 pp.\n"
        "Would have fired *not once* from 18 Aug 2023 to 3 Mar 2026 (older history is loading), at session closes."
    )
    assert [] == slack.responses


async def test_the_preview_follows_the_input(person: Person, slack: FakeSlack) -> None:
    form = await open_editor(person, slack)
    await person.fills(form, {"threshold": "1", "clear": "0.5", "direction": "above"})
    text = view_text(slack.views()[-1])
    assert text.startswith("`1d 1pp above clear 0.5pp` fires at 1 pp above")
    assert "Would have fired *1" in text
    assert "; last on " in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"metric": "z", "threshold": "3.5"}, "`1d z3.5` fires at z 3.5", id="z with a bare number"),
        pytest.param({"metric": "drawdown", "threshold": "60%"}, "`drawdown 60%` fires at 60%", id="no window"),
        pytest.param({"metric": "gap", "threshold": "5"}, "no track record: a gap exists only while", id="no closes"),
        pytest.param({"threshold": "800bp", "at_close": "at close"}, "decided at each close", id="at the close"),
        pytest.param({"threshold": "8,5"}, "Threshold: Cannot read “8,5pp”: expected percentage points", id="a comma"),
        pytest.param({"hold": "7h"}, "Hold: Cannot read “7h”: expected a duration of at most 6h", id="too long a hold"),
        pytest.param({"pair": "MARA/BTC"}, "the prices of MARA/BTC are fetched once the rule is added", id="a pair"),
    ],
)
async def test_the_preview_shows_how_the_input_is_parsed(
    person: Person, slack: FakeSlack, values: dict[str, str], expected: str
) -> None:
    form = await open_editor(person, slack)
    await person.fills(form, values)
    assert expected in view_text(slack.views()[-1])


async def test_a_preview_fetches_nothing_for_a_partial_symbol(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(person, slack)
    requests_before = len(harness.vendors.requests)
    for symbol in ("M", "MA", "MARA"):
        await person.fills(form, {"pair": f"{symbol}/BTC"})
    assert requests_before == len(harness.vendors.requests)


async def test_the_newest_input_wins_over_a_pending_update(person: Person, slack: FakeSlack, harness: Harness) -> None:
    form = await open_editor(person, slack)
    text = asyncio.Event()
    slack.fail(UPDATED, Fault(until=text))
    first = asyncio.create_task(person.fills(form, {"threshold": "5"}))
    await slack.delayed.wait()
    second = asyncio.create_task(person.fills(form, {"threshold": "12"}))  # with the hash from before the first
    for _ in range(50):  # longer than it takes to be ready; it waits for the first to finish
        await harness.store.rules(CHANNEL)
    text.set()
    await asyncio.gather(first, second)
    assert view_text(slack.views()[-1]).startswith("`1d 12pp` ")


async def test_an_outdated_update_is_dropped(person: Person, slack: FakeSlack) -> None:
    form = await open_editor(person, slack)
    slack.fail(UPDATED, error_response("hash_conflict"))
    before = len(slack.views())
    await person.fills(form, {"threshold": "5"})
    assert before == len(slack.views())


async def test_submitting_the_form_adds_the_rule_and_confirms_it(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(person, slack)
    acknowledged = await person.submits(form, {"window": "5d", "threshold": "15", "direction": "above", "clear": "10"})
    (response,) = slack.responses
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert ["5d 15pp above clear 10pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]
    assert ("ephemeral", False) == (response["response_type"], response["replace_original"])
    assert response["text"].startswith("Rule 1 `5d 15pp above clear 10pp` is added: fires at 15 pp above")
    assert ["C1"] == [one["channel"] for one in slack.arguments_of(POST)]


async def test_null_choices_keep_their_initial_option(person: Person, slack: FakeSlack, harness: Harness) -> None:
    form = await open_editor(person, slack)
    sent = filled_view(form, {"threshold": "9"})
    for fields in sent["state"]["values"].values():
        for one in fields.values():
            one.update({"selected_option": None} if "selected_option" in one else {})
    payload = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "3.trigger"}
    await person.sends_payload({"type": "view_submission", **payload, "view": sent})
    assert ["1d 9pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_a_form_submitted_after_its_response_url_expired_replies_in_the_channel(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(person, slack)
    slack.fail(RESPONSES, Fault(status=404, body="expired_url", content_type="text/plain"))
    await person.submits(form, {"threshold": "9"})
    (text,) = slack.arguments_of("chat.postEphemeral")
    assert ("C1", "U1") == (text["channel"], text["user"])
    assert text["text"].startswith("Rule 1 `1d 9pp` is added")
    assert 1 == len(await harness.commands.rules(CHANNEL))


async def test_field_errors_keep_the_form_open(person: Person, slack: FakeSlack, harness: Harness) -> None:
    form = await open_editor(person, slack)
    acknowledged = await person.submits(form, {"threshold": "8", "clear": "9", "hold": "soon", "pair": "WGMI"})
    assert {"clear", "hold", "pair"} == errors(acknowledged).keys()
    assert "at most 8pp" in errors(acknowledged)["clear"]
    assert {"threshold"} == errors(await person.submits(form, {"threshold": ""})).keys()
    assert [] == await harness.commands.rules(CHANNEL)


async def test_a_pair_without_prices_is_refused_with_the_rule_in_the_reply(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(person, slack)
    harness.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
    await person.submits(form, {"threshold": "9", "pair": "XXXX/BTC"})
    (response,) = slack.responses
    assert "No XXXX prices yet." in response["text"]
    assert response["text"].endswith(
        "Nothing was changed. The form is closed; the rule in it was `1d 9pp on XXXX/BTC`."
    )
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_expired_trigger_is_explained(person: Person, slack: FakeSlack) -> None:
    slack.fail(OPENED, error_response("expired_trigger_id"))
    await person.types("rule add")
    (response,) = slack.responses
    assert response["text"].startswith("Slack opens a form only within three seconds")


async def test_an_unexpected_error_while_saving_is_reported(
    person: Person, slack: FakeSlack, harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    form = await open_editor(person, slack)
    harness.commands.clock = None  # type: ignore[assignment]  # a bug
    await person.submits(form, {"threshold": "9"})
    assert [INTERNAL_ERROR] == [response["text"] for response in slack.responses]
    assert "Traceback" in caplog.text


async def test_a_form_belongs_to_the_channel_it_was_opened_in(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(replace(person, channel="C2"), slack)
    await person.submits(form, {"threshold": "9"})
    assert [] == await harness.commands.rules(CHANNEL)
    assert ["1d 9pp"] == [str(rule.rule) for rule in await harness.commands.rules(replace(CHANNEL, id="C2"))]
