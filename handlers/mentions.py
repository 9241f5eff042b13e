"""Read who is meant, as Slack writes people, groups and channels in a command."""

from __future__ import annotations

import re
from dataclasses import replace

from services.alerting.setting_syntax import Addressee
from services.core.identity import Channel, Mention

EVERYONE = ("here", "channel", "everyone")
_PERSON = re.compile(r"<@(?P<id>[UW][A-Z0-9]+)(?:\|(?P<name>[^>]*))?>|(?P<bare>[UW][A-Z0-9]{7,})", re.ASCII)
_GROUP = re.compile(r"<!subteam\^(?P<id>S[A-Z0-9]+)(?:\|(?P<name>[^>]*))?>|(?P<bare>S[A-Z0-9]{7,})", re.ASCII)
_CHANNEL = re.compile(r"<#(?P<id>[CG][A-Z0-9]+)(?:\|[^>]*)?>|(?P<bare>[CG][A-Z0-9]{7,})", re.ASCII)
_ALL = re.compile(rf"(?:<!|@)(?P<id>{'|'.join(EVERYONE)})(?:\|[^>]*)?>?", re.IGNORECASE)


def read_addressee(text: str, team: str) -> Addressee | None:
    """Read a person, a group or a channel, escaped by Slack or as a bare ID; None where nobody can tell who is meant.

    What Slack has not escaped is plain text, which names nobody for sure but for `@here` and the like.
    """
    text = text.strip()
    if found := _PERSON.fullmatch(text):
        return replace(_mention(found, "<@{}>"), person=found["id"] or found["bare"])
    if found := _GROUP.fullmatch(text):
        return _mention(found, "<!subteam^{}>")
    if found := _ALL.fullmatch(text):
        everyone = found["id"].lower()
        return Mention(text=f"<!{everyone}>", name=f"@{everyone}")
    if found := _CHANNEL.fullmatch(text):
        return Channel(team=team, id=found["id"] or found["bare"])
    return None


def _mention(found: re.Match[str], form: str) -> Mention:
    text = form.format(found["id"] or found["bare"])
    name = found["name"]
    return Mention(text=text, name=f"@{name.removeprefix('@')}" if name else text)
