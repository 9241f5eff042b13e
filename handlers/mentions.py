"""Parse mentions of people, groups and channels as Slack writes them in a command."""

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


def parse_addressee(text: str, team: str) -> Addressee | None:
    """Parse a person, group or channel, escaped by Slack or as a bare ID; None if the text is ambiguous.

    Unescaped text is plain text and identifies nobody, except for `@here` and the like.
    """
    text = text.strip()
    if match := _PERSON.fullmatch(text):
        return replace(_mention(match, "<@{}>"), person=match["id"] or match["bare"])
    if match := _GROUP.fullmatch(text):
        return _mention(match, "<!subteam^{}>")
    if match := _ALL.fullmatch(text):
        everyone = match["id"].lower()
        return Mention(text=f"<!{everyone}>", name=f"@{everyone}")
    if match := _CHANNEL.fullmatch(text):
        return Channel(team=team, id=match["id"] or match["bare"])
    return None


def _mention(match: re.Match[str], template: str) -> Mention:
    text = template.format(match["id"] or match["bare"])
    name = match["name"]
    return Mention(text=text, name=f"@{name.removeprefix('@')}" if name else text)
