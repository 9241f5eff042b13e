"""Permissions: which act needs which permission, and who has it in a channel.

Every command, button, shortcut, form and settings row names its act. To add an act, add it to `Act` and a row to
`PERMISSIONS`; without that row, this module doesn't import.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from services.alerting.alert import Alert
from services.alerting.channel_settings import ChannelSettings
from services.core.errors import ChannelSettingError, NotAllowedError
from services.core.rows import complete
from services.rules.grammar import parse_rule
from services.rules.rule import levels_of

LOCKED_OUT = "You aren't on that list, so you couldn't change it again. Add yourself to it."
LONGEST_MEMBER_SNOOZE = timedelta(hours=24)


class Permission(Enum):
    """Who may do something. People from another organization (Slack Connect) count only if they are editors by name."""

    ANYONE = "everyone who can see the channel"
    MEMBER = "workspace members and listed editors"
    EDITOR = "editors, or workspace members if there is no list"


class Act(Enum):
    """What a person does, as it reads after “can”."""

    READ = "see the market, rules, alerts, settings and studies"
    SHARE = "share the board or a study"
    VOTE = "vote on an alert"
    ACKNOWLEDGE = "acknowledge an alert or remove the acknowledgement"
    SNOOZE = "snooze an alert for up to 24 hours or end a snooze"
    SNOOZE_LONG = "snooze an alert for more than 24 hours"
    RESOLVE = "resolve an alert that has cleared"
    RESOLVE_EARLY = "resolve an alert that hasn't cleared"
    CHANGE_RULES = "add, edit, pause, resume or remove rules"
    CHANGE_SETTINGS = "change the settings, mentions and list of editors"
    MUTE = "mute or unmute alerts"
    DRILL = "post a test alert"


PERMISSIONS = complete(
    "PERMISSIONS",
    Act,
    {
        Act.READ: Permission.ANYONE,
        Act.SHARE: Permission.MEMBER,
        Act.VOTE: Permission.MEMBER,
        Act.ACKNOWLEDGE: Permission.MEMBER,
        Act.SNOOZE: Permission.MEMBER,
        Act.SNOOZE_LONG: Permission.EDITOR,
        Act.RESOLVE: Permission.MEMBER,
        Act.RESOLVE_EARLY: Permission.EDITOR,
        Act.CHANGE_RULES: Permission.EDITOR,
        Act.CHANGE_SETTINGS: Permission.EDITOR,
        Act.MUTE: Permission.EDITOR,
        Act.DRILL: Permission.EDITOR,
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permissions:
    """Checks what one request may do; people are identified by their id in the chat platform.

    Attributes:
        people: Editors of every channel, set by the operator. A channel can add its own.
        is_outsider: Whether the request comes from a person of another organization.
    """

    people: tuple[str, ...] = ()
    is_outsider: bool = False

    def editors_of(self, settings: ChannelSettings) -> tuple[str, ...]:
        """Return the editors of a channel with these settings; empty if everyone in the workspace is one."""
        named = [mention.person for mention in settings.editors if mention.person]
        return tuple(dict.fromkeys([*named, *self.people]))

    def is_installation_editor(self, person: str) -> bool:
        """Return whether the operator has named this person an editor of every channel."""
        return person in self.people

    def needs_editors(self, act: Act) -> bool:
        """Return whether the answer depends on the channel's editors."""
        permission = PERMISSIONS[act]
        return permission is Permission.EDITOR or (permission is Permission.MEMBER and self.is_outsider)

    def check(self, act: Act, settings: ChannelSettings, by: str) -> None:
        """Raise NotAllowedError, with the people who may, if this person may not do this in the channel."""
        editors = self.editors_of(settings)
        if self.needs_editors(act) and by not in editors and (editors or self.is_outsider):
            raise NotAllowedError(act.value, editors, is_outsider=self.is_outsider)

    def allows(self, act: Act, settings: ChannelSettings, by: str) -> bool:
        """Return whether this person may do this in the channel."""
        try:
            self.check(act, settings, by)
        except NotAllowedError:
            return False
        return True

    def check_list(self, before: ChannelSettings, after: ChannelSettings, by: str) -> None:
        """Check that a person who changes the list of editors is on the new one, so that no one locks themselves out.

        Raises ChannelSettingError.
        """
        if before.editors != after.editors and (allowed := self.editors_of(after)) and by not in allowed:
            raise ChannelSettingError(LOCKED_OUT)


EVERYONE = Permissions()


def act_of_snooze(duration: timedelta) -> Act:
    """Return the act of snoozing an alert for this long."""
    return Act.SNOOZE if duration <= LONGEST_MEMBER_SNOOZE else Act.SNOOZE_LONG


def act_of_resolve(alert: Alert) -> Act:
    """Return the act of resolving an alert; its rules stay quiet until they clear, if one is past its clear level.

    No rule depends on a test alert.
    """
    if alert.is_drill:
        return Act.RESOLVE
    past = [hit for hit in alert.hits if hit.active and not _is_cleared(hit.rule, hit.value, alert.side.sign)]
    return Act.RESOLVE_EARLY if past else Act.RESOLVE


def _is_cleared(rule: str, value: float, sign: int) -> bool:
    return bool(levels_of(parse_rule(rule), sign).is_cleared(value))
