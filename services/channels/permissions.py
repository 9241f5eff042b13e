"""Permissions: who may change a channel's rules and its list of editors; everyone, unless a list is set."""

from dataclasses import dataclass

from services.alerting.channel_settings import ChannelSettings
from services.core.errors import ChannelSettingError, NotAllowedError

LOCKED_OUT = "You would not be on that list yourself and could not change it again: name yourself, too."


@dataclass(frozen=True, slots=True, kw_only=True)
class RulePermissions:
    """Single source of rule permissions; people are identified by their id in the chat platform.

    Attributes:
        people: Editors of every channel, set by the operator. A channel can add its own.
    """

    people: tuple[str, ...] = ()

    def editors_of(self, settings: ChannelSettings) -> tuple[str, ...]:
        """Return who may change rules in a channel with these settings; empty if everyone may."""
        named = [mention.person for mention in settings.editors if mention.person]
        return tuple(dict.fromkeys([*named, *self.people]))

    def check(self, settings: ChannelSettings, by: str) -> None:
        """Raise NotAllowedError, with the people who may, if this person may not change rules."""
        if (allowed := self.editors_of(settings)) and by not in allowed:
            raise NotAllowedError(allowed)

    def check_list(self, before: ChannelSettings, after: ChannelSettings, by: str) -> None:
        """Check that this person may change the list and is still on the new one, so that nobody locks themselves out.

        Raises NotAllowedError and ChannelSettingError.
        """
        self.check(before, by)
        if (allowed := self.editors_of(after)) and by not in allowed:
            raise ChannelSettingError(LOCKED_OUT)


EVERYONE = RulePermissions()
