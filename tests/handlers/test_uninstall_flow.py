"""Uninstalling in one-workspace mode deletes the workspace's data, once Slack refuses the token."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.events import SingleWorkspaceRemover, register_uninstall
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person, error_response

UNINSTALLED = {"type": "app_uninstalled"}
REVOKED = {"type": "tokens_revoked", "tokens": {"bot": ["UBOT"]}}


@pytest.fixture(autouse=True)
async def _listeners(person: Person, client: AsyncWebClient, harness: Harness) -> None:
    register_uninstall(person.app, SingleWorkspaceRemover(client, harness.store))
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")


@pytest.mark.parametrize("event", [UNINSTALLED, REVOKED])
async def test_uninstalling_deletes_the_data_of_the_workspace(
    person: Person, slack: FakeSlack, harness: Harness, event: dict[str, Any]
) -> None:
    slack.fail("auth.test", error_response("account_inactive"))

    status = (await person.triggers_event(event)).status

    assert (200, [], []) == (
        status,
        await harness.commands.rules(CHANNEL),
        await harness.store.rule_audits(CHANNEL, 5),
    )


async def test_a_late_event_spares_an_app_that_is_installed_again(person: Person, harness: Harness) -> None:
    status = (await person.triggers_event(UNINSTALLED)).status

    assert (200, 1) == (status, len(await harness.commands.rules(CHANNEL)))


async def test_without_an_answer_from_slack_nothing_is_deleted_and_slack_sends_the_event_again(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    slack.fail("auth.test", error_response("internal_error"))

    status = (await person.triggers_event(UNINSTALLED)).status

    assert (500, 1) == (status, len(await harness.commands.rules(CHANNEL)))
