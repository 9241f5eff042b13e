"""Block Kit as HTML, in the sizes of Slack's own clients.

Conservative where the clients differ or are undocumented: on a phone, fields stack in one column, buttons wrap, a
button beside a text goes below it, and a table that is wider than its message is cut, with its edge shaded.
"""

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

Draw = Callable[[dict[str, Any]], str]

STYLE = Path(__file__).with_name("page.css")
FONTS = {  # our own, so that pixels are the same everywhere
    weight: Path(__file__).parents[2] / "handlers/render/fonts" / f"InterTabular-{name}.ttf"
    for weight, name in ((400, "Regular"), (700, "Bold"))
}
SERIES_COLORS = ("#1264a3", "#e8912d", "#2eb67d", "#e01e5a", "#8d5fd3", "#616061")
CHART_HEIGHT, CHART_EDGE = 150, 38  # pixels; the edge holds the scale
PHONE_COLUMNS, DESKTOP_COLUMNS = 6, 3
NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 17, 10, 40, tzinfo=NEW_YORK)  # of the golden alerts
HELD = 0xE000  # the first of the private characters that stand for finished HTML

_DISC = '<circle cx="8" cy="8" r="7" fill="{}"/>'
_BADGE = '<rect x="1" y="1" width="14" height="14" rx="2" fill="{}"/><path d="{}" stroke="#fff" stroke-width="2"/>'
EMOJI = {  # drawn, so that a picture is the same with any font
    "red_circle": _DISC.format("#dd2e44"),
    "large_green_circle": _DISC.format("#2eb67d"),
    "large_yellow_circle": _DISC.format("#fdcb58"),
    "white_circle": '<circle cx="8" cy="8" r="6" stroke="#99aab5" stroke-width="2"/>',
    "eyes": '<g fill="#fff" stroke="#66757f"><ellipse cx="5" cy="8" rx="3.5" ry="6"/><ellipse cx="12" cy="8" rx="3.5" '
    'ry="6"/></g><circle cx="4" cy="9" r="2" fill="#292f33"/><circle cx="11" cy="9" r="2" fill="#292f33"/>',
    "zzz": '<path d="M1 7h6l-6 7h6M9 1h5l-5 6h5" stroke="#5dadec" stroke-width="2"/>',
    "white_check_mark": _BADGE.format("#77b255", "M4 8l3 3l5-6"),
    "leftwards_arrow_with_hook": _BADGE.format("#3b88c3", "M7 4L4 7l3 3M4 7h5a2 2 0 0 1 0 5"),
    "arrow_upper_right": _BADGE.format("#3b88c3", "M5 11l6-6M6 5h5v5"),
    "arrow_up": _BADGE.format("#3b88c3", "M8 12V4M5 7l3-3l3 3"),
    "double_vertical_bar": _BADGE.format("#3b88c3", "M6 4v8M10 4v8"),
    "mute": '<path d="M2 6h3l4-4v12l-4-4H2z" fill="#66757f"/><path d="M11 6l4 4M15 6l-4 4" stroke="#dd2e44"/>',
    "warning": '<path d="M8 1l7.5 14h-15z" fill="#ffcc4d"/><path d="M8 6v4M8 12v2" stroke="#231f20" stroke-width="2"/>',
    "chart_with_upwards_trend": '<rect x="1" y="1" width="14" height="14" fill="#ccd6dd"/>'
    '<path d="M2 13l4-4l3 2l5-8" stroke="#dd2e44" stroke-width="2"/>',
    "hourglass_flowing_sand": '<path d="M3 2h10M3 14h10M4 2l8 12M12 2L4 14" stroke="#a0703c" stroke-width="2"/>',
    "test_tube": '<path d="M11 2l3 3M12 3L4 12" stroke="#9266cc" stroke-width="4"/>',
    "grey_question": '<path d="M5 5a3 3 0 1 1 3 4v2M8 13v1" stroke="#99aab5" stroke-width="2"/>',
}

