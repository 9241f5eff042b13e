"""The recording of a rehearsal in the documentation is made from a real one."""

import re
from xml.etree import ElementTree as ET

import pytest

from docs.record import (
    ACKNOWLEDGED,
    COLUMNS,
    ENDS,
    FIRES,
    IS_OVER,
    RECORDING,
    RESOLVED,
    STARTS,
    Recording,
    draw,
    record,
)

MAX_BYTES = 2_000_000


@pytest.mark.usefixtures("clean")
async def test_an_alert_fires_is_acknowledged_and_resolves() -> None:
    recording = await record()
    shown = {
        at: " ".join(line.plain for shown_at, line in recording.lines if shown_at == at) for at in moments(recording)
    }

    expected = {
        0: "minerpulse rehearse --no-web",
        STARTS: "No open alerts",
        FIRES: "new message, alert 1",
        ACKNOWLEDGED: "Acknowledged by @YOU",
        RESOLVED: "Resolved: WGMI",
        IS_OVER: "1 alert posted, 1 resolved.",
    }
    assert list(expected) == list(shown)
    assert [] == [text for at, text in expected.items() if text not in shown[at]]
    assert all(line.cell_len <= COLUMNS for _, line in recording.lines)


def test_each_line_appears_once_and_stays() -> None:
    recording = printed({0: ["$ minerpulse"], 5: [f"line {number}" for number in range(40)]})
    svg = ET.fromstring(draw(recording))  # noqa: S314 -- our own

    texts = ["".join(text.itertext()) for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert [1] * 40 == [texts.count(f"line {number}") for number in range(40)]
    assert ".from-50 { animation-name: from-50 }" in draw(recording)
    assert "@keyframes from-50 { 0% { opacity: 0 } 25.00% { opacity: 1 } 100.00% { opacity: 1 } }" in draw(recording)


def test_without_animation_the_last_lines_are_on_the_screen() -> None:
    svg = draw(printed({0: ["$ minerpulse"], 5: ["a"] * 40}))

    moved = re.search(r'class="scroll" transform="translate\(0 (-\d+)\)"', svg)
    assert moved is not None
    assert f"100% {{ transform: translateY({moved[1]}px) }} }}" in svg  # as in the last frame


def test_frames_are_lines_and_buttons_have_a_background() -> None:
    recording = Recording()
    recording.console().print("│[reverse]A & B[/] [bold yellow]now[/]")
    recording.cut(ENDS)
    svg = draw(recording)

    assert '<path d="M18.2 54V72" fill="none"' in svg
    assert re.search(r'<rect x="22.4" [^>]*/><text [^>]*fill: #16191d">A &amp; B</text>', svg)
    assert re.search(r'font-weight: 700">now</text>', svg)


def test_the_recording_in_the_docs_is_small_and_loads_nothing() -> None:
    svg = RECORDING.read_text(encoding="utf-8")
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(svg).iter()}  # noqa: S314 -- our own

    assert len(svg.encode()) < MAX_BYTES
    assert names == {"svg", "title", "style", "rect", "clipPath", "g", "path", "text"}
    assert svg.count("http") == 1  # the name of SVG


def moments(recording: Recording) -> list[float]:
    return sorted({at for at, _ in recording.lines})


def printed(lines: dict[float, list[str]]) -> Recording:
    recording = Recording()
    for at, texts in lines.items():
        recording.console().print("\n".join(texts))
        recording.cut(at)
    return recording
