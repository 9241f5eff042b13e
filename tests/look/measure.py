"""Pixels of drawn payloads, measured in Chromium."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.e2e.browser import BROWSER_OPTIONS, chromium
from tests.look.page import sheet

# For each payload: its own height; the first button of its first row of controls; the lines of text above that button.
_MEASURE = """() => Object.fromEntries([...document.querySelectorAll('figure')].map(figure => {
  const message = figure.querySelector('.measured'), top = message.getBoundingClientRect().top;
  const below = element => Math.round(element.getBoundingClientRect().top - top);
  const buttons = [...message.querySelectorAll('.actions .button')];
  const first = buttons[0] || message.querySelector('.foot .primary'), end = first ? below(first) : Infinity;
  const middles = [], walker = document.createTreeWalker(message, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (walker.currentNode.parentElement.closest('.who, .face, .button, svg')) continue;
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) {
      const middle = (box.top + box.bottom) / 2 - top;
      const isNew = !middles.some(other => Math.abs(other - middle) < 8);
      if (box.width && box.bottom - top <= end + 1 && isNew) middles.push(middle);
    }
  }
  return [figure.id, {
    height: Math.round(message.getBoundingClientRect().height),
    button: first ? end : null,
    primary: (found => found ? below(found) : null)(message.querySelector('.primary')),
    lines: middles.length,
    controls: message.querySelectorAll('.button').length,
    rows: new Set(buttons.map(below)).size,
    cut: [...message.querySelectorAll('.table')].some(table => table.scrollWidth > table.clientWidth + 1),
  }];
}))"""
_SHADE = """() => { for (const table of document.querySelectorAll('.table'))
  table.classList.toggle('cut', table.scrollWidth > table.clientWidth + 1) }"""


@dataclass(frozen=True, slots=True)
class Measures:
    """One payload on a screen, in CSS pixels from its top.

    Attributes:
        height: The whole message, without Slack's own chrome around it.
        button: The top of the first button in a row of controls, or of a modal's submit button.
        primary: The top of the primary button.
        lines: Lines of text above the first button; all lines if there is none.
        controls: Buttons and menus.
        rows: Rows that the controls below the text fill.
        cut: Whether a table is wider than the message.
    """

    height: int
    button: int | None
    primary: int | None
    lines: int
    controls: int
    rows: int
    cut: bool

    def as_json(self) -> dict[str, int | bool | None]:
        return asdict(self)


@contextmanager
def browser_page(scale: float = 1) -> Iterator[Page]:
    """Open an empty page in the installed Chromium; nothing is loaded from the network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*BROWSER_OPTIONS, "--hide-scrollbars"])
        yield browser.new_page(viewport={"width": 2460, "height": 900}, device_scale_factor=scale)
        browser.close()


def measure(
    page: Page, payloads: dict[str, dict[str, Any]], *, phone: bool = True, large: bool = False
) -> dict[str, Measures]:
    """Draw payloads, on a phone of 390 px unless at desktop width, and return their measures by name."""
    _show(page, sheet(payloads, phone=phone, dark=False, large=large))
    return {name: Measures(**found) for name, found in page.evaluate(_MEASURE).items()}


def take_picture(page: Page, payloads: dict[str, dict[str, Any]], path: Path, *, phone: bool, dark: bool) -> None:
    """Write a contact sheet as PNG."""
    _show(page, sheet(payloads, phone=phone, dark=dark))
    page.evaluate(_SHADE)
    page.locator("body").screenshot(path=path)


def _show(page: Page, html: str) -> None:
    page.set_content(html)
    page.evaluate("() => document.fonts.ready.then(() => null)")