_FENCE = re.compile(r"```(.*?)```", re.DOTALL)
_TOKEN = re.compile(r"<(?P<reference>[^<>]+)>|`(?P<code>[^`\n]+)`|:(?P<emoji>[a-z][a-z0-9_+-]*):")
_EMOJI = re.compile(r":([a-z][a-z0-9_+-]*):")
_STYLES = [
    (re.compile(rf"(?<![\w{mark}]){mark}([^{mark}\n]+){mark}(?![\w{mark}])"), rf"<{tag}>\1</{tag}>")
    for mark, tag in ((r"\*", "b"), ("_", "i"), ("~", "s"))
]
_HELD = re.compile("[\ue000-\uf8ff]")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who looks: a time zone, an instant, and the names behind the IDs in mentions."""

    zone: ZoneInfo = NEW_YORK
    now: datetime = NOW
    names: dict[str, str] = field(
        default_factory=lambda: {"U1": "dana", "U2": "dana", "U3": "priya", "S1": "mining-desk", "C1": "mining-desk"}
    )


def date_text(token: str, reader: Reader) -> str:
    """Return `1794929700^{date_short_pretty} at {time}` as Slack shows it to a reader, without its link."""
    seconds, form, *_ = token.split("^")
    at = datetime.fromtimestamp(int(seconds), reader.zone)
    today = reader.now.astimezone(reader.zone).date()
    near = {today + timedelta(days=days): word for days, word in ((-1, "yesterday"), (0, "today"), (1, "tomorrow"))}
    pretty, clock = near.get(at.date()), "%-I:%M{} %p" if "America" in reader.zone.key else "%H:%M{}"
    shown = {
        "{time}": at.strftime(clock.format("")),
        "{time_secs}": at.strftime(clock.format(":%S")),
        "{date_num}": at.strftime("%Y-%m-%d"),
        "{date}": at.strftime("%B %-d, %Y"),
        "{date_short}": at.strftime("%b %-d, %Y"),
        "{date_long}": at.strftime("%A, %B %-d, %Y"),
        "{date_pretty}": pretty or at.strftime("%B %-d, %Y"),
        "{date_short_pretty}": pretty or at.strftime("%b %-d, %Y"),
        "{date_long_pretty}": pretty or at.strftime("%A, %B %-d, %Y"),
        "{ago}": "moments ago",
    }
    return re.sub(r"{\w+}", lambda match: shown[match[0]], form)


def mrkdwn(text: str, reader: Reader) -> str:
    """Return Slack's markup as HTML; Slack's escapes are HTML's own."""
    parts = _FENCE.split(text)
    return "".join(
        f"<pre>{part.strip(chr(10))}</pre>" if index % 2 else _inline(part, reader) for index, part in enumerate(parts)
    )


def _inline(text: str, reader: Reader) -> str:
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(_token(match, reader))
        return chr(HELD + len(held) - 1)

    text = _TOKEN.sub(hold, text)
    for pattern, styled in _STYLES:
        text = pattern.sub(styled, text)
    return _HELD.sub(lambda match: held[ord(match[0]) - HELD], text).replace("\n", "<br>")


def _token(match: re.Match[str], reader: Reader) -> str:
    if match["code"]:
        return f"<code>{match['code']}</code>"
    if match["emoji"]:
        return _emoji(match["emoji"])
    target, _, label = match["reference"].partition("|")
    if target.startswith("!date^"):
        return date_text(target.removeprefix("!date^"), reader)
    if target.startswith(("@", "#")):
        return f'<span class="mention">{target[0]}{label or reader.names.get(target[1:], target[1:])}</span>'
    if target.startswith("!"):
        name = target.removeprefix("!subteam^").removeprefix("!")
        return f'<span class="mention">@{label or reader.names.get(name, name)}</span>'
    return f'<a href="#">{label or target}</a>'


def _emoji(name: str) -> str:
    drawn = EMOJI.get(name)
    return f'<svg class="emoji" viewBox="0 0 16 16" fill="none">{drawn}</svg>' if drawn else f":{name}:"


def plain(text: str) -> str:
    """Return plain text as HTML, with its emoji."""
    escaped = html.escape(html.unescape(text))
    return _EMOJI.sub(lambda match: _emoji(match[1]), escaped).replace("\n", "<br>")


