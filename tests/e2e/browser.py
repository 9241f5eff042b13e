"""A trader in a browser who uses the Slack emulator."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Locator, Page, ViewportSize, sync_playwright

BROWSER_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
)
TIMEOUT_MS = 60_000
MENU = "⋯"  # how the emulator shows an overflow menu
PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1200, "height": 1000}


def chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(slots=True)
class Trader:
    """One person in the emulator's channel; `screenshots` is the folder for screenshots of each step."""

    page: Page
    screenshots: Path
    _taken: list[str] = field(default_factory=list)

    def send(self, text: str) -> None:
        """Send a line in the channel."""
        box = self.page.locator("textarea").first
        box.fill(text)
        box.press("Enter")

    def wait_for(self, text: str | re.Pattern[str]) -> Locator:
        """Wait for the newest message with this text."""
        message = self.page.locator(".msg", has_text=text).last
        message.wait_for(timeout=TIMEOUT_MS)
        message.scroll_into_view_if_needed()
        return message

    def wait_for_form(self, text: str) -> None:
        """Wait until the open form has this text."""
        self.page.locator(".modal", has_text=text).last.wait_for(timeout=TIMEOUT_MS)

    def press(self, label: str, message: Locator) -> None:
        """Press a button of a message."""
        message.get_by_role("button", name=label, exact=True).click()

    def choose(self, placeholder: str, option: str, message: Locator) -> None:
        """Choose an option in the first menu of a message that shows this placeholder."""
        message.locator("select", has_text=placeholder).first.select_option(label=option)

    def close_form(self) -> None:
        """Close the modal."""
        self.page.locator(".modal-x").click()

    def fill(self, label: str, value: str) -> None:
        """Choose or type a value under a label of the open modal."""
        input_block = self.page.locator(".modal .bk-input", has=self.page.get_by_text(label, exact=True)).last
        select = input_block.locator("select")
        if select.count():
            select.select_option(label=value)
        else:
            input_block.locator("input").first.fill(value)

    def submit(self) -> None:
        """Submit the modal."""
        self.page.locator(".modal-btn.primary").click()

    def open_home(self) -> str:
        """Open the app's Home tab; return its text."""
        self.page.locator(".sidebar-item", has_text="minerpulse").click()
        home = self.page.locator(".home .blocks")
        home.wait_for(timeout=TIMEOUT_MS)
        return home.inner_text()

    def open_channel(self) -> None:
        """Go back to the channel."""
        self.page.locator(".sidebar-item", has_text="mining-desk").click()

    def screenshot(self, name: str) -> None:
        """Save screenshots of the page at desktop and phone size."""
        self._taken.append(name)
        number = f"{len(self._taken):02}-{name}"
        self.page.screenshot(path=self.screenshots / f"{number}.png")
        self.page.set_viewport_size(PHONE)
        self._show_sidebar("none")  # the emulator has no phone layout
        self.page.screenshot(path=self.screenshots / f"{number}-phone.png")
        self._show_sidebar("")
        self.page.set_viewport_size(DESKTOP)

    def _show_sidebar(self, display: str) -> None:
        self.page.evaluate("display => { document.querySelector('.sidebar').style.display = display }", display)


@contextmanager
def open_browser(address: str, screenshots: Path) -> Iterator[Trader]:
    """Open a browser at an address."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=BROWSER_OPTIONS)
        page = browser.new_page(viewport=DESKTOP)
        page.goto(address)
        yield Trader(page, screenshots)
        browser.close()
