"""Channels that the app was taken out of: nothing waits for them, and what stands there is mended on return."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.brief import Occasion
from services.alerting.channel_settings import AskedBrief, ChannelSettings
from services.alerting.ports import SettingChange, StoredChannel
from services.alerting.records import AlertChange
from services.channels.ports import Store
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.delivery.ports import AlertMessage
from tests.fakes.alerts import AT, DESK, an_alert, an_entry

LATER = AT + timedelta(hours=1)
ELSEWHERE = Channel(team="T1", id="C2")
LEFT = SettingChange(by="U1", at=AT, what="all off")
BRIEFED = ChannelSettings(zone="Europe/London", briefs=(AskedBrief(occasion=Occasion.CLOSE, since=AT),))


async def tell(store: Store, channel: Channel) -> None:
    """An alert that stands in a channel, with a line and a new wording that wait."""
    await store.record([], [AlertChange(alert=an_alert(channel=channel), revision=0, entries=(an_entry(),))], AT)
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)
    await store.mark_sent(delivery, f"{channel.id}.1", AT)
    (stored,) = await store.open_alerts(channel)
    await store.record([], [AlertChange(alert=replace(stored.alert, reason="worse"), revision=1, entries=())], AT)


async def test_nothing_waits_for_a_channel_that_was_left_but_for_others(store: Store) -> None:
    await tell(store, DESK)
    await store.hold(DESK, AT, "type /invite")
    await store.abandon(DESK, LEFT)
    await tell(store, ELSEWHERE)

    assert {ELSEWHERE} == {delivery.channel for delivery in await store.due(AT)}
    assert [] == await store.troubles("T1")


async def test_what_stands_in_a_channel_is_told_anew_on_return_once(store: Store) -> None:
    await tell(store, DESK)
    await store.abandon(DESK, LEFT)
    await store.return_to(ELSEWHERE, LATER)
    assert [] == await store.due(LATER)

    await store.return_to(DESK, LATER)

    (delivery,) = await store.due(LATER)
    assert isinstance(delivery.told, AlertMessage)
    assert ("C1.1", "worse") == (delivery.message_id, delivery.told.alert.reason)
    await store.mark_attempting(delivery, LATER)
    await store.mark_sent(delivery, "C1.1", LATER)
    await store.return_to(DESK, LATER)
    assert [] == await store.due(LATER)


async def test_settings_that_have_anything_told_are_taken_back_with_who_left_and_once(store: Store) -> None:
    set_up = StoredChannel(channel=DESK, settings=BRIEFED, revision=0, silent_from=AT)
    await store.change_channel(set_up, SettingChange(by="U1", at=AT, what="brief close"))
    await store.abandon(DESK, LEFT)
    await store.abandon(DESK, LEFT)

    stored = await store.channel(DESK)
    assert (ChannelSettings(zone="Europe/London"), None) == (stored.settings, stored.silent_from)
    assert ["all off", "brief close"] == [one.what for one in await store.channel_changes(DESK, 5)]
    with pytest.raises(ConflictError):
        await store.change_channel(replace(set_up, revision=1), LEFT)
