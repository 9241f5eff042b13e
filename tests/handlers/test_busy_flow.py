"""Every surface answers an overload in the same words: commands, presses, forms, shortcuts, Home and previews."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from handlers.events import BUSY_EVENTS, EVENTS
from handlers.render.responses import BUSY
from services.core.errors import DatabaseBusyError
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.test_modal_flow import open_editor, view_text

HOME = {"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"}
SHORTCUT = {
    "type": "shortcut",
    "callback_id": "board",
    "team": {"id": "T1"},
    "user": {"id": "U1"},
    "trigger_id": "9.trigger",
}
Act = Callable[[Person], Awaitable[Any]]


async def overloaded(person: Person, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch, act: Act) -> None:
    """Do something while as many tasks run as may run at once, and let these end after the next call to Slack."""
    monkeypatch.setattr("handlers.background.MAX_RUNNING", 3)
    done = asyncio.Event()

    async def wait() -> None:
        await done.wait()

    for _ in range(3):
        person.tasks.start(wait(), "a slow command")
    acting, calls = asyncio.ensure_future(act(person)), len(slack.calls)
    async with asyncio.timeout(30):
        await slack.received(calls + 1)
        done.set()
        await acting


async def test_the_shortcut_is_answered_with_busy(
    person: Person, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await overloaded(person, slack, monkeypatch, lambda person: person.sends_payload(SHORTCUT))

    (shown,) = slack.views("views.open")
    assert BUSY in view_text(shown)
    assert [] == slack.views()


async def test_the_home_tab_says_busy_and_offers_a_refresh(
    person: Person, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    await overloaded(person, slack, monkeypatch, lambda person: person.triggers_event(HOME))

    (home,) = slack.views("views.publish")
    assert BUSY in view_text(home)
    assert "refresh_home" in str(home)


async def test_other_tabs_stay_as_they_are(person: Person, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(person: Person) -> None:
        await asyncio.gather(person.triggers_event({**HOME, "tab": "messages"}), person.triggers_event(HOME))

    await overloaded(person, slack, monkeypatch, act)

    assert 1 == len(slack.views("views.publish"))


async def test_an_edited_form_says_busy_in_place_of_its_preview(
    person: Person, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = await open_editor(person, slack)
    await overloaded(person, slack, monkeypatch, lambda person: person.fills(form, {"threshold": "9"}))

    shown = slack.views()[-1]
    assert BUSY in view_text(shown)
    assert "9" in str([block for block in shown["blocks"] if block.get("block_id") == "threshold"])


async def test_a_submitted_form_is_answered_with_busy(
    person: Person, slack: FakeSlack, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = await open_editor(person, slack)
    await overloaded(person, slack, monkeypatch, lambda person: person.submits(form, {"threshold": "9"}))

    assert BUSY in slack.responses[-1]["text"]
    assert [] == await harness.commands.rules(CHANNEL)


@pytest.mark.parametrize("kind", sorted({*EVENTS} - {*BUSY_EVENTS}))
async def test_work_that_nobody_waits_for_is_done_all_the_same(
    person: Person, harness: Harness, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr("handlers.background.MAX_RUNNING", 0)
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await person.triggers_event({"type": kind, "channel": "C1"})

    removes = kind.endswith(("_left", "_deleted"))
    assert (0 if removes else 1) == len(await harness.commands.rules(CHANNEL))


@pytest.mark.parametrize("surface", ["shortcut", "home", "preview"])
async def test_a_busy_database_is_answered_in_the_same_words(
    person: Person, slack: FakeSlack, harness: Harness, monkeypatch: pytest.MonkeyPatch, surface: str
) -> None:
    async def busy(*_arguments: object, **_options: object) -> None:
        raise DatabaseBusyError("the pool is empty")

    match surface:
        case "shortcut":
            monkeypatch.setattr(type(harness.commands), "authorize", busy)
            await person.sends_payload(SHORTCUT)
            (shown,) = slack.views("views.open")
        case "home":
            monkeypatch.setattr(type(harness.commands), "overview", busy)
            await person.triggers_event(HOME)
            (shown,) = slack.views("views.publish")
        case _:
            form = await open_editor(person, slack)
            monkeypatch.setattr(type(harness.commands), "preview", busy)
            await person.fills(form, {"threshold": "9"})
            shown = slack.views()[-1]

    assert BUSY in view_text(shown)
