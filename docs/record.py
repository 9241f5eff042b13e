"""Record docs/rehearsal.svg, 20 seconds of `minerpulse rehearse` as an animated SVG: `make recording`.

The rehearsal is real; only the time between its events is edited, so that each can be read. Every line is in
the SVG once: CSS shows it at its time, and scrolls. Without animation, the picture is the last frame.
"""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from html import escape
from io import StringIO
from itertools import chain, pairwise
from pathlib import Path

from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import SVG_EXPORT_THEME
from rich.text import Text

from bot.commands.rehearse import open_screen
from bot.rehearsal.prompt import Prompt
from bot.rehearsal.script import simulated_script
from bot.rehearsal.stage import Pace, open_rehearsal, result_line
from bot.settings import Settings

RECORDING = Path(__file__).parent / "rehearsal.svg"
SEED, FIRST, LAST = 1, date(2026, 2, 19), date(2026, 2, 23)  # one alert, from a Friday to the next Monday
COMMAND = f"minerpulse rehearse --no-web --from {FIRST} --to {LAST}"
PROMPT, TYPED = "minerpulse> ", "ack"

STARTS, FIRES, ACKNOWLEDGED, RESOLVED, IS_OVER, ENDS = 0.8, 5.0, 9.5, 13.0, 15.5, 20.0  # seconds
STEPS = (
    (STARTS, "No alert"),
    (FIRES, "Alert fires"),
    (ACKNOWLEDGED, "Acknowledged"),
    (RESOLVED, "Resolved"),
    (ENDS, ""),
)
TYPING, SCROLLING = 0.25, 0.3  # seconds per character, and until lines are in place

COLUMNS, ROWS = 80, 24
CHARACTER, LINE, FONT, EDGE, BAR = 8.4, 18, 14, 14, 40  # pixels; BAR is the height of the title bar
WIDTH, HEIGHT = round(COLUMNS * CHARACTER) + 2 * EDGE, BAR + (ROWS + 1) * LINE + 2 * EDGE
TEXT, DIM, BACKGROUND, TITLE_BAR, ACTIVE = "#d6d8db", "#9aa0a8", "#16191d", "#23272d", "#ffffff"
STYLE = f"""
text {{ font: {FONT}px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: {TEXT};
  white-space: pre }}
.step {{ font: 700 13px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; text-anchor: middle }}
[class^=from] {{ animation: {ENDS:g}s step-end infinite }}
.scroll {{ animation: scroll {ENDS:g}s linear infinite }}
@media (prefers-reduced-motion: reduce) {{ [class^=from], .scroll {{ animation: none !important }} }}
"""


@dataclass(slots=True)
class Recording:
    """The lines of a terminal, each with the second at which it appears."""

    shown: StringIO = field(default_factory=StringIO)
    lines: list[tuple[float, Text]] = field(default_factory=list)

    def console(self) -> Console:
        """Return a console of the recorded width, which knows the terminal's 16 colors."""
        return Console(
            file=self.shown,
            width=COLUMNS,
            force_terminal=True,
            color_system="standard",
            highlight=False,
            no_color=False,
        )

    def cut(self, at: float) -> None:
        """Show what was printed since the last cut at this second."""
        self.lines += [(at, line) for line in AnsiDecoder().decode(self.shown.getvalue().removesuffix("\n"))]
        self.shown.seek(0)
        self.shown.truncate()


def main() -> None:
    """Write the recording."""
    svg = draw(asyncio.run(record()))
    RECORDING.write_text(svg, encoding="utf-8")
    print(f"{RECORDING}: {len(svg.encode()) / 1024:.0f} KB")


