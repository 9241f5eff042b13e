"""Tokens that expire are renewed in time, once, and a failure is told once."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest
from aiohttp import web

from bot.health import Health
from bot.oauth.rotation import Rotation
from bot.scheduler import Ticker
from tests.bot.oauth.conftest import Office

TWELVE_HOURS = timedelta(hours=12)
EXPIRING = {"access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43_200}


async def test_a_token_is_renewed_two_hours_before_it_expires(office: Office) -> None:
    await office.install(**EXPIRING)
    office.grants.refresh = {"xoxe-1": "xoxe.xoxb-2", "xoxe-1+": "xoxe.xoxb-3"}
    tokens = []
    for hours in (9.9, 0.2, 0.2, 9.9):
        office.clock.advance(timedelta(hours=hours))
        await office.installing.rotation.work()
        tokens.append((await office.installing.clients.of("T1")).token)

    assert ["xoxe.xoxb-1", "xoxe.xoxb-2", "xoxe.xoxb-2", "xoxe.xoxb-3"] == tokens


async def test_a_token_that_does_not_expire_is_left_alone(office: Office) -> None:
    await office.install()
    office.clock.advance(timedelta(days=400))
    await office.installing.rotation.work()

    assert 1 == len(office.grants.asked)


async def test_of_several_processes_one_renews_a_token(office: Office) -> None:
    await office.install(**EXPIRING)
    office.grants.refresh = {"xoxe-1": "xoxe.xoxb-2"}
    office.clock.advance(timedelta(hours=11))
    mine = office.installing.rotation
    other = Rotation(store=mine.store, access=mine.access, tokens=mine.tokens, clock=mine.clock)

    await asyncio.gather(mine.work(), other.work())

    assert ["xoxe-1"] == [asked["refresh_token"] for asked in office.grants.asked if "refresh_token" in asked]
    assert "xoxe.xoxb-2" == (await office.installing.clients.of("T1")).token


async def test_a_renewal_that_fails_is_told_once_and_tried_again_each_minute(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="bot.oauth")
    await office.install(**EXPIRING)
    office.clock.advance(timedelta(hours=11))
    office.grants.broken = web.json_response({"ok": False, "error": "invalid_refresh_token"})
    for _ in range(3):
        await office.installing.rotation.work()
        office.clock.advance(timedelta(minutes=1))
    office.grants.broken, office.grants.refresh = None, {"xoxe-1": "xoxe.xoxb-2"}
    await office.installing.rotation.work()

    told = [record.message for record in caplog.records if "token of T1" in record.message]
    failed = (
        "the token of T1 cannot be renewed and is tried again each minute: "
        "Slack refuses it (invalid_refresh_token). Have the app installed there again."
    )
    assert [failed, "the token of T1 is renewed"] == told
    assert "xox" not in caplog.text


async def test_a_token_that_stays_unrenewed_is_told_by_readyz_until_it_is_renewed(office: Office) -> None:
    await office.install(**EXPIRING)
    ticker = Ticker(monitor=office.app.monitor, clock=office.clock)
    health = Health(ticker, office.app.store, office.app.client, overdue=office.installing.overdue)
    told = []
    for minutes in (10 * 60 - 1, 5, 10):
        office.clock.advance(timedelta(minutes=minutes))
        await office.installing.rotation.work()
        told.append((await health.report()).stuck)
    office.clock.advance(timedelta(minutes=1))
    office.grants.refresh = {"xoxe-1": "xoxe.xoxb-2"}
    await office.installing.rotation.work()

    unrenewed = "workspace T1: its token cannot be renewed and ends: have the app installed there again"
    assert [(), (), (unrenewed,)] == told
    assert () == (await health.report()).stuck


async def test_a_token_that_could_not_be_renewed_is_mended_by_installing_again(office: Office) -> None:
    await office.install(**EXPIRING)
    office.clock.advance(timedelta(hours=11))
    await office.installing.rotation.work()  # the refresh token is not known to Slack
    await office.install(access_token="xoxe.xoxb-9", refresh_token="xoxe-9", expires_in=43_200)

    assert () == await office.installing.overdue(office.clock.at)
    assert "xoxe.xoxb-9" == (await office.installing.clients.of("T1")).token
