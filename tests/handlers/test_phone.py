"""What people type on a phone is read as they mean it, or answered with a button that does it."""

from typing import Any

import pytest

from handlers.command import Command, parse_market_argument, split_number
from handlers.commands import COMMANDS
from handlers.commands.parse import parse_command
from handlers.render.help import RUN_COMMAND
from services.alerting.snooze import SnoozeUntil, parse_snooze
from services.research.tune import parse_target, print_target
from services.rules.grammar import parse_new_rule, parse_rule, parse_window
from services.rules.rule import print_duration
from tests.fakes.blockkit import checked
from tests.handlers.phone_inputs import READINGS

HELP, BOARD = "help", "board"


def reading(text: str) -> str:
    """Return what a text is read as, in the form of the table."""
    parsed = parse_command(text, COMMANDS)
    if parsed.response is not None:
        checked({"text": parsed.response.text, "blocks": parsed.response.blocks})
    if parsed.command is not None and (parsed.response is None or parsed.command.run is None):
        return f"{parsed.command.name} {canonical(parsed.command, parsed.argument)}".strip()
    assert parsed.response is not None
    return f"? {' | '.join(offered(parsed.response.blocks))}".strip()


def canonical(command: Command, argument: str) -> str:  # noqa: PLR0911 -- a way to print each argument
    """Return an argument in the grammar's own words."""
    match command.name:
        case "rule add" | "backtest":
            return str(parse_new_rule(argument)) if argument else ""
        case "rule edit":
            number, rule = split_number(argument)
            return f"{number} {parse_new_rule(rule) if rule else ''}".strip()
        case "status" | "chart":
            market = parse_market_argument(argument)
            assert market is not None
            pair = "BTC" if argument.upper().endswith("BTC") and market.pair is None else market.pair
            return " ".join(str(part) for part in (pair, market.window and market.window.value) if part)
        case "explain" | "miners":
            window = parse_window(argument)
            return window.value if window else ""
        case "tune":
            return print_target(parse_target(argument, parse_rule("1d 8pp")))
        case "snooze" | "mute":
            return span(argument)
        case "ack" | "unack" | "unsnooze" | "why" | "rule pause" | "rule resume" | "rule remove":
            return str(split_number(argument).number or "")
        case "resolve":
            number, reason = split_number(argument)
            return f"{number or ''} {reason}".strip()
        case "rule move":
            return argument.upper()
        case _:
            return argument.lower()


def span(argument: str) -> str:
    """Return a duration or an end, after the number of an alert."""
    number, rest = split_number(argument)
    if number is not None and (rest == "off" or parse_snooze(rest)):
        return f"{number} {span(rest)}"
    match parse_snooze(argument):
        case SnoozeUntil(value=name):
            return name
        case None:
            return argument.lower()
        case duration:
            return print_duration(duration)


def offered(blocks: list[dict[str, Any]]) -> list[str]:
    """Return the commands that the buttons of an answer run, apart from those that every answer has."""
    elements = [element for block in blocks for element in block.get("elements", ())]
    values = [element["value"] for element in elements if element.get("action_id") in RUN_COMMAND]
    return [value for value in values if value not in {HELP, BOARD}]


def test_the_table_has_at_least_300_texts_and_each_once() -> None:
    texts = [text for group in READINGS.values() for text in group]

    assert len(texts) >= 300
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("expected", READINGS)
def test_texts_of_a_phone_are_read_as_they_are_meant(expected: str) -> None:
    assert dict.fromkeys(READINGS[expected], expected) == {text: reading(text) for text in READINGS[expected]}
