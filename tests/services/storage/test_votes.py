import pytest

from services.alerting.alert import Votes
from services.core.errors import NotFoundError
from services.core.identity import Channel
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.services.storage.conftest import post_alert

OTHER = Channel(team="T1", id="C2")


async def opened(store: SqlStore, channel: Channel = CHANNEL) -> int:
    await post_alert(store, an_alert(channel=channel))
    return (await store.history(channel, 1))[0].id


async def test_each_person_has_one_vote_per_alert_and_the_last_one_counts(store: SqlStore) -> None:
    alert, other = await opened(store), await opened(store, OTHER)
    for by in ("U1", "U2", "U1"):
        await store.vote(CHANNEL, alert, by, AT, noise=True)
    last = await store.vote(CHANNEL, alert, "U1", AT, noise=False)
    await store.vote(OTHER, other, "U1", AT, noise=True)

    assert Votes(useful=1, noise=1) == last
    assert {alert: Votes(useful=1, noise=1)} == await store.votes(CHANNEL)
    assert Votes(useful=1, noise=1) == (await store.alert_audit(CHANNEL, alert)).votes
    assert Votes(noise=1) == (await store.alert_audit(None, other)).votes


async def test_an_alert_of_another_channel_cannot_be_voted_on(store: SqlStore) -> None:
    alert = await opened(store)
    for nowhere in (alert, alert + 1):
        with pytest.raises(NotFoundError, match=f"No alert {nowhere} in this channel"):
            await store.vote(OTHER, nowhere, "U1", AT, noise=True)

    assert {} == await store.votes(CHANNEL)
