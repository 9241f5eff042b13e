"""Channels that the app was removed from: nothing waits for them, and posted messages are updated on return."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.alerting.channel_settings import BriefSubscription, ChannelSettings, Occasion
from services.alerting.ports import AlertChange, SettingChange, StoredChannel
from services.core.errors import ConflictError
from services.core.identity import Channel
from services.delivery.ports import AlertMessage
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import post_alert

LATER = AT + timedelta(hours=1)
ELSEWHERE = Channel(team="T1", id="C2")
LEFT = SettingChange(by="U1", at=AT, summary="all off")
BRIEFED = ChannelSettings(zone="Europe/London", briefs=(BriefSubscription(occasion=Occasion.CLOSE, since=AT),))


async def post_and_edit(store: SqlStore, channel: Channel) -> None:
    """Post an alert in a channel, and leave a thread reply and a new version waiting."""
    await post_alert(store, an_alert(channel=channel), an_entry())
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)
    await store.mark_sent(delivery, f"{channel.id}.1", AT)
    (stored,) = await store.open_alerts(channel)
    await store.record([], [AlertChange(alert=replace(stored.alert, reason="worse"), revision=1, entries=())], AT)


async def test_nothing_waits_for_a_channel_that_the_app_was_removed_from(store: SqlStore) -> None:
    await post_and_edit(store, CHANNEL)
    await store.pause_channel(CHANNEL, AT, "type /invite")
    await store.disconnect_channel(CHANNEL, LEFT)
    await post_and_edit(store, ELSEWHERE)

    assert {ELSEWHERE} == {delivery.channel for delivery in await store.due(AT)}
    assert [] == await store.delivery_problems("T1")


async def test_posted_messages_are_updated_once_on_return(store: SqlStore) -> None:
    await post_and_edit(store, CHANNEL)
    await store.disconnect_channel(CHANNEL, LEFT)
    await store.reconnect_channel(ELSEWHERE, LATER)
    assert [] == await store.due(LATER)

    await store.reconnect_channel(CHANNEL, LATER)

    (delivery,) = await store.due(LATER)
    assert isinstance(delivery.message, AlertMessage)
    assert ("C1.1", "worse") == (delivery.message_id, delivery.message.alert.reason)
    await store.mark_attempting(delivery, LATER)
    await store.mark_sent(delivery, "C1.1", LATER)
    await store.reconnect_channel(CHANNEL, LATER)
    assert [] == await store.due(LATER)


async def test_settings_that_post_messages_are_reset_once_with_their_author(store: SqlStore) -> None:
    set_up = StoredChannel(channel=CHANNEL, settings=BRIEFED, revision=0, silent_from=AT)
    await store.change_channel(set_up, SettingChange(by="U1", at=AT, summary="brief close"))
    await store.disconnect_channel(CHANNEL, LEFT)
    await store.disconnect_channel(CHANNEL, LEFT)

    stored = await store.channel(CHANNEL)
    assert (ChannelSettings(zone="Europe/London"), None) == (stored.settings, stored.silent_from)
    assert ["all off", "brief close"] == [one.summary for one in await store.channel_changes(CHANNEL, 5)]
    with pytest.raises(ConflictError):
        await store.change_channel(replace(set_up, revision=1), LEFT)
