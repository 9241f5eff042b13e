"""The person, group or channel that a text names, as Slack escapes them or as a bare ID."""

from dataclasses import replace

from handlers.render.markup import Reference, parse_reference
from services.alerting.setting_syntax import Addressee
from services.core.identity import Channel, Mention
from services.core.scan import DIGITS, UPPERCASE, consists_of

EVERYONE = ("here", "channel", "everyone")
MIN_BARE_ID = 8  # characters of an ID without brackets, so that a word isn't taken for one
_GROUP = "subteam^"
_KINDS = {"U": "@", "W": "@", "S": f"!{_GROUP}", "C": "#", "G": "#"}  # of a reference, by the first letter of an ID


def parse_addressee(text: str, team: str) -> Addressee | None:
    """Parse a person, group or channel, escaped by Slack or as a bare ID; None if the text is ambiguous.

    Unescaped text is plain text and identifies no one, except for `@here` and the like.
    """
    reference = _reference(text.strip())
    match reference:
        case Reference(kind="@", id=person):
            return replace(_mention(reference), person=person)
        case Reference(kind="#", id=channel):
            return Channel(team=team, id=channel)
        case Reference(kind="!", id=name) if name.lower() in EVERYONE:
            return Mention(text=f"<!{name.lower()}>", name=f"@{name.lower()}")
        case Reference(kind="!", id=group) if group.startswith(_GROUP) and _is_id(group.removeprefix(_GROUP), "S"):
            return _mention(reference)
    return None


def _reference(text: str) -> Reference | None:
    """Parse one reference: in brackets, as a bare ID, or `@here` and the like."""
    if text.startswith("<") and text.endswith(">"):
        return parse_reference(text[1:-1])
    if text[:1] == "@" and text[1:].lower() in EVERYONE:
        return Reference("!", text[1:])
    if len(text) >= MIN_BARE_ID and text[0] in _KINDS and _is_id(text, text[0]):
        return parse_reference(f"{_KINDS[text[0]]}{text}")
    return None


def _is_id(text: str, first: str) -> bool:
    return text.startswith(first) and consists_of(text, UPPERCASE | DIGITS)


def _mention(reference: Reference) -> Mention:
    text, label = str(reference._replace(label="")), reference.label
    return Mention(text=text, name=f"@{label.removeprefix('@')}" if label else text)
