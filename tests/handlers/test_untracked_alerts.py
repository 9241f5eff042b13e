"""Buttons of an alert that the database does not have, as after it was replaced by another one."""

from typing import Any

import pytest

from services.core.errors import DatabaseUnavailableError
from tests.fakes.alerts import an_alert
from tests.fakes.harness import Harness
from tests.fakes.slack import FakeSlack, Person

NOTE = "No longer tracked: MinerPulse's database doesn't have this alert, so nothing here is updated."
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "WGMI 8.3 pp above bitcoin"}}
SHOWN: dict[str, Any] = {
    "ts": "1700000000.000001",
    "text": "WGMI 8.3 pp above bitcoin",
    "blocks": [SECTION, {"type": "actions", "elements": []}],
}


@pytest.mark.parametrize("action", ["acknowledge", "unacknowledge", "resolve", "useful", "noise", "why", "chart"])
async def test_a_button_marks_the_message_of_an_unknown_alert_as_no_longer_tracked(
    person: Person, slack: FakeSlack, action: str
) -> None:
    await person.presses(action, "77", SHOWN)

    (marked,) = slack.responses
    assert marked["replace_original"] is True
    assert [SECTION, "context"] == [marked["blocks"][0], marked["blocks"][1]["type"]]
    assert f"{SHOWN['text']}\n{NOTE}" == marked["text"]


async def test_an_unavailable_database_leaves_the_message_as_it_is(
    person: Person, slack: FakeSlack, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_arguments: object) -> None:
        raise DatabaseUnavailableError("the disk is gone")

    monkeypatch.setattr(harness.store, "alert", fail)
    await person.presses("acknowledge", f"{an_alert().id}", SHOWN)

    (answer,) = slack.responses
    assert not answer.get("replace_original")


async def test_a_button_without_its_message_only_answers(person: Person, slack: FakeSlack) -> None:
    await person.presses("acknowledge", "77")

    (answer,) = slack.responses
    assert "No alert 77 in this channel" in answer["text"]
    assert not answer.get("replace_original")
