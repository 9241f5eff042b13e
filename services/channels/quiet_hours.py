"""Silences: when a channel falls silent, and what it is told once it wants to hear again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from services.alerting.notice import Digest, Notice, Outage
from services.alerting.ports import ChannelStore, KeptBack, StoredChannel
from services.alerting.quiet_hours import next_silence_at, silence_at
from services.core.identity import Channel
from services.core.sessions import Sessions


async def apply_silence(store: ChannelStore, stored: StoredChannel, sessions: Sessions, now: datetime) -> bool:
    """End a channel's silence where it is over, else expect the next one; tell whether messages were released.

    A silence begins by itself at the instant that was expected, so that nothing slips through before anyone looks; it
    lasts until this has ended it, so that nothing goes out before the digest. Raises ConflictError.
    """
    if stored.silent_from is not None and stored.silent_from <= now:
        if silence_at(stored.settings, now, sessions) is not None:
            return False
        await _release(store, stored, stored.silent_from, sessions, now)
        return True
    expected = next_silence_at(stored.settings, now, sessions)
    if expected != stored.silent_from:
        await store.expect_silence(replace(stored, silent_from=expected))
    return False


async def _release(
    store: ChannelStore, stored: StoredChannel, since: datetime, sessions: Sessions, now: datetime
) -> None:
    """Tell what happened: what came and went in the digest alone, what is still open by itself too."""
    kept = await store.kept_back(stored.channel, since)
    over = [one for one in kept.notices if isinstance(one.content, Outage) and one.closed_at is not None]
    seen = silence_at(stored.settings, since, sessions)
    why = seen.why if seen else "a mute that was ended early"
    digest = _digest(stored.channel, kept, over, since, now, why=why)
    gone = [alert.id for alert in kept.alerts if alert.closed_at is not None and alert.id in kept.unposted]
    after = replace(stored, silent_from=next_silence_at(stored.settings, now, sessions), released_at=now)
    await store.end_silence(after, digest, now, alerts=gone, notices=[one.id for one in over])


def _digest(
    channel: Channel, kept: KeptBack, over: list[Notice], since: datetime, now: datetime, *, why: str
) -> Notice | None:
    """Put together what happened; None where nothing did."""
    outages = tuple(one.content for one in over if isinstance(one.content, Outage))
    if not kept.alerts and not outages:
        return None
    content = Digest(since=since, until=now, why=why, alerts=kept.alerts, outages=outages)
    name = f"digest:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)
