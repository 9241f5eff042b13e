"""Draw docs/alert.png from a golden Block Kit payload, with an installed Chromium: `make picture`."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
PAYLOAD = ROOT.parent / "tests/golden/alert_firing.json"
PICTURE = ROOT / "alert.png"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
COLOURS = ("#1264a3", "#e8912d")
WIDE, HIGH, EDGE = 500, 150, 34  # pixels
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=2")
PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; padding: 20px 24px; font: 15px/1.47 Lato, "Noto Sans", sans-serif;
  color: #1d1c1d; background: #fff }}
.message {{ display: flex; gap: 12px; width: 560px }}
.face {{ flex: none; width: 36px; height: 36px; border-radius: 8px; background: #1d1c1d; color: #fff;
  font: 700 15px/36px Lato, sans-serif; text-align: center }}
.who b {{ font-weight: 900 }}
.who i {{ font: 700 10px/1 Lato, sans-serif; background: #e8e8e8; color: #616061; padding: 2px 3px }}
.who time {{ font-size: 12px; color: #616061 }}
h3 {{ margin: 6px 0 8px; font-size: 18px; font-weight: 900 }}
p {{ margin: 0 0 8px }}
p.context {{ font-size: 12px; color: #616061 }}
code {{ font: 12px "Noto Sans Mono", monospace; color: #c01343; background: #f8f8f8; border: 1px solid #ddd;
  border-radius: 3px; padding: 2px 3px }}
.button {{ display: inline-block; margin: 0 8px 8px 0; padding: 5px 12px; border: 1px solid #bbb; border-radius: 4px;
  font-weight: 700; font-size: 13px }}
figure {{ margin: 8px 0 0 }}
figcaption {{ font-weight: 700; font-size: 13px }}
figcaption b {{ margin-right: 10px; font-weight: 400; font-size: 12px }}
.primary {{ background: #007a5a; border-color: #007a5a; color: #fff }}
</style><div class="message"><div class="face">MP</div><div>
<div class="who"><b>MinerPulse</b> <i>APP</i> <time>{time}</time></div>{blocks}</div></div>"""


def main() -> int:
    """Write the picture, and return 0; without a browser, print what to install and return 1."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print("No Chromium here. Install one, such as Debian's package chromium, and run this again.", file=sys.stderr)
        return 1
    payload = json.loads(PAYLOAD.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "alert.html"
        page.write_text(PAGE.format(time="10:40 AM", blocks="".join(map(block, payload["blocks"]))), encoding="utf-8")
        subprocess.run(  # noqa: S603 -- a browser on a page of our own
            [
                browser,
                *FLAGS,
                f"--user-data-dir={folder}/profile",
                "--window-size=620,740",
                f"--screenshot={PICTURE}",
                page.as_uri(),
            ],
            check=True,
            stderr=subprocess.DEVNULL,
        )
    return 0


def block(payload: dict[str, Any]) -> str:
    """Return one block as HTML."""
    match payload["type"]:
        case "header":
            return f"<h3>{html.escape(payload['text']['text'])}</h3>"
        case "section":
            return f"<p>{mrkdwn(payload['text']['text'])}</p>"
        case "context":
            return "".join(f'<p class="context">{mrkdwn(element["text"])}</p>' for element in payload["elements"])
        case "actions":
            return "".join(map(button, payload["elements"]))
        case "data_visualization":
            return chart(payload["title"], payload["chart"])
    raise ValueError(f"no picture of a {payload['type']} block")


def chart(title: str, data: dict[str, Any]) -> str:
    """Return a line chart as SVG, with a zero line and the scale's end values."""
    series = {line["name"]: [point["value"] for point in line["data"]] for line in data["series"]}
    low, high = (pick(value for values in series.values() for value in values) for pick in (min, max))

    def y(value: float) -> float:
        return 10 + (high - value) / (high - low) * (HIGH - 30)

    lines, names = [], []
    for colour, (name, values) in zip(COLOURS, series.items(), strict=True):
        step = (WIDE - EDGE) / (len(values) - 1)
        points = " ".join(f"{EDGE + index * step:.1f},{y(value):.1f}" for index, value in enumerate(values))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        names.append(f'<b><span style="color:{colour}">●</span> {html.escape(name)}</b>')
    scale = "".join(f'<text x="0" y="{y(value) + 4:.0f}">{value:g}%</text>' for value in (low, 0, high))
    axis = data["axis_config"]["categories"]
    days = (
        f'<text x="{EDGE}" y="{HIGH}">{axis[0]}</text><text x="{WIDE}" y="{HIGH}" text-anchor="end">{axis[-1]}</text>'
    )
    zero = f'<line x1="{EDGE}" x2="{WIDE}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="#ddd"/>'
    size = f'width="{WIDE}" height="{HIGH + 6}" font-size="11" fill="#616061"'
    drawing = f"<svg {size}>{zero}{scale}{days}{''.join(lines)}</svg>"
    return f"<figure><figcaption>{html.escape(title)}<br>{''.join(names)}</figcaption>{drawing}</figure>"


def button(element: dict[str, Any]) -> str:
    """Return a button, or a menu with its arrow, as HTML."""
    if element["type"] == "static_select":
        return f'<span class="button">{html.escape(element["placeholder"]["text"])} ▾</span>'
    return f'<span class="button {element.get("style", "")}">{html.escape(element["text"]["text"])}</span>'


def mrkdwn(text: str) -> str:
    """Return Slack's bold, code and line breaks as HTML; Slack's escapes are HTML's own."""
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    return re.sub(r"\*([^*\n]+)\*", r"<b>\1</b>", text).replace("\n", "<br>")


if __name__ == "__main__":
    sys.exit(main())
