"""How much a message may show: the design's own budgets, stricter than Slack's limits.

Slack's limits are in `tests/fakes/blockkit.py`. Each budget has a code, by which `exceptions.json` lists the payloads
that still exceed it.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from tests.fakes.blockkit import TEXT_KEYS
from tests.look.measure import Measures
from tests.look.page import EMOJI

GOLDEN = Path(__file__).parents[1] / "golden"
EXCEPTIONS = Path(__file__).with_name("exceptions.json")

Payload = dict[str, Any]


class Fault(NamedTuple):
    """A budget that a payload exceeds."""

    code: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Surface:
    """Budgets of one kind of payload.

    Attributes:
        text: Characters of the push notification.
        line: Characters of a message without blocks.
        lines: Lines of a message, before the phone wraps them.
        fold: Pixels from the top of the message to its first button, at 390 px.
        height: Pixels of the message, at 390 px.
    """

    text: int = 260
    line: int = 320
    lines: int | None = None
    fold: int | None = None
    height: int | None = None


SURFACES = {  # by the start of a golden file's name; the longest that fits decides
    "": Surface(),
    "alert_": Surface(text=185, lines=9, fold=420, height=560),
    "alert_calling": Surface(lines=10, fold=420, height=560),  # begins with a mention
    "alert_hashprice": Surface(text=185, lines=12, fold=420, height=560),
    "alert_difficulty": Surface(text=185, lines=12, fold=420, height=560),
}

HEADER, CONTROLS, COLUMNS, INPUTS, OPTIONS = 56, 3, 5, 6, range(2, 6)
SMALL_WORDS = {"a", "an", "and", "as", "at", "by", "for", "from", "in", "of", "on", "or", "the", "to", "until", "with"}
ENDS = ".!?:;,"
SIMULATED_MARK, DRILL_MARK = "SIMULATED · ", "Test alert · "  # only in rehearsals and drills; not counted in a header
FIRST_EMOJI = 0x1F000

_EMOJI = re.compile(r"(?<![\w:]):([a-z][a-z0-9_+-]*):")
_DATE = re.compile(r"<!date\^\d+\^[^|>]*(?:\|([^>]*))?>")
_ZONE = re.compile(r"New York|\bUTC\b")
_HYPHEN = re.compile(r"(?<![\w.>-])-\d")
_NUMBERED = re.compile(r"(\d+)(:|$)")
_NUMBER = re.compile(r"\d+")
_CODE = re.compile(r"`[^`]*`")


def surface(name: str) -> Surface:
    """Return the budgets of a golden file."""
    return SURFACES[max((start for start in SURFACES if name.startswith(start)), key=len)]


def goldens(folder: Path = GOLDEN) -> dict[str, Payload]:
    """Return every golden payload by name."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def exceptions() -> dict[str, list[str]]:
    """Return the codes of the budgets that a payload may still exceed, by its name."""
    return dict(json.loads(EXCEPTIONS.read_text(encoding="utf-8")))


def faults(name: str, payload: Payload) -> list[Fault]:
    """Return every budget that a payload exceeds, without drawing it."""
    budget = surface(name)
    return [Fault(code, sentence) for code, check in CHECKS.items() for sentence in check(payload, budget)]


def pixel_faults(name: str, *measures: Measures) -> list[Fault]:
    """Return every budget that a payload exceeds on a phone of 390 px, in any of the text sizes measured."""
    budget, found = surface(name), []
    button = max(one.primary or one.button or 0 for one in measures)
    height = max(one.height for one in measures)
    if budget.fold is not None and button > budget.fold:
        found.append(Fault("fold", f"the button is at {button} px, over {budget.fold} px"))
    if budget.height is not None and height > budget.height:
        found.append(Fault("height", f"the message is {height} px high, over {budget.height} px"))
    return found


def _text(payload: Payload, budget: Surface) -> Iterator[str]:
    limit = budget.text if "blocks" in payload else budget.line
    if len(payload.get("text", "")) > limit:
        yield f"text has {len(payload['text'])} characters, over {limit}"


def _text_date(payload: Payload, _budget: Surface) -> Iterator[str]:
    if "blocks" in payload and "<!date" in payload.get("text", ""):
        yield "text has a date token, which a push notification does not show"


def _lines(payload: Payload, budget: Surface) -> Iterator[str]:
    texts = [text for block in payload.get("blocks", []) for text in _block_texts(block)]
    lines = sum(text.strip().count("\n") + 1 for text in texts)
    if budget.lines is not None and lines > budget.lines:
        yield f"{lines} lines, over {budget.lines}"


def _block_texts(block: dict[str, Any]) -> Iterator[str]:
    """Yield the texts that a block shows one below the other; a context's elements share a line."""
    if block["type"] in {"header", "section"} and "text" in block:
        yield block["text"]["text"]
    elif block["type"] == "context":
        yield " ".join(element["text"] for element in block["elements"] if "text" in element)


def _controls(payload: Payload, _budget: Surface) -> Iterator[str]:
    for block in _of_type(payload, "actions"):
        menus = sum(element["type"] == "overflow" for element in block["elements"])
        if len(block["elements"]) - menus > CONTROLS or menus > 1:
            yield f"{len(block['elements']) - menus} controls and {menus} menus in a row, over {CONTROLS} and 1"


def _primary(payload: Payload, _budget: Surface) -> Iterator[str]:
    count = sum(one.get("style") == "primary" for one in _of_type(payload, "button"))
    if count > 1:
        yield f"{count} primary buttons"


