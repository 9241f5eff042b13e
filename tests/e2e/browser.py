"""A trader in a browser: types and clicks in the stand-in, and reads what it shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, ViewportSize, sync_playwright

QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
PATIENCE_MS = 60_000
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1200, "height": 1000}


def chromium() -> str | None:
    """Find a Chromium that is installed here."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(slots=True)
class Trader:
    """One person, in the one channel of the stand-in; a picture of each step is kept in `album`."""

    page: Page
    album: Path
    _taken: list[str] = field(default_factory=list)

    def types(self, text: str) -> None:
        """Send a line in the channel."""
        box = self.page.locator("textarea").first
        box.fill(text)
        box.press("Enter")

    def sees(self, text: str) -> Locator:
        """Wait for the newest message that has this text."""
        message = self.page.locator(".msg", has_text=text).last
        message.wait_for(timeout=PATIENCE_MS)
        message.scroll_into_view_if_needed()
        return message

    def sees_in_form(self, text: str) -> None:
        """Wait for the form that is open to say this."""
        self.page.locator(".modal", has_text=text).last.wait_for(timeout=PATIENCE_MS)

    def presses(self, label: str, message: Locator) -> None:
        """Press a button of a message."""
        message.get_by_role("button", name=label, exact=True).click()

    def fills_in(self, label: str, value: str) -> None:
        """Choose or type a value under a label of the open modal."""
        put = self.page.locator(".modal .bk-input", has=self.page.get_by_text(label, exact=True)).last
        choice = put.locator("select")
        if choice.count():
            choice.select_option(label=value)
        else:
            put.locator("input").first.fill(value)

    def submits(self) -> None:
        """Press the modal's own button."""
        self.page.locator(".modal-btn.primary").click()

    def opens_home(self) -> str:
        """Open the app's Home, and give what it says."""
        self.page.locator(".sidebar-item", has_text="minerpulse").click()
        home = self.page.locator(".home .blocks")
        home.wait_for(timeout=PATIENCE_MS)
        return home.inner_text()

    def opens_channel(self) -> None:
        """Go back to the channel."""
        self.page.locator(".sidebar-item", has_text="mining-desk").click()

    def photographs(self, name: str) -> None:
        """Keep a picture of the page, on a desk and on a phone."""
        self._taken.append(name)
        number = f"{len(self._taken):02}-{name}"
        self.page.screenshot(path=self.album / f"{number}.png")
        self.page.set_viewport_size(PHONE)
        self._show_sidebar("none")  # as on a phone, which the stand-in does not know of
        self.page.screenshot(path=self.album / f"{number}-phone.png")
        self._show_sidebar("")
        self.page.set_viewport_size(DESKTOP)

    def _show_sidebar(self, display: str) -> None:
        self.page.evaluate("display => { document.querySelector('.sidebar').style.display = display }", display)


@contextmanager
def trader(address: str, album: Path) -> Iterator[Trader]:
    """Open a browser at an address."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        page = browser.new_page(viewport=DESKTOP)
        page.goto(address)
        yield Trader(page, album)
        browser.close()