async def record() -> Recording:
    """Play the rehearsal. Raises ValueError if it has other events than an alert that fires and resolves."""
    recording = Recording()
    script = simulated_script(SEED, FIRST, LAST)
    console = recording.console()
    console.print(f"$ {COMMAND}")
    recording.cut(0)
    screen = open_screen(script, console)
    async with open_rehearsal(Settings(), script, screen.print_event) as rehearsal:
        prompt = Prompt(pace=Pace(None), screen=screen, rehearsal=rehearsal)
        await prompt.help([])
        rehearsal.clock.at = script.sessions[0][0]
        await rehearsal.start()
        recording.cut(STARTS)
        moments = iter((FIRES, RESOLVED))
        for at in chain.from_iterable(script.sessions):
            await rehearsal.step(at)
            if not recording.shown.getvalue():
                continue
            moment = next(moments, None)
            if moment is None:
                raise ValueError(f"One more event than expected: {recording.shown.getvalue()}")
            recording.cut(moment)
            if moment == FIRES:
                console.print(f"{PROMPT}{TYPED}")
                await prompt.handle(TYPED)
                recording.cut(ACKNOWLEDGED)
        screen.print_line(await result_line(rehearsal, script), style="bold")
        recording.cut(IS_OVER)
    return recording


def draw(recording: Recording) -> str:
    """Return the recording as SVG."""
    content = BAR + EDGE
    drawn = [
        f'<g class="{name(at)}">{"".join(draw_line(text, content + row * LINE))}</g>'
        for row, (at, text) in enumerate(recording.lines)
    ]
    typed = "".join(
        f'<g class="from-typed-{index}" opacity="0">{draw_text(letter, len(PROMPT) + index, prompt_at())}</g>'
        for index, letter in enumerate(TYPED)
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" role="img"',
            f'viewBox="0 0 {WIDTH} {HEIGHT}">',
            "<title>A rehearsal of MinerPulse in a terminal</title>",
            f"<style>{STYLE}{''.join(keyframes(recording))}</style>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="{BACKGROUND}"/>',
            f'<clipPath id="screen"><rect y="{content}" width="{WIDTH}" height="{ROWS * LINE}"/></clipPath>',
            f'<g clip-path="url(#screen)"><g class="scroll" transform="translate(0 {scrolled(len(drawn))})">',
            *drawn,
            "</g></g>",
            f'<g class="{name(STARTS)}">{draw_text(PROMPT, 0, prompt_at())}</g>{typed}',
            f'<path d="M0 {BAR}V8a8 8 0 0 1 8-8H{WIDTH - 8}a8 8 0 0 1 8 8V{BAR}z" fill="{TITLE_BAR}"/>',
            *draw_steps(),
            "</svg>\n",
        ]
    )


def keyframes(recording: Recording) -> Iterator[str]:
    """Yield the animations of lines, of the typed command, of the title bar and of scrolling."""
    moments = sorted({at for at, _ in recording.lines})
    spans = {name(at): (at, ENDS) for at in moments}
    for index in range(len(TYPED)):
        spans[f"from-typed-{index}"] = ACKNOWLEDGED - TYPING * (len(TYPED) - index), ACKNOWLEDGED
    for index, ((at, _), (end, _)) in enumerate(pairwise(STEPS)):
        spans[f"from-step-{index}"] = at, end
    for key, (at, end) in spans.items():
        yield f".{key} {{ animation-name: {key} }}\n@keyframes {key} {{ 0% {{ opacity: {int(at == 0)} }} "
        yield f"{percent(at)} {{ opacity: 1 }} {percent(end)} {{ opacity: {int(end == ENDS)} }} }}\n"
    yield "@keyframes scroll { "
    before = 0
    for at in moments:
        after = scrolled(sum(shown <= at for shown, _ in recording.lines))
        yield f"{percent(at)} {{ transform: translateY({before}px) }} "
        yield f"{percent(at + SCROLLING)} {{ transform: translateY({after}px) }} "
        before = after
    yield f"100% {{ transform: translateY({before}px) }} }}\n"