def _tables(payload: Payload, _budget: Surface) -> Iterator[str]:
    tables = list(_of_type(payload, "table", "data_table"))
    yield from (f"a table of {len(one['rows'][0])} columns" for one in tables if len(one["rows"][0]) > COLUMNS)
    if len(tables) > 1:
        yield f"{len(tables)} tables"


def _fields(payload: Payload, _budget: Surface) -> Iterator[str]:
    if "text" in payload and any("fields" in block for block in _of_type(payload, "section")):
        yield "fields in a message, which Slack may reflow"


def _inputs(payload: Payload, _budget: Surface) -> Iterator[str]:
    count = len(list(_of_type(payload, "input")))
    if count > INPUTS:
        yield f"{count} inputs, over {INPUTS}"


def _headers(payload: Payload, _budget: Surface) -> Iterator[str]:
    for block in _of_type(payload, "header"):
        text = block["text"]["text"]
        if len(text.removeprefix(SIMULATED_MARK).removeprefix(DRILL_MARK)) > HEADER:
            yield f"a header of {len(text)} characters, over {HEADER}: {text}"
        if _has_emoji(text):
            yield f"an emoji in a header: {text}"
        if text.endswith(tuple(ENDS)):
            yield f"a header with an end mark: {text}"


def _buttons(payload: Payload, _budget: Surface) -> Iterator[str]:
    for button in _of_type(payload, "button"):
        text = button["text"]["text"]
        if _has_emoji(text):
            yield f"an emoji in a button: {text}"
        if not _is_title_case(text, button.get("value", "")):
            yield f"a button that is not in Title Case: {text}"


def _is_title_case(text: str, value: str) -> bool:
    """Return whether a label is in Title Case.

    A rule stays as it is typed, as in `Add 1d 8pp below`, and so does a unit, as in `Mute 8 h`.
    """
    first, _, rest = text.partition(" ")
    words = ["", first, *([] if rest and rest in value else rest.split())]
    return not any(
        word[0].islower() and not (before and word in SMALL_WORDS) and not before[:1].isdigit()
        for before, word in pairwise(words)
    )


def _menus(payload: Payload, _budget: Surface) -> Iterator[str]:
    for menu in _of_type(payload, "overflow"):
        if len(menu["options"]) not in OPTIONS:
            yield f"a menu of {len(menu['options'])} options"
    for menu in _of_type(payload, "overflow", "static_select") if "text" in payload else ():
        for option in menu.get("options", []):
            if option["text"]["text"][0].islower():
                yield f"a menu option that is not in sentence case: {option['text']['text']}"


def _labels(payload: Payload, _budget: Surface) -> Iterator[str]:
    """Check that a button on a numbered object, such as an alert, names it to a screen reader."""
    for button in _of_type(payload, "button"):
        numbered = _NUMBERED.match(button.get("value", ""))
        shown = f"{button.get('accessibility_label', '')} {button['text']['text']}"
        if numbered and numbered[1] not in _NUMBER.findall(shown):
            yield f"{button['text']['text']} has no accessibility_label that names {numbered[1]}"


def _zones(payload: Payload, _budget: Surface) -> Iterator[str]:
    yield from (f"a time zone in words: {text}" for text in _shown(payload) if _ZONE.search(_DATE.sub("", text)))


def _minus(payload: Payload, _budget: Surface) -> Iterator[str]:
    yield from (f"a hyphen as minus sign: {text}" for text in _shown(payload) if _HYPHEN.search(_CODE.sub("", text)))


def _dates(payload: Payload, _budget: Surface) -> Iterator[str]:
    for text in _shown(payload):
        yield from (
            f"a date token without an ET fallback: {match[0]}"
            for match in _DATE.finditer(text)
            if not (match[1] or "").endswith(" ET")
        )
    for one in _of_type(payload, "plain_text"):
        if "<!date" in one["text"]:
            yield f"a date token in plain text: {one['text']}"


def _emoji(payload: Payload, _budget: Surface) -> Iterator[str]:
    for text in _shown(payload):
        yield from (f":{name}: is not an emoji of ours" for name in _EMOJI.findall(text) if name not in EMOJI)


def _has_emoji(text: str) -> bool:
    return bool(_EMOJI.search(text)) or any(
        ord(character) >= FIRST_EMOJI or unicodedata.category(character) == "So" for character in text
    )


def _shown(payload: Payload) -> Iterator[str]:
    """Yield every text that a reader sees or hears."""
    for one in _objects(payload):
        for key, value in one.items():
            if key in TEXT_KEYS | {"accessibility_label"} and isinstance(value, str):
                yield value


def _of_type(payload: Payload, *kinds: str) -> Iterator[dict[str, Any]]:
    return (one for one in _objects(payload) if one.get("type") in kinds)


def _objects(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inner:
        yield from _objects(one)


CHECKS: dict[str, Callable[[Payload, Surface], Iterator[str]]] = {
    "text": _text,
    "text date": _text_date,
    "lines": _lines,
    "controls": _controls,
    "primary": _primary,
    "tables": _tables,
    "fields": _fields,
    "inputs": _inputs,
    "headers": _headers,
    "buttons": _buttons,
    "menus": _menus,
    "labels": _labels,
    "zones": _zones,
    "minus": _minus,
    "dates": _dates,
    "emoji": _emoji,
}
