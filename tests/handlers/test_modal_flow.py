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
    assert "*Preview:* running the backtest…" == view_text(form)
    assert view_text(preview).startswith(
        "*Preview:* `1d 8pp`\nWould *never* have fired in 2 years (older prices are still loading). Latest close: +"
    )
    assert "This rule may never fire. A lower threshold fires more often." in view_text(preview)
    assert [] == slack.responses


async def test_the_preview_follows_the_input(person: Person, slack: FakeSlack) -> None:
    form = await open_editor(person, slack)
    await person.fills(form, {"threshold": "1", "options": "clear 0.5", "direction": "above"})
    text = view_text(slack.views()[-1])
    assert text.startswith("*Preview:* `1d 1pp above clear 0.5pp`\nWould have fired *1")
    assert " a year), median " in text
    assert " Last fired: " in text


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"metric": "z", "threshold": "3.5"}, "*Preview:* `1d z3.5`", id="z with a bare number"),
        pytest.param({"metric": "drawdown", "threshold": "60%"}, "*Preview:* `drawdown 60%`", id="no window"),
        pytest.param({"metric": "gap", "threshold": "5"}, "No backtest: a gap exists only while", id="no closes"),
        pytest.param({"threshold": "800bp", "evaluate": "at close"}, "`1d 8pp at close`", id="at the close"),
        pytest.param(
            {"threshold": "8,5"}, "*Threshold:* “8,5pp” isn't a valid threshold. Use percentage points", id="a comma"
        ),
        pytest.param(
            {"options": "for 7h"},
            "*Options:* “7h” isn't a valid duration. Use a duration of at most 6h",
            id="too long a hold",
        ),
        pytest.param(
            {"options": "on MARA/BTC"}, "prices for MARA/BTC are fetched after the rule is added", id="a pair"
        ),
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
        await person.fills(form, {"options": f"on {symbol}/BTC"})
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
    assert view_text(slack.views()[-1]).startswith("*Preview:* `1d 12pp`\n")


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
    acknowledged = await person.submits(
        form, {"window": "5d", "threshold": "15", "direction": "above", "options": "clear 10"}
    )
    (response,) = slack.responses
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert ["5d 15pp above clear 10pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]
    assert ("ephemeral", False) == (response["response_type"], response["replace_original"])
    assert response["text"].startswith("Rule 1 added: 5d 15pp above clear 10pp. Would ")
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
    assert text["text"].startswith("Rule 1 added: 1d 9pp.")
    assert 1 == len(await harness.commands.rules(CHANNEL))


async def test_field_errors_keep_the_form_open(person: Person, slack: FakeSlack, harness: Harness) -> None:
    form = await open_editor(person, slack)
    acknowledged = await person.submits(form, {"threshold": "8", "options": "clear 9 on WGMI"})
    assert {"options"} == errors(acknowledged).keys()
    assert "at most 8pp" in errors(acknowledged)["options"]
    assert {"threshold"} == errors(await person.submits(form, {"threshold": ""})).keys()
    assert [] == await harness.commands.rules(CHANNEL)


async def test_a_pair_without_prices_is_refused_with_the_rule_in_the_reply(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = await open_editor(person, slack)
    harness.vendors.faults["yahoo"] = [httpx.Response(404, json={}) for _ in range(5)]
    await person.submits(form, {"threshold": "9", "options": "on XXXX/BTC"})
    (response,) = slack.responses
    assert "No XXXX prices yet." in response["text"]
    assert response["text"].endswith("Nothing was changed. The rule in the form was 1d 9pp on XXXX/BTC.")
    assert [] == await harness.commands.rules(CHANNEL)


async def test_an_expired_trigger_is_explained(person: Person, slack: FakeSlack) -> None:
    slack.fail(OPENED, error_response("expired_trigger_id"))
    await person.types("rule add")
    (response,) = slack.responses
    assert response["text"].startswith("Slack lets an app open a form only within three seconds")


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


EARLIER_FIELDS = ("clear", "hold", "at_close", "pair", "more")


def earlier_form(form: dict[str, Any]) -> dict[str, Any]:
    """Return the form as an earlier release opened it, with a field per option."""
    kept = [block for block in form["blocks"] if block.get("block_id") not in {"evaluate", "options"}]
    fields = [
        {
            "type": "input",
            "block_id": name,
            "element": {"type": "plain_text_input", "action_id": f"draft_{name}"},
        }
        for name in EARLIER_FIELDS
    ]
    return {**form, "blocks": [*kept, *fields]}


async def test_a_form_that_was_opened_before_an_upgrade_still_adds_its_rule(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    form = earlier_form(await open_editor(person, slack))
    rejected = await person.submits(form, {"threshold": "8", "clear": "9", "hold": "10m"})
    await person.submits(form, {"threshold": "8", "clear": "5", "hold": "10m", "pair": "WGMI/BTC"})

    assert {"threshold"} == errors(rejected).keys(), "a field that every release has"
    assert "at most 8pp" in errors(rejected)["threshold"]
    assert ["1d 8pp clear 5pp for 10m"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_the_preview_compares_the_rule_with_the_saved_one(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 3pp", "U1")
    await person.types("rule edit 1")
    form = {**slack.views(OPENED)[-1], "id": [*slack.hashes][-1]}
    unchanged = json.dumps(slack.views()[-1], ensure_ascii=False)
    await person.fills(form, {"threshold": "1"})
    looser = json.dumps(slack.views()[-1], ensure_ascii=False)

    assert "saved rule" not in unchanged
    assert "Tested on session closes · posts to <#C1>" in unchanged
    assert "ompared with the saved rule `1d 3pp`: " in looser
    assert " added, " in looser
    assert '"text": "Edit rule 1"' in looser
    assert '"text": "Save Rule"' in looser
