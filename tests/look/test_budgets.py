"""Every golden payload is within the budgets of its surface."""

from typing import Any

import pytest

from tests.look.budgets import CHECKS, exceptions, faults, goldens, pixel_faults
from tests.look.measure import Measures
from tests.look.replies import replies

GOLDENS = goldens()
DATE = "<!date^1794930000^{time}|10:40 AM ET>"
LABEL = {"accessibility_label": "Acknowledge alert 12"}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": plain(text)}


def section(text: str = "a", **more: object) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}, **more}


def button(text: str, value: str = "", **more: object) -> dict[str, Any]:
    return {"type": "button", "action_id": text, "text": plain(text), "value": value, **more}


def menu(*options: str) -> dict[str, Any]:
    return {"type": "overflow", "action_id": "more", "options": [{"text": plain(one), "value": one} for one in options]}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def table(columns: int) -> dict[str, Any]:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}] * columns]}


def message(*blocks: dict[str, Any], text: str = "a") -> dict[str, Any]:
    return {"text": text, "blocks": list(blocks)}


def form(inputs: int) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": "a"}
    blocks = [{"type": "input", "label": plain("A"), "element": element}] * inputs
    return {"type": "modal", "title": plain("A"), "blocks": blocks}


@pytest.mark.parametrize("name", GOLDENS)
def test_a_golden_payload_is_within_the_budgets_of_its_surface(name: str) -> None:
    allowed = exceptions().get(name, [])
    assert [] == [fault.sentence for fault in faults(name, GOLDENS[name]) if fault.code not in allowed]


async def test_a_reply_is_within_its_budgets_and_every_exception_is_still_needed() -> None:
    replied = await replies()
    found = {
        (name, fault.code): fault.sentence
        for name, payload in (GOLDENS | replied).items()
        for fault in faults(name, payload)
    }
    listed = {(name, code) for name, codes in exceptions().items() for code in codes if code in CHECKS}

    assert {} == {where: sentence for where, sentence in found.items() if where[0] in replied and where not in listed}
    assert set() == listed - found.keys(), "delete these from tests/look/exceptions.json"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(message(section(), text="a" * 186), "text", id="a push text of five lines"),
        pytest.param({"text": "a" * 321}, "text", id="a long line in a thread"),
        pytest.param(message(section(), text=DATE), "text date", id="a date token in a push text"),
        pytest.param(message(section("a\nb\nc\nd\ne\nf\ng\nh\ni\nj")), "lines", id="ten lines"),
        pytest.param(message(*[header("A")] * 10), "lines", id="ten headers"),
        pytest.param(message(actions(*[button("A")] * 4)), "controls", id="four buttons"),
        pytest.param(message(actions(menu("A", "B"), menu("A", "B"))), "controls", id="two menus in a row"),
        pytest.param(message(actions(*[button("A", style="primary")] * 2)), "primary", id="two primary buttons"),
        pytest.param(message(table(6)), "tables", id="six columns"),
        pytest.param(message(table(2), table(2)), "tables", id="two tables"),
        pytest.param(message(section(fields=[plain("a")])), "fields", id="fields in a message"),
        pytest.param(form(7), "inputs", id="seven inputs"),
        pytest.param(message(header("A" * 57)), "headers", id="a header of three lines"),
        pytest.param(message(header("🔴 Firing")), "headers", id="an emoji in a header"),
        pytest.param(message(header(":eyes: Acknowledged")), "headers", id="the name of an emoji in a header"),
        pytest.param(message(header("Firing.")), "headers", id="a header with a period"),
        pytest.param(message(actions(button("Edit rule"))), "buttons", id="a button in sentence case"),
        pytest.param(message(actions(button("✅ Acknowledge"))), "buttons", id="an emoji in a button"),
        pytest.param(message(actions(menu("Show chart"))), "menus", id="a menu of one option"),
        pytest.param(message(section(accessory=menu("Chart", "resolve"))), "menus", id="a menu option in lower case"),
        pytest.param(message(actions(button("Acknowledge", "12"))), "labels", id="no label"),
        pytest.param(message(actions(button("Snooze", "12:1h", accessibility_label="Alert 1"))), "labels", id="label"),
        pytest.param(message(section("At 10:40 New York")), "zones", id="a time zone in words"),
        pytest.param(message(section("At 15:40 UTC")), "zones", id="UTC"),
        pytest.param(message(section("BTC -5.2%")), "minus", id="a hyphen as minus sign"),
        pytest.param(message(section("<!date^1794930000^{time}|10:40 AM>")), "dates", id="a fallback without ET"),
        pytest.param(message(section("<!date^1794930000^{time}>")), "dates", id="no fallback"),
        pytest.param(message(header(DATE)), "dates", id="a date token in plain text"),
        pytest.param(message(section(":rocket: To the moon")), "emoji", id="an emoji of somebody else"),
    ],
)
def test_an_alert_that_exceeds_a_budget_is_reported(payload: dict[str, Any], expected: str) -> None:
    assert {expected} == {fault.code for fault in faults("alert_made", payload)}


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        pytest.param(
            "alert_made",
            message(
                header("Firing: WGMI 8.3 pp ahead of BTC over 1 session"),
                section(f":red_circle: Alert #12 · since {DATE}", accessory=menu("Show chart", "Edit rule 1…")),
                section("BTC *−5.2%*, rule `1d -8pp`, since 2026-11-16, at 10:40:05"),
                actions(button("Acknowledge", "12", style="primary", **LABEL), button("Mute 12", "12"), menu("A", "B")),
                text="a" * 185,
            ),
            id="an alert",
        ),
        pytest.param(
            "alert_hashprice_made", message(section("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl")), id="an alert on mining"
        ),
        pytest.param("board_made", message(section("a\n" * 20), table(5), text="a" * 260), id="a board"),
        pytest.param("rule_error", message(actions(button("Add 1d 8pp below", "rule add 1d 8pp below"))), id="a rule"),
        pytest.param("stop", message(actions(button("Mute 8\u00a0h"), button("Share to Channel"))), id="a unit"),
        pytest.param("alert_drill", message(header(f"SIMULATED · Test alert · {'A' * 56}")), id="a marked header"),
        pytest.param("entry_made", {"text": f"Snoozed until {DATE}."}, id="a line in a thread"),
        pytest.param("home", {"type": "home", "blocks": [section(fields=[plain("a")])]}, id="fields on Home"),
        pytest.param("editor", form(6), id="six inputs"),
    ],
)
def test_a_payload_within_its_budgets_has_no_faults(name: str, payload: dict[str, Any]) -> None:
    assert [] == faults(name, payload)


@pytest.mark.parametrize(
    ("name", "height", "button", "primary", "expected"),
    [
        pytest.param("alert_made", 560, 420, 420, [], id="fits"),
        pytest.param("alert_made", 561, 420, 420, ["height"], id="too high"),
        pytest.param("alert_made", 560, 300, 421, ["fold"], id="a primary button below the fold"),
        pytest.param("alert_made", 560, 421, None, ["fold"], id="buttons below the fold"),
        pytest.param("alert_made", 300, None, None, [], id="no button"),
        pytest.param("board_made", 900, 800, None, [], id="a board"),
    ],
)
def test_the_primary_button_of_an_alert_is_above_the_fold(
    name: str, height: int, button: int | None, primary: int | None, expected: list[str]
) -> None:
    measures = Measures(height=height, button=button, primary=primary, lines=8, controls=4, rows=1, cut=False)
    assert expected == [fault.code for fault in pixel_faults(name, measures)]
