"""The golden payloads in Chromium, on a phone of 390 px."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

import tests.look.__main__ as look
from tests.e2e.browser import chromium
from tests.look.budgets import exceptions, goldens, pixel_faults
from tests.look.measure import browser_page, measure

PIXELS = {"fold", "height"}


@pytest.fixture
def _browser() -> None:
    if chromium() is None:
        pytest.skip("Chromium is not installed here (Debian's package chromium)")


@pytest.fixture
def page(_browser: None) -> Iterator[Page]:
    with browser_page() as page:
        yield page


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(text: str, **more: str) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": text}, **more}


def test_alerts_fit_above_the_fold_and_every_exception_is_still_needed(page: Page) -> None:
    payloads = goldens()
    small, large = measure(page, payloads), measure(page, payloads, large=True)
    found = {
        (name, fault.code): fault.sentence
        for name in payloads
        for fault in pixel_faults(name, small[name], large[name])
    }
    listed = {(name, code) for name, codes in exceptions().items() for code in codes if code in PIXELS}

    assert {} == {where: sentence for where, sentence in found.items() if where not in listed}
    assert set() == listed - found.keys(), "delete these from tests/look/exceptions.json"


def test_a_longer_text_moves_the_buttons_down_by_its_lines(page: Page) -> None:
    row = {"type": "actions", "elements": [button("Details"), button("Acknowledge", style="primary")]}
    short = {"text": "a", "blocks": [section("a"), row]}
    long = {"text": "a", "blocks": [section("a\nb\nc"), row]}

    found = measure(page, {"short": short, "long": long})

    assert (1, 3) == (found["short"].lines, found["long"].lines)
    assert (44, 44) == (found["long"].primary - found["short"].primary, found["long"].height - found["short"].height)  # type: ignore[operator]
    assert (2, 1) == (found["long"].controls, found["long"].rows)


def test_a_table_that_is_wider_than_a_phone_is_cut(page: Page) -> None:
    tables = {
        str(columns): {
            "text": "a",
            "blocks": [{"type": "table", "rows": [[{"type": "raw_text", "text": "+10.2 pp"}] * columns]}],
        }
        for columns in (3, 9)
    }
    assert {"3": False, "9": True} == {name: found.cut for name, found in measure(page, tables).items()}


def test_a_payload_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(look, "chromium", lambda: "chromium")
    with pytest.raises(SystemExit):
        look.main(["rocket", "--golden", str(tmp_path)])
    assert "there is no rocket" in capsys.readouterr().err


@pytest.mark.usefixtures("_browser")
def test_a_run_writes_the_pictures_and_the_pixels_of_every_surface(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    golden, output = tmp_path / "golden", tmp_path / "look"
    golden.mkdir()
    (golden / "alert_made.json").write_text(json.dumps({"text": "a", "blocks": [section("a\n" * 30)]}), "utf-8")

    assert 1 == look.main(["--golden", str(golden), "--output", str(output)])

    assert "alert_made: the message is " in capsys.readouterr().out
    assert {
        "desktop-dark-1.png",
        "desktop-light-1.png",
        "measures.json",
        "measures.md",
        "phone-dark-1.png",
        "phone-light-1.png",
    } == {path.name for path in output.iterdir()}
    assert "| alert_made | – | " in (output / "measures.md").read_text("utf-8")


def test_without_chromium_a_run_says_so_and_succeeds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(look, "chromium", lambda: None)
    assert 0 == look.main([])
    assert "Chromium is not installed here" in capsys.readouterr().out
