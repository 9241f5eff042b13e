"""Start and end a channel's silence: quiet hours and mutes, and the digest after them."""

from dataclasses import replace
from datetime import datetime

from services.alerting.notice import Digest, Notice, Outage
from services.alerting.ports import StoredChannel, WithheldMessages
from services.alerting.quiet_hours import next_silence_at, silence_at
from services.channels.ports import ChannelStore
from services.core.identity import Channel
from services.core.reason import Code, Reason
from services.core.sessions import Sessions


async def apply_silence(store: ChannelStore, stored: StoredChannel, sessions: Sessions, now: datetime) -> bool:
    """End a channel's silence if it is over, else schedule the next one; return whether messages were released.

    A silence starts by itself at its scheduled instant, so no message slips through before the next round. It lasts
    until this function ends it, so no message is posted before the digest. Raises ConflictError.
    """
    if stored.silent_from is not None and stored.silent_from <= now:
        if silence_at(stored.settings, now, sessions) is not None:
            return False
        await _release(store, stored, stored.silent_from, sessions, now)
        return True
    next_at = next_silence_at(stored.settings, now, sessions)
    if next_at != stored.silent_from:
        await store.schedule_silence(replace(stored, silent_from=next_at))
    return False


async def _release(
    store: ChannelStore, stored: StoredChannel, since: datetime, sessions: Sessions, now: datetime
) -> None:
    """Post the digest: alerts that opened and closed are only in it; open alerts are also posted by themselves."""
    withheld = await store.withheld_messages(stored.channel, since)
    closed_outages = [
        notice for notice in withheld.notices if isinstance(notice.content, Outage) and notice.closed_at is not None
    ]
    silence = silence_at(stored.settings, since, sessions)
    reason = silence.reason if silence else Reason.of(Code.MUTE_ENDED)
    digest = _digest(stored.channel, withheld, closed_outages, since, now, reason=reason)
    dropped = [alert.id for alert in withheld.alerts if alert.closed_at is not None and alert.id in withheld.unposted]
    after = replace(stored, silent_from=next_silence_at(stored.settings, now, sessions), released_at=now)
    await store.end_silence(after, digest, now, alerts=dropped, notices=[notice.id for notice in closed_outages])


def _digest(
    channel: Channel,
    withheld: WithheldMessages,
    closed_outages: list[Notice],
    since: datetime,
    now: datetime,
    *,
    reason: Reason,
) -> Notice | None:
    """Build the digest; None if nothing happened."""
    outages = tuple(notice.content for notice in closed_outages if isinstance(notice.content, Outage))
    if not withheld.alerts and not outages:
        return None
    content = Digest(since=since, until=now, reason=reason, alerts=withheld.alerts, outages=outages)
    name = f"digest:{since.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)
