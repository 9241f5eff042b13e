"""A report in a real browser: self-contained at every width, readable with pointer and keyboard, and printable."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from bot.cli import run_cli
from tests.bot.files import btc_file, etf_file
from tests.e2e.browser import BROWSER_OPTIONS, chromium
from tests.fakes.legs import random_legs

LEGS = random_legs(400)
FIRST = "2022-02-08"
WIDTHS = (360, 390, 768, 1_440)


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

    assert [] == messages
    assert [report.as_uri()] == [url for url in requests if not url.startswith("data:")]
    assert width == page.evaluate("document.documentElement.scrollWidth")
    assert ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 29)") == page.evaluate(
        "getComputedStyle(document.body).backgroundColor"
    )
    plots = page.locator(".area > svg").evaluate_all("all => all.map(one => one.getBoundingClientRect())")
    assert [] == [plot for plot in plots if plot["width"] < width * 0.6 - 40 or plot["right"] > width]
    small = "all => all.filter(one => one.getBoundingClientRect().height < 24).map(one => one.textContent)"
    assert [] == page.locator("button:visible, input:visible, nav a").evaluate_all(small)
    context.close()


@pytest.fixture
def page(browser: Browser, report: Path) -> Iterator[Page]:
    """The report on a phone."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(report.as_uri())
    yield page
    context.close()


def test_the_pointer_shows_the_values_of_a_session_and_leaving_shows_the_last(page: Page) -> None:
    chart = page.locator("#chart-spread")
    session, first_value = chart.locator(".session"), chart.locator(".value").first
    last = session.inner_text(), first_value.inner_text()
    area = chart.locator(".area").first
    area.scroll_into_view_if_needed()
    area.hover(position={"x": 0, "y": 100})
    assert ("Feb 8, 2022", "100.0") == (session.inner_text(), first_value.inner_text())
    assert "0%" == chart.locator(".cursor").first.get_attribute("x1")
    page.locator("h1").hover()
    assert last == (session.inner_text(), first_value.inner_text())


def test_the_keyboard_moves_through_the_sessions(page: Page) -> None:
    chart = page.locator("#chart-spread")
    last, slider = chart.locator(".session").inner_text(), chart.get_by_role("slider")
    slider.focus()
    slider.press("ArrowLeft")
    assert last != chart.locator(".session").inner_text()
    slider.press("Home")
    spoken = slider.get_attribute("aria-valuetext") or ""
    assert spoken.startswith("Feb 8, 2022, WGMI 100.0, BTC 100.0, 1-session spread –")
    slider.press("End")
    assert last == chart.locator(".session").inner_text()


def test_a_gap_has_no_dot(page: Page) -> None:
    chart = page.locator("#chart-spread")
    slider = chart.get_by_role("slider")
    slider.fill("100")
    assert "–" == chart.locator(".value").first.inner_text()
    assert ["hidden", "visible"] == [
        dot.get_attribute("visibility") for dot in chart.locator(".panel").first.locator(".dot").all()
    ]


def test_a_header_sorts_its_table_and_a_second_press_reverses_it(page: Page) -> None:
    table = page.get_by_role("table", name="Every time 1d 8pp fired")
    header = table.get_by_role("columnheader", name="Peak")
    header.get_by_role("button").press("Enter")
    assert "ascending" == header.get_attribute("aria-sort")
    lowest = _peaks(table.locator("tbody td:nth-child(4)").all_inner_texts())
    assert sorted(lowest) == lowest
    header.get_by_role("button").press("Enter")
    assert "descending" == header.get_attribute("aria-sort")
    assert lowest[::-1] == _peaks(table.locator("tbody td:nth-child(4)").all_inner_texts())
    assert 1 == table.locator("[aria-sort]").count()


def _peaks(cells: list[str]) -> list[float]:
    return [float(cell.replace("−", "-").split()[0]) for cell in cells]


def test_a_date_column_sorts_by_the_calendar(page: Page) -> None:
    table = page.get_by_role("table", name="Every time 1d 8pp fired")
    newest_first = table.locator("tbody td:first-child").all_inner_texts()
    table.get_by_role("button", name="Fired", exact=True).click()
    assert newest_first[::-1] == table.locator("tbody td:first-child").all_inner_texts()


def test_a_long_table_shows_its_first_rows_until_it_is_expanded(page: Page) -> None:
    table = page.get_by_role("table", name="Every time 1d 8pp fired")
    rows = table.locator("tbody tr:visible")
    assert 8 == rows.count()
    more = page.get_by_role("button", name="Show all").first
    assert "false" == more.get_attribute("aria-expanded")
    more.press("Enter")
    assert 8 < rows.count() == table.locator("tbody tr").count()
    page.get_by_role("button", name="Show fewer").press("Enter")
    assert 8 == rows.count()


def test_without_scripts_every_row_is_shown_and_no_control_is_dead(browser: Browser, report: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report.as_uri())
    table = page.get_by_role("table", name="Every time 1d 8pp fired")
    assert table.locator("tbody tr").count() == table.locator("tbody tr:visible").count() > 8
    assert 0 == page.locator("button:visible, input:visible").count()
    context.close()


def test_print_is_white_with_every_row_and_no_controls(browser: Browser, report: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    page.emulate_media(media="print", color_scheme="dark")
    assert "rgb(255, 255, 255)" == page.evaluate("getComputedStyle(document.body).backgroundColor")
    table = page.get_by_role("table", name="Every time 1d 8pp fired")
    assert table.locator("tbody tr").count() == table.locator("tbody tr:visible").count() > 8
    assert 0 == page.locator("button.more:visible, input:visible, nav:visible").count()
    context.close()
