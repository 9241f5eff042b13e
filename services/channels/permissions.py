"""Editors: who may change the rules of a channel, and the list of those who may; everyone, unless a list is set."""

from __future__ import annotations

from dataclasses import dataclass

from services.alerting.channel_settings import ChannelSettings
from services.core.errors import ChannelSettingError, NotAllowedError

LOCKED_OUT = "You would not be on that list yourself and could not change it again: name yourself, too."


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePermissions:
    """The one place that tells who may change rules; people are named as the place where they act calls them.

    `people` may in every channel, as whoever runs MinerPulse has set it. A channel can name others beside them.
    """

    people: tuple[str, ...] = ()

    def of(self, settings: ChannelSettings) -> tuple[str, ...]:
        """Name who may change rules in a channel that is set so; nobody is named where everyone may."""
        here = [one.person for one in settings.editors if one.person]
        return tuple(dict.fromkeys([*here, *self.people]))

    def check(self, settings: ChannelSettings, by: str) -> None:
        """Raise NotAllowedError, which names who may, where this person may not."""
        if (may := self.of(settings)) and by not in may:
            raise NotAllowedError(may)

    def check_list(self, before: ChannelSettings, after: ChannelSettings, by: str) -> None:
        """See that this person may change the list, and could change it back, so that nobody is locked out.

        Raises NotAllowedError and ChannelSettingError.
        """
        self.check(before, by)
        if (may := self.of(after)) and by not in may:
            raise ChannelSettingError(LOCKED_OUT)


EVERYONE = RulePermissions()