class Drawing:
    """Draws payloads for one reader, on a phone or at desktop width."""

    def __init__(self, reader: Reader, *, phone: bool) -> None:
        self._reader, self._width = reader, 292 if phone else 560
        self._blocks: dict[str, Draw] = {
            "header": lambda block: f"<h3>{self._text(block['text'])}</h3>",
            "section": self._section,
            "context": self._context,
            "actions": lambda block: f'<div class="actions">{self._elements(block)}</div>',
            "divider": lambda _: "<hr>",
            "image": self._image,
            "table": self._table,
            "data_table": self._table,
            "data_visualization": self._chart,
            "input": self._input,
            "alert": lambda block: f'<div class="card">{self._text(block["text"])}</div>',
            "markdown": lambda block: f"<p>{plain(block['text'])}</p>",
            "container": lambda block: (
                f'<div class="card"><b>{self._text(block["title"])}</b>{self._all(block["child_blocks"])}</div>'
            ),
        }
        self._elements_by_type: dict[str, Draw] = {
            "button": lambda one: f'<span class="button {one.get("style", "")}">{self._text(one["text"])}</span>',
            "overflow": lambda _: '<span class="button more">•••</span>',
            "image": lambda one: f'<span class="thumbnail">{html.escape(one["alt_text"])}</span>',
            "checkboxes": self._choices,
            "radio_buttons": self._choices,
        }

    def payload(self, payload: dict[str, Any]) -> str:
        """Return a message, a modal or the Home tab; below a message with blocks comes its push notification."""
        match payload.get("type"):
            case "modal":
                submit = payload.get("submit")
                close = self._text(payload["close"]) if "close" in payload else "Cancel"
                return (
                    f'<div class="modal measured"><div class="title">{self._text(payload["title"])}</div>'
                    f'<div class="content">{self._all(payload["blocks"])}</div><div class="foot"><span class="button">'
                    f"{close}</span>{_submit(self._text(submit)) if submit else ''}</div></div>"
                )
            case "home":
                return f'<div class="home measured">{self._all(payload["blocks"])}</div>'
        blocks = payload.get("blocks")
        body = self._all(blocks) if blocks else f"<p>{mrkdwn(payload['text'], self._reader)}</p>"
        push = (
            f'<div class="push"><b>MinerPulse</b><div>{mrkdwn(payload["text"], self._reader)}</div></div>'
            if blocks
            else ""
        )
        who = '<div class="who"><b>MinerPulse</b> <i>APP</i> <time>10:40 AM</time></div>'
        return f'<div class="message measured"><div class="face">M</div><div class="body">{who}{body}</div></div>{push}'

    def _all(self, blocks: Iterable[dict[str, Any]]) -> str:
        return "".join(self._blocks[block["type"]](block) for block in blocks)

    def _text(self, text: dict[str, Any]) -> str:
        return mrkdwn(text["text"], self._reader) if text["type"] == "mrkdwn" else plain(text["text"])

    def _elements(self, block: dict[str, Any]) -> str:
        return "".join(map(self._element, block["elements"]))

    def _element(self, element: dict[str, Any]) -> str:
        kind = element["type"]
        if kind in self._elements_by_type:
            return self._elements_by_type[kind](element)
        return f'<span class="button">{self._chosen(element)} ▾</span>'

    def _chosen(self, element: dict[str, Any]) -> str:
        """Return what a field shows: its value, its chosen option, or its placeholder."""
        option = element.get("initial_option")
        if option:
            return self._text(option["text"])
        for key in ("initial_value", "initial_time", "initial_date", "initial_conversation", "initial_user"):
            if key in element:
                return plain(self._reader.names.get(element[key], element[key]))
        return self._text(element["placeholder"]) if "placeholder" in element else "&nbsp;"

    def _section(self, block: dict[str, Any]) -> str:
        body = f"<p>{self._text(block['text'])}</p>" if "text" in block else ""
        if "fields" in block:
            body += f'<div class="fields">{"".join(f"<div>{self._text(one)}</div>" for one in block["fields"])}</div>'
        accessory = block.get("accessory")
        if accessory is None:
            return body
        narrow = "" if accessory["type"] in {"overflow", "image"} else "stacked"
        return f'<div class="beside {narrow}"><div>{body}</div>{self._element(accessory)}</div>'

    def _context(self, block: dict[str, Any]) -> str:
        shown = [one["alt_text"] if one["type"] == "image" else self._text(one) for one in block["elements"]]
        return f'<div class="context">{"".join(f"<span>{one}</span>" for one in shown)}</div>'

    def _image(self, block: dict[str, Any]) -> str:
        title = f"<b>{self._text(block['title'])}</b>" if "title" in block else ""
        return f'{title}<div class="image">{html.escape(block["alt_text"])}</div>'

    def _table(self, block: dict[str, Any]) -> str:
        settings = block.get("column_settings", [])
        rows = "".join(f"<tr>{''.join(_cells(row, settings))}</tr>" for row in block["rows"])
        return f'<div class="table"><table>{rows}</table></div>'

    def _chart(self, block: dict[str, Any]) -> str:
        chart, width = block["chart"], self._width
        series: dict[str, list[float]] = {
            one["name"]: [point["value"] for point in one["data"]] for one in chart["series"]
        }
        values = [0.0, *(value for line in series.values() for value in line)]
        low, high = min(values), max(values)

        def y(value: float) -> float:
            return 10 + (high - value) / (high - low or 1) * (CHART_HEIGHT - 36)

        lines, names = "", ""
        for color, (name, line) in zip(SERIES_COLORS, series.items(), strict=False):
            step = (width - CHART_EDGE) / max(1, len(line) - 1)
            points = " ".join(f"{CHART_EDGE + index * step:.1f},{y(value):.1f}" for index, value in enumerate(line))
            lines += f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'
            names += f'<span><i style="background:{color}"></i>{plain(name)}</span>'
        axis = chart["axis_config"]
        marks = "".join(
            f'<text x="0" y="{y(value) + 4:.0f}">{f"{value:.3g}".replace("-", "−")}</text>'
            for value in sorted({low, 0.0, high})
        )
        ends = "".join(
            f'<text x="{x}" y="{CHART_HEIGHT - 2}" text-anchor="{anchor}">{plain(category)}</text>'
            for x, anchor, category in (
                (CHART_EDGE, "start", axis["categories"][0]),
                (width, "end", axis["categories"][-1]),
            )
        )
        zero = f'<line x1="{CHART_EDGE}" x2="{width}" y1="{y(0):.1f}" y2="{y(0):.1f}" stroke="currentColor"/>'
        drawn = f'<svg viewBox="0 0 {width} {CHART_HEIGHT}">{zero}{marks}{ends}{lines}</svg>'
        label = plain(axis.get("y_label", ""))
        return f'<div class="chart"><b>{plain(block["title"])}</b><div class="names">{names}{label}</div>{drawn}</div>'

    def _input(self, block: dict[str, Any]) -> str:
        element = block["element"]
        optional = " <small>(optional)</small>" if block.get("optional") else ""
        hint = f'<div class="hint">{self._text(block["hint"])}</div>' if "hint" in block else ""
        if element["type"] in {"checkboxes", "radio_buttons"}:
            return f"<label>{self._text(block['label'])}{optional}</label>{self._choices(element)}{hint}"
        arrow = "" if element["type"].endswith("input") else " ▾"
        entry = f'<div class="entry">{self._chosen(element)}{arrow}</div>'
        return f"<label>{self._text(block['label'])}{optional}</label>{entry}{hint}"

    def _choices(self, element: dict[str, Any]) -> str:
        chosen = element.get("initial_options", [element.get("initial_option")])
        marks = ("☑", "☐") if element["type"] == "checkboxes" else ("◉", "○")
        rows = [f"{marks[one not in chosen]} {self._text(one['text'])}" for one in element["options"]]
        return f"<p>{'<br>'.join(rows)}</p>"


