"""Draw docs/alert.png from golden messages and docs/chart.png from simulated prices: `make picture`; needs Chromium."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

from bot.rehearsal.script import simulated_script
from bot.rehearsal.stage import build_offline
from bot.settings import Settings
from handlers.render.chart import chart_picture
from handlers.render.drawing import render_png
from handlers.render.picture import ColorScheme, Size
from services.channels.charts import build_replay_chart
from services.market.measure import Window
from services.rules.grammar import parse_rule
from tests.e2e.browser import chromium
from tests.look.budgets import goldens
from tests.look.measure import browser_page
from tests.look.page import sheet

ROOT = Path(__file__).parent
SHARPNESS = 2  # pixels of the picture per CSS pixel
MESSAGES = {  # caption: golden message
    "An alert in the channel, and its notification": "alert_firing",
    "The same message, when it is acknowledged": "alert_acknowledged",
    "The first reply in its thread": "thread_context",
}
STYLE = """
body { background: #fff; padding-bottom: 0 }
figure { border: 1px solid #ddd; border-radius: 10px }
figure:last-child { break-before: column }
figcaption { font: 700 13px/34px Inter, sans-serif; color: #616061; background: #f8f8f8; padding: 0 16px;
  border-bottom: 1px solid #ddd }
figure:not(:first-child) .push { display: none }
"""
RULE, CHART_WINDOW = "5d 15pp", Window.D60
CHART_SEED, CHART_AT = 1, datetime(2026, 11, 27, 18, 16, tzinfo=UTC)  # after a close, with an alert in the window


def main() -> int:
    """Write both pictures, and return 0; without a browser, print what to install and return 1."""
    if chromium() is None:
        print("No Chromium here. Install one, such as Debian's package chromium, and run this again.", file=sys.stderr)
        return 1
    draw_alert(ROOT / "alert.png")
    (ROOT / "chart.png").write_bytes(asyncio.run(draw_chart()))
    return 0


def draw_alert(path: Path) -> None:
    """Write an alert and its thread, side by side and each as wide as on a phone."""
    payloads = goldens()
    with browser_page(scale=SHARPNESS) as page:
        page.set_content(sheet({name: payloads[key] for name, key in MESSAGES.items()}, phone=True, dark=False))
        page.add_style_tag(content=STYLE)
        page.evaluate("() => { document.body.style.setProperty('--columns', 2); return document.fonts.ready.then() }")
        page.locator("body").screenshot(path=path)


async def draw_chart() -> bytes:
    """Return the phone's chart of a rule on simulated prices, as PNG."""
    script = simulated_script(CHART_SEED, CHART_AT.date(), CHART_AT.date())
    script.clock.at = CHART_AT
    rule = parse_rule(RULE)
    async with build_offline(Settings(), script) as app:
        view = await app.market.view(rule.pair, CHART_AT)
    picture = chart_picture(build_replay_chart(view, CHART_WINDOW, rule))
    assert picture is not None, "simulated prices have a history"  # noqa: S101
    print(picture.alt)
    return render_png(picture, ColorScheme.LIGHT, Size.PHONE)


if __name__ == "__main__":
    sys.exit(main())
