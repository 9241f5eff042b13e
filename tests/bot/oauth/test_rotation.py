"""Expiring tokens are renewed in time and once; a failure is logged once."""

import asyncio
import logging
from datetime import timedelta

import pytest

from bot.health import Health
from bot.oauth.rotation import Rotation
from bot.scheduler import TickScheduler
from tests.bot.oauth.conftest import OAuthHarness
from tests.fakes.slack import OAUTH

TWELVE_HOURS = timedelta(hours=12)
EXPIRING = {"access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43_200}


async def test_a_token_is_renewed_two_hours_before_it_expires(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2", "xoxe-1+": "xoxe.xoxb-3"}
    tokens = []
    for hours in (9.9, 0.2, 0.2, 9.9):
        harness.clock.advance(timedelta(hours=hours))
        await harness.oauth.rotation.run()
        tokens.append((await harness.oauth.clients.of("T1")).token)

    assert ["xoxe.xoxb-1", "xoxe.xoxb-2", "xoxe.xoxb-2", "xoxe.xoxb-3"] == tokens


async def test_a_token_without_expiry_is_not_renewed(harness: OAuthHarness) -> None:
    await harness.install()
    harness.clock.advance(timedelta(days=400))
    await harness.oauth.rotation.run()

    assert 1 == len(harness.slack.calls_of(OAUTH))


async def test_only_one_process_renews_a_token(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    harness.clock.advance(timedelta(hours=11))
    rotation = harness.oauth.rotation
    other = Rotation(
        store=rotation.store,
        token_exchange=rotation.token_exchange,
        installation_cache=rotation.installation_cache,
        clock=rotation.clock,
    )

    await asyncio.gather(rotation.run(), other.run())

    assert ["xoxe-1"] == [
        call.arguments["refresh_token"] for call in harness.slack.calls_of(OAUTH) if "refresh_token" in call.arguments
    ]
    assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token


async def test_a_failing_renewal_is_logged_once_and_retried(
    harness: OAuthHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.oauth")
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    for _ in range(3):
        await harness.oauth.rotation.run()
        harness.clock.advance(timedelta(minutes=1))
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    await harness.oauth.rotation.run()

    messages = [record.message for record in caplog.records if "token of T1" in record.message]
    failure = (
        "cannot renew the token of T1; retrying every minute: "
        "Slack refuses it (invalid_refresh_token). Have the app installed there again."
    )
    assert [failure, "renewed the token of T1"] == messages
    assert "xox" not in caplog.text


async def test_an_overdue_token_needs_action_until_it_is_renewed(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    ticker = TickScheduler(monitor=harness.app.monitor, clock=harness.clock)
    health = Health(ticker, harness.app.store, harness.app.client, overdue_tokens=harness.oauth.overdue_tokens)
    action_needed = []
    for minutes in (10 * 60 - 1, 5, 10):
        harness.clock.advance(timedelta(minutes=minutes))
        await harness.oauth.rotation.run()
        action_needed.append((await health.report()).action_needed)
    harness.clock.advance(timedelta(minutes=1))
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    await harness.oauth.rotation.run()

    overdue = "workspace T1: its token cannot be renewed and ends: have the app installed there again"
    assert [(), (), (overdue,)] == action_needed
    assert () == (await health.report()).action_needed


async def test_reinstalling_replaces_a_token_that_cannot_be_renewed(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    await harness.oauth.rotation.run()  # Slack rejects the refresh token
    await harness.install(access_token="xoxe.xoxb-9", refresh_token="xoxe-9", expires_in=43_200)

    assert () == await harness.oauth.overdue_tokens(harness.clock.at)
    assert "xoxe.xoxb-9" == (await harness.oauth.clients.of("T1")).token