def _cells(row: list[dict[str, Any]], settings: list[dict[str, Any]]) -> Iterator[str]:
    for index, cell in enumerate(row):
        setting = settings[index] if index < len(settings) else {}
        wrapped = "wrapped" if setting.get("is_wrapped") else ""
        yield f'<td class="{setting.get("align", "left")} {wrapped}">{plain(cell["text"])}</td>'


def _submit(text: str) -> str:
    return f'<span class="button primary">{text}</span>'


@cache
def _fonts() -> str:
    return "".join(
        f"@font-face {{ font-family: Inter; font-weight: {weight}; "
        f"src: url(data:font/ttf;base64,{base64.b64encode(path.read_bytes()).decode()}) }}\n"
        for weight, path in FONTS.items()
    )


def sheet(payloads: dict[str, dict[str, Any]], *, phone: bool, dark: bool, large: bool = False) -> str:
    """Return one page with every payload under its name, each as wide as its client."""
    drawing = Drawing(Reader(), phone=phone)
    cells = "".join(
        f'<figure id="{name}"><figcaption>{name}</figcaption>'
        f'<div class="surface">{drawing.payload(payload)}</div></figure>'
        for name, payload in payloads.items()
    )
    classes = " ".join(
        ["phone" if phone else "desktop", "dark" if dark else "light", *(["large"] if large else [])],
    )
    style = _fonts() + STYLE.read_text(encoding="utf-8")
    columns = min(len(payloads), PHONE_COLUMNS if phone else DESKTOP_COLUMNS)
    head = f'<!doctype html><meta charset="utf-8"><style>{style}</style>'
    return f'{head}<body class="{classes}" style="--columns: {columns}">{cells}</body>'
