"""Expiring tokens are renewed in time and once; a failure is logged once."""

import asyncio
import logging
from datetime import datetime, timedelta

import pytest

from bot.health import Health
from bot.oauth.rotation import Rotation
from bot.scheduler import TickScheduler
from services.alerting.ports import AlertChange
from services.core.errors import DatabaseUnavailableError
from services.core.identity import Channel
from tests.bot.oauth.conftest import OAuthHarness
from tests.fakes.alerts import an_alert
from tests.fakes.slack import OAUTH, POST, Fault, error_response

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
        "Slack rejected the request (invalid_refresh_token). Reinstall the app there."
    )
    assert [failure, "renewed the token of T1"] == messages
    assert "xox" not in caplog.text


@pytest.mark.parametrize(
    ("fault", "after_min", "sentence"),
    [
        pytest.param(None, 0, "Slack does not renew its token", id="refused: at once"),
        pytest.param(Fault(status=503), 10, "its token could not be renewed", id="Slack is down"),
    ],
)
async def test_a_token_that_is_not_renewed_needs_action_until_it_is(
    harness: OAuthHarness, fault: Fault | None, after_min: int, sentence: str
) -> None:
    await harness.install(**EXPIRING)
    ticker = TickScheduler(monitor=harness.app.monitor, clock=harness.clock)
    health = Health(ticker, harness.app.store, harness.app.client, overdue_tokens=harness.oauth.overdue_tokens)
    harness.clock.advance(timedelta(hours=10, seconds=1))
    reported = []
    for _ in range(12):
        harness.slack.fail(OAUTH, *([] if fault is None else [fault]))
        await harness.oauth.rotation.run()
        reported.append((await health.report()).action_needed)
        harness.clock.advance(timedelta(minutes=1))
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    await harness.oauth.rotation.run()

    expected = f"workspace T1: {sentence}, and it expires soon. Reinstall the app there."
    assert [(expected,) if minute >= after_min else () for minute in range(12)] == reported
    assert () == (await health.report()).action_needed


async def test_a_refusal_after_another_failure_is_logged_too(
    harness: OAuthHarness, caplog: pytest.LogCaptureFixture
) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    harness.slack.fail(OAUTH, Fault(status=503, body="down"), Fault(status=503, body="down"))
    for _ in range(4):
        await harness.oauth.rotation.run()
        harness.clock.advance(timedelta(minutes=1))

    messages = [record.message for record in caplog.records if "token of T1" in record.message]
    assert ["can't be read (HTTP 503)", "rejected the request (invalid_refresh_token)"] == [
        message.partition("Slack's response ")[2].rstrip(".") or message.partition("Slack ")[2].partition(".")[0]
        for message in messages
    ]


CUT_OFF = '{"ok":true,"access_token":"xoxe.xoxb-2","expires_in":43200,"refresh_token":"xoxe-2","token_type":"bo'


@pytest.mark.parametrize("breaks", [False, True], ids=["answer ends", "connection breaks"])
@pytest.mark.parametrize("cut", [0, 10], ids=["its end is missing", "and more"])
async def test_tokens_of_an_answer_that_is_cut_off_are_saved(harness: OAuthHarness, cut: int, *, breaks: bool) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    harness.slack.fail(OAUTH, Fault(body=CUT_OFF[: len(CUT_OFF) - cut], accepted=True, breaks=breaks))
    await harness.oauth.rotation.run()
    harness.slack.refresh_tokens = {"xoxe-2": "xoxe.xoxb-3"}
    token = (await harness.oauth.clients.of("T1")).token
    harness.clock.advance(timedelta(hours=11))
    await harness.oauth.rotation.run()

    assert ("xoxe.xoxb-2", "xoxe.xoxb-3") == (token, (await harness.oauth.clients.of("T1")).token)


async def test_half_a_pair_of_an_answer_that_is_cut_off_is_not_saved(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    harness.slack.fail(OAUTH, Fault(body=CUT_OFF.partition("xoxe-2")[0]))
    await harness.oauth.rotation.run()
    kept = (await harness.oauth.clients.of("T1")).token
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    await harness.oauth.rotation.run()

    assert ("xoxe.xoxb-1", "xoxe.xoxb-2") == (kept, (await harness.oauth.clients.of("T1")).token)


async def test_a_stop_waits_until_a_renewed_token_is_saved(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    answer, calls = asyncio.Event(), len(harness.slack.calls)
    harness.slack.fail(OAUTH, Fault(until=answer))
    rotation = harness.oauth.rotation
    renewing = asyncio.create_task(rotation.run())
    await harness.slack.received(calls + 1)

    stopping = asyncio.create_task(rotation.stop())
    await asyncio.wait({stopping}, timeout=0)
    waits = not stopping.done()
    answer.set()
    await asyncio.gather(stopping, renewing)
    await rotation.run()

    assert waits
    assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token


async def test_a_reinstallation_wakes_the_alerts_that_waited(harness: OAuthHarness) -> None:
    await harness.install()
    channels = [Channel(team="T1", id=f"C{number}") for number in range(5)]
    alerts = [AlertChange(alert=an_alert(channel=channel), revision=0) for channel in channels]
    await harness.app.store.record([], alerts, harness.clock.at)
    harness.slack.fail(POST, *[error_response("token_revoked")] * 5)
    await harness.app.outbox.deliver(harness.clock.at)
    harness.clock.advance(timedelta(seconds=30))
    waiting = await harness.app.store.due(harness.clock.at)
    await harness.install(access_token="xoxb-again")
    await harness.app.outbox.deliver(harness.clock.at)

    assert [] == waiting
    assert [("xoxb-again", channel.id) for channel in channels] == sorted(harness.slack.posted)


async def test_reinstalling_replaces_a_token_that_cannot_be_renewed(harness: OAuthHarness) -> None:
    await harness.install(**EXPIRING)
    harness.clock.advance(timedelta(hours=11))
    await harness.oauth.rotation.run()  # Slack rejects the refresh token
    await harness.install(access_token="xoxe.xoxb-9", refresh_token="xoxe-9", expires_in=43_200)

    assert () == await harness.oauth.overdue_tokens(harness.clock.at)
    assert "xoxe.xoxb-9" == (await harness.oauth.clients.of("T1")).token


async def test_a_failing_look_up_of_expiring_tokens_is_logged_once(
    harness: OAuthHarness, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotation = harness.oauth.rotation

    async def fail(_until: datetime) -> list[str]:
        raise DatabaseUnavailableError("down")

    with monkeypatch.context() as broken:
        broken.setattr(rotation.store, "find_expiring", fail)
        await rotation.run()
        await rotation.run()
    await rotation.run()

    assert ["cannot look up expiring tokens; retrying every minute: down"] == caplog.messages
