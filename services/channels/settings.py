"""Commands that show and change a channel's settings; quiet hours and mutes, and the digest after them."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Digest, Notice, Outage
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import AlertChange, ChannelUpdate, SettingChange, StoredChannel, WithheldMessages
from services.alerting.quiet_hours import Mute, Silence, mute_of, next_silence_at, silence_at
from services.alerting.setting_syntax import (
    ACCEPT_ESCALATIONS,
    OFF,
    Addressee,
    SettingInput,
    parse_mute,
    parse_setting,
)
from services.channels.permissions import EVERYONE, Act, Permissions
from services.channels.ports import ChannelStore
from services.channels.rule_commands import change_notice
from services.core.clock import Clock
from services.core.concurrency import retry_on_conflict
from services.core.errors import ChannelSettingError
from services.core.identity import Channel
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.delivery.pages import SinkDirectory
from services.market.price_history import PriceHistory

CHANGES_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """A channel's settings, its current silence, and the last changes, newest first.

    Attributes:
        mute: The mute that a person set; None without one.
        changed: Whether the command changed anything.
        editors: Everyone who is an editor here, including the editors of every channel; empty if everyone is.
    """

    channel: Channel
    settings: ChannelSettings
    silence: Silence | None
    changes: tuple[SettingChange, ...]
    mute: Mute | None = None
    editors: tuple[str, ...] = ()
    changed: bool = False


@dataclass(slots=True)
class SettingCommands:
    """Commands on channel settings, for editors; each change is recorded with its author, or not at all.

    Open alerts note it in their thread. A mute is the exception: the digest reports it instead.
    """

    store: ChannelStore
    history: PriceHistory
    clock: Clock
    nudge: Callable[[], None]
    permissions: Permissions = EVERYONE
    sinks: SinkDirectory | None = None

    async def show(self, channel: Channel) -> ChannelView:
        """Return a channel's settings."""
        now, stored = self.clock.now(), await self.store.channel(channel)
        return ChannelView(
            channel=channel,
            settings=stored.settings,
            silence=silence_at(stored.settings, now, self.history.sessions(now)),
            mute=mute_of(stored.settings, now),
            changes=tuple(await self.store.channel_changes(channel, CHANGES_SHOWN)),
            editors=self.permissions.editors_of(stored.settings),
        )

    async def silence(self, channel: Channel) -> Silence | None:
        """Return why nothing new is posted in a channel now; None if it is not silent."""
        now, stored = self.clock.now(), await self.store.channel(channel)
        return silence_at(stored.settings, now, self.history.sessions(now))

    async def set(
        self, channel: Channel, text: str, by: str, resolve_name: Callable[[str], Addressee | None]
    ) -> ChannelView:
        """Apply a setting such as `remind 15m`; `resolve_name` parses names.

        Raises ChannelSettingError or NotAllowedError.
        """
        now = self.clock.now()

        async def change(settings: ChannelSettings) -> ChannelSettings:
            self.permissions.check(Act.CHANGE_SETTINGS, settings, by)
            changed = parse_setting(SettingInput(text=text, resolve=resolve_name, now=now), settings)[1]
            self.permissions.check_list(settings, changed, by)
            if changed.escalate_to == channel:
                raise ChannelSettingError(
                    "Nothing was changed: alerts are already posted here. Escalate to another channel or a person."
                )
            if isinstance(changed.escalate_to, Channel) and changed.escalate_to.team != channel.team:
                raise ChannelSettingError(
                    "Nothing was changed: that channel is in another workspace. Escalate to a channel "
                    "in this workspace, or to a person."
                )
            if isinstance(changed.escalate_to, Channel) and changed.escalate_to != settings.escalate_to:
                await self._check_accepts(changed.escalate_to)
            await self.check_sinks(channel.team, {route.sink for route in changed.pages} - sinks_of(settings))
            return changed

        setting = " ".join(text.split())
        entry, note = SettingChange(by=by, at=now, summary=setting), Reason.of(Code.SETTING_CHANGED, setting=setting)
        ends_escalations = setting.lower() == f"{ACCEPT_ESCALATIONS} {OFF}"
        return await self._change(channel, change, entry, line=note, note=note, ends_escalations=ends_escalations)

    async def check_sinks(self, team: str, sinks: Collection[str]) -> None:
        """Raise ChannelSettingError if one of these sinks isn't defined."""
        known = await self.sink_names(team) if sinks else {}
        if unknown := sorted(sink for sink in sinks if sink not in known):
            hint = f"Sinks: {', '.join(known)}." if known else "Your MinerPulse administrator must define one first."
            raise ChannelSettingError(f"There is no sink “{unknown[0]}”, so nothing was changed. {hint}")

    async def sink_names(self, team: str) -> Mapping[str, str]:
        """Return the type of each sink that channels of a workspace can page, by name."""
        return {} if self.sinks is None else await self.sinks.names(team)

    async def test_page(self, channel: Channel, sink: str, by: str) -> str:
        """Open and resolve a page titled TEST at a sink; return the sink's reference.

        Raises ChannelSettingError, NotAllowedError or DeliveryError.
        """
        self.permissions.check(Act.CHANGE_SETTINGS, (await self.store.channel(channel)).settings, by)
        found = None if self.sinks is None else await self.sinks.find(channel.team, sink)
        if found is None:
            await self.check_sinks(channel.team, {sink})
            raise ChannelSettingError(
                f"The sink “{sink}” is misconfigured, so no test was sent. Ask your MinerPulse administrator to run "
                "`minerpulse sinks check`."
            )
        return await found[1].test(f"minerpulse/{channel.team}/test/{channel.id}", channel.id)

    async def _check_accepts(self, target: Channel) -> None:
        """Raise ChannelSettingError if a channel has not opted in to the escalations of others."""
        if not (await self.store.channel(target)).settings.accept_escalations:
            raise ChannelSettingError(
                "Nothing was changed: that channel doesn't accept escalations. Ask an editor there to type "
                "`/minerpulse channel accept-escalations on`, then try again."
            )

    async def _escalation_ends(self, target: Channel, by: str, at: datetime) -> list[ChannelUpdate]:
        """Return what turns off the escalations of other channels to one that refuses them, and says so in each."""
        ended = Reason.of(Code.ESCALATION_ENDED, channel=target.id)
        return [
            await self._update(
                stored,
                replace(stored.settings, escalate_after=None, escalate_to=None),
                SettingChange(by=by, at=at, summary=ended),
                line=ended,
                note=ended,
            )
            for stored in await self.store.channels()
            if stored.settings.escalate_to == target
        ]

    async def mute(self, channel: Channel, text: str, by: str) -> ChannelView:
        """Mute a channel as typed, or end a mute, which releases the withheld messages at once.

        Raises ChannelSettingError, NotAllowedError, and MarketClosedError if there is no close to wait for.
        """
        now = self.clock.now()
        market = self.history.sessions(now).state_at(now)

        async def change(settings: ChannelSettings) -> ChannelSettings:
            self.permissions.check(Act.MUTE, settings, by)
            muted = parse_mute(text, settings, market, now)
            is_off = muted.muted_until is None and muted.muted_while is None
            return replace(muted, muted_by=None if is_off else by)

        setting = f"mute {' '.join(text.split())}"
        line = Reason.of(Code.SETTING_CHANGED, setting=setting)
        return await self._change(channel, change, SettingChange(by=by, at=now, summary=setting), line=line)

    async def _change(
        self,
        channel: Channel,
        change: Callable[[ChannelSettings], Awaitable[ChannelSettings]],
        entry: SettingChange,
        *,
        line: Reason,
        note: Reason | None = None,
        ends_escalations: bool = False,
    ) -> ChannelView:
        """Change the settings; on a conflict, apply the change to the newer settings.

        The `line` is saved with them, and posted in the channel; the `note` is for the threads of its open alerts.
        With `ends_escalations`, so is the end of every escalation to this channel.
        """

        async def save() -> bool:
            stored = await self.store.channel(channel)
            changed = await change(stored.settings)
            others = await self._escalation_ends(channel, entry.by, entry.at) if ends_escalations else []
            is_changed = changed != stored.settings or bool(others)
            if is_changed:
                here = await self._update(stored, changed, entry, line=line, note=note)
                await self.store.change_channel(here.after, entry, here.alerts, here.notice, others=others)
            await self.release(channel, entry.at)
            return is_changed

        is_changed = await retry_on_conflict(save)
        self.nudge()
        return replace(await self.show(channel), changed=is_changed)

    async def _update(
        self,
        stored: StoredChannel,
        changed: ChannelSettings,
        entry: SettingChange,
        *,
        line: Reason,
        note: Reason | None,
    ) -> ChannelUpdate:
        """Return a change of a channel's settings with its line in the channel and in the threads of its alerts."""
        return ChannelUpdate(
            after=self.with_settings(stored, changed, entry.at),
            change=entry,
            alerts=await self._timeline_changes(stored.channel, entry, note) if note else [],
            notice=change_notice(stored.channel, entry.by, line, entry.at),
        )

    async def _timeline_changes(self, channel: Channel, entry: SettingChange, note: Reason) -> list[AlertChange]:
        open_alerts = OpenAlerts.from_stored(await self.store.open_alerts(channel), entry.at)
        open_alerts.note_channel_change(note, entry.by)
        return open_alerts.changes()

    def with_settings(self, stored: StoredChannel, settings: ChannelSettings, now: datetime) -> StoredChannel:
        """Return the channel with new settings; a silence starts at once, and only its release ends it."""
        if stored.is_silent(now):
            return replace(stored, settings=settings)
        sessions = self.history.sessions(now)
        return replace(stored, settings=settings, silent_from=next_silence_at(settings, now, sessions))

    async def release(self, channel: Channel, now: datetime) -> None:
        """Release the messages that a channel withholds, if nothing silences it any more. Raises ConflictError."""
        stored = await self.store.channel(channel)
        if stored.is_silent(now):
            await apply_silence(self.store, stored, self.history.sessions(now), now)


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


def sinks_of(settings: ChannelSettings) -> frozenset[str]:
    """Return the sinks that a channel pages."""
    return frozenset(route.sink for route in settings.pages)
