"""A report in a real browser: no errors, no external requests, no horizontal scrolling on a phone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from bot.cli import run_cli
from tests.bot.files import btc_file, etf_file
from tests.e2e.browser import BROWSER_OPTIONS, chromium
from tests.fakes.legs import random_legs

LEGS = random_legs(400)
FIRST = "2022-02-08"
WIDTHS = (360, 1_100)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if chromium() is None:
        pytest.skip("Chromium is not installed here (Debian's package chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=BROWSER_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report that the command line has written; no test changes it."""
    tmp_path = tmp_path_factory.mktemp("report")
    etf, crypto = LEGS.aligned.etf.tolist(), LEGS.aligned.crypto.tolist()
    etf[100] = None
    smh = etf_file(tmp_path, LEGS.proxy_prices.tolist(), FIRST).rename(tmp_path / "smh.csv")
    files = ["--etf", etf_file(tmp_path, etf, FIRST), "--btc", btc_file(tmp_path, crypto, FIRST), "--ai", smh]
    page = tmp_path / "report.html"
    assert run_cli(["report", "-o", str(page), *map(str, files)]) == 0
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_is_self_contained_on_phone_and_desktop(
    browser: Browser, report: Path, scheme: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    messages, requests = list[str](), list[str]()
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.locator("summary").first.click()

    assert [] == messages
    assert [report.as_uri()] == [url for url in requests if not url.startswith("data:")]
    assert width == page.evaluate("document.documentElement.scrollWidth")
    pictures = page.locator("img").evaluate_all("all => all.map(one => [one.naturalWidth, one.alt.length > 50])")
    assert [[1_080, True]] * 3 == pictures
    assert ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)") == page.evaluate(
        "getComputedStyle(document.body).backgroundColor"
    )
    shown = page.locator("img").first.evaluate("one => one.currentSrc == one.src")
    assert (scheme == "light") is shown
    context.close()


def test_print_is_white_with_expanded_sections(browser: Browser, report: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert page.locator("img").first.evaluate("one => one.currentSrc == one.src")
    context.close()
