"""What people set in a channel, and how it stands there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from services.alerting.channel_settings import ChannelSettings
from services.alerting.open_alerts import OpenAlerts
from services.alerting.ports import SettingChange, StoredChannel
from services.alerting.quiet_hours import Silence, next_silence_at, silence_at
from services.alerting.records import AlertChange
from services.alerting.setting_syntax import EDITORS, Addressee, SettingInput, read_mute, read_setting
from services.channels.permissions import EVERYONE, RulePermissions
from services.channels.ports import CommandStore
from services.channels.quiet_hours import apply_silence
from services.core.clock import Clock
from services.core.errors import ChannelSettingError, ConflictError
from services.core.identity import Channel
from services.market.price_history import PriceHistory

CHANGES_SHOWN = 5
TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelView:
    """A channel's settings with the silence that holds now, and who has set what, newest first.

    `editors` are all who may change rules here, those of every channel included; nobody is named where everyone may.
    """

    channel: Channel
    settings: ChannelSettings
    silence: Silence | None
    changes: tuple[SettingChange, ...]
    editors: tuple[str, ...] = ()


@dataclass(slots=True)
class Channels:
    """The settings of channels; each change is recorded with who made it, or not at all.

    Where an alert is open its thread tells it, but for a mute, which keeps that line back: its digest tells it.
    """

    store: CommandStore
    history: PriceHistory
    clock: Clock
    nudge: Callable[[], None]
    editors: RulePermissions = EVERYONE

    async def show(self, channel: Channel) -> ChannelView:
        """Tell how a channel is set."""
        now, stored = self.clock.now(), await self.store.channel(channel)
        return ChannelView(
            channel=channel,
            settings=stored.settings,
            silence=silence_at(stored.settings, now, self.history.sessions(now)),
            changes=tuple(await self.store.channel_changes(channel, CHANGES_SHOWN)),
            editors=self.editors.of(stored.settings),
        )

    async def silence(self, channel: Channel) -> Silence | None:
        """Tell why nothing new is told in a channel now; None where it is."""
        now, stored = self.clock.now(), await self.store.channel(channel)
        return silence_at(stored.settings, now, self.history.sessions(now))

    async def set(self, channel: Channel, text: str, by: str, who: Callable[[str], Addressee | None]) -> ChannelView:
        """Apply a setting such as `remind 15m`; `who` reads names. Raises ChannelSettingError or NotAllowedError."""
        now = self.clock.now()

        def change(settings: ChannelSettings) -> ChannelSettings:
            setting, changed = read_setting(SettingInput(text=text, who=who, now=now), settings)
            if setting.word == EDITORS:
                self.editors.check_list(settings, changed, by)
            if changed.escalate_to == channel:
                raise ChannelSettingError("Alerts are told here already; escalate to another channel, or to a person.")
            if isinstance(changed.escalate_to, Channel) and changed.escalate_to.team != channel.team:
                raise ChannelSettingError(
                    "That channel is in another workspace; escalate to one of this, or to a person."
                )
            return changed

        done = SettingChange(by=by, at=now, what=" ".join(text.split()))
        return await self._change(channel, change, done, told=f"{done.what} was set")

    async def mute(self, channel: Channel, text: str, by: str) -> ChannelView:
        """Silence a channel as typed, or end that; then what was kept back is released at once.

        Raises ChannelSettingError, and MarketShutError where there is no close to wait for.
        """
        now = self.clock.now()
        market = self.history.sessions(now).state(now)

        def change(settings: ChannelSettings) -> ChannelSettings:
            return read_mute(text, settings, market, now)

        return await self._change(channel, change, SettingChange(by=by, at=now, what=f"mute {' '.join(text.split())}"))

    async def _change(
        self,
        channel: Channel,
        change: Callable[[ChannelSettings], ChannelSettings],
        done: SettingChange,
        told: str = "",
    ) -> ChannelView:
        """Change the settings; where someone else was quicker in between, change what they have left."""
        for tries_left in reversed(range(TRIES)):
            stored = await self.store.channel(channel)
            changed = change(stored.settings)
            try:
                if changed != stored.settings:
                    alerts = await self._mentioned(channel, done, told) if told else []
                    await self.store.change_channel(self._with(stored, changed, done.at), done, alerts)
                await self._release(channel, done.at)
                break
            except ConflictError:
                if not tries_left:
                    raise
        self.nudge()
        return await self.show(channel)

    async def _mentioned(self, channel: Channel, done: SettingChange, told: str) -> list[AlertChange]:
        episodes = OpenAlerts.of(await self.store.open_alerts(channel), done.at)
        episodes.mention(told, done.by)
        return episodes.changes()

    def _with(self, stored: StoredChannel, settings: ChannelSettings, now: datetime) -> StoredChannel:
        """Let a silence begin at once; one that has begun is ended by its release alone."""
        if stored.is_silent(now):
            return replace(stored, settings=settings)
        sessions = self.history.sessions(now)
        return replace(stored, settings=settings, silent_from=next_silence_at(settings, now, sessions))

    async def _release(self, channel: Channel, now: datetime) -> None:
        stored = await self.store.channel(channel)
        if stored.is_silent(now):
            await apply_silence(self.store, stored, self.history.sessions(now), now)