def draw_steps() -> Iterator[str]:
    """Yield the title bar: what happens, with the current step highlighted."""
    for index, (_, label) in enumerate(STEPS[:-1]):
        middle = WIDTH * (2 * index + 1) / (2 * len(STEPS) - 2)
        is_last = label == STEPS[-2][1]
        yield f'<text class="step" x="{middle:g}" y="{BAR / 2 + 5:g}" style="fill: {DIM}">{label}</text>'
        yield f'<g class="from-step-{index}" opacity="{int(is_last)}">'
        yield f'<text class="step" x="{middle:g}" y="{BAR / 2 + 5:g}" style="fill: {ACTIVE}">{label}</text>'
        yield f'<rect x="{middle - 56:g}" y="{BAR - 3}" width="112" height="3" fill="{ACTIVE}"/></g>'


def draw_line(text: Text, top: float) -> Iterator[str]:
    """Yield a line of the terminal."""
    column = 0
    for segment in text.render(Console(width=COLUMNS), end=""):
        yield from draw_segment(segment, column, top)
        column += segment.cell_length


def draw_segment(segment: Segment, column: int, top: float) -> Iterator[str]:
    """Yield text of one style: frames as lines, and the rest as text."""
    style = segment.style or Style.null()
    color = style.color.get_truecolor(SVG_EXPORT_THEME).hex if style.color else DIM if style.dim else TEXT
    if frame := "".join(draw_frame(character, column + index, top) for index, character in enumerate(segment.text)):
        yield f'<path d="{frame}" fill="none" stroke="{color}"/>'
    text = "".join(" " if character in FRAME else character for character in segment.text)
    start = column + len(text) - len(text.lstrip(" "))
    text = text.strip(" ")
    if not text:
        return
    if style.reverse:
        x, width = EDGE + start * CHARACTER, len(text) * CHARACTER
        yield f'<rect x="{x:g}" y="{top + 1:g}" width="{width:g}" height="{LINE - 2}" rx="3" fill="{TEXT}"/>'
        color = BACKGROUND
    yield draw_text(text, start, top, color=color, weight=700 if style.bold else 400)


def draw_text(text: str, column: int, top: float, color: str = TEXT, weight: int = 400) -> str:
    """Return text at a column, exactly as wide as its cells in any font."""
    styles = [f"fill: {color}"] * (color != TEXT) + [f"font-weight: {weight}"] * (weight != 400)  # noqa: PLR2004 -- normal
    style = f' style="{"; ".join(styles)}"' if styles else ""
    x, width = EDGE + column * CHARACTER, len(text) * CHARACTER
    length = f'textLength="{width:g}" lengthAdjust="spacingAndGlyphs"'
    return f'<text x="{x:g}" y="{top + FONT:g}" {length}{style}>{escape(text)}</text>'


FRAME = {  # the strokes of a cell; x and y are its middle
    "─": "M{left:g} {y:g}H{right:g}",
    "│": "M{x:g} {top:g}V{bottom:g}",
    "╭": "M{x:g} {bottom:g}Q{x:g} {y:g} {right:g} {y:g}",
    "╮": "M{left:g} {y:g}Q{x:g} {y:g} {x:g} {bottom:g}",
    "╰": "M{x:g} {top:g}Q{x:g} {y:g} {right:g} {y:g}",
    "╯": "M{left:g} {y:g}Q{x:g} {y:g} {x:g} {top:g}",
}


def draw_frame(character: str, column: int, top: float) -> str:
    """Return the strokes of a frame's character, so that frames are closed in any font; nothing for another one."""
    left = EDGE + column * CHARACTER
    return FRAME.get(character, "").format(
        left=left, x=left + CHARACTER / 2, right=left + CHARACTER, top=top, y=top + LINE / 2, bottom=top + LINE
    )


def scrolled(lines: int) -> int:
    """Return how far lines are moved so that the last ones are on the screen, in pixels."""
    return min(0, ROWS - lines) * LINE


def prompt_at() -> float:
    """Return the top of the prompt."""
    return BAR + EDGE + ROWS * LINE + EDGE / 2


def name(at: float) -> str:
    """Return the class of what appears at a second."""
    return f"from-{at * 10:.0f}"


def percent(at: float) -> str:
    """Return a second as a share of the recording."""
    return f"{at / ENDS:.2%}"


if __name__ == "__main__":
    sys.exit(main())
