"""A rehearsal plays a channel through the real services, listeners and messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from bot.fake_slack.workspace import Change, Kind, Message
from bot.rehearsal.converse import converse
from bot.rehearsal.play import Pace, play
from bot.rehearsal.prompt import Prompt
from bot.rehearsal.screen import Screen, control
from bot.rehearsal.script import Script, VirtualClock, from_files, simulated
from bot.rehearsal.stage import Rehearsal, rehearsing
from bot.settings import Settings
from services.core.errors import ReplayError
from tests.bot.conftest import Ran
from tests.bot.files import btc_file, daily_btc_file, etf_file

ETF = [20.0, 20.0, 22.0, 22.0]  # of 2 to 5 March 2026: a tenth up on the 4th
BTC = [50_000.0] * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    rehearsal: Rehearsal
    script: Script
    prompt: Prompt
    shown: StringIO

    def news(self) -> str:
        """What the screen has shown since the last look, without frames."""
        said = re.sub(r"[╭╮╰╯│─]", "", self.shown.getvalue())
        self.shown.seek(0)
        self.shown.truncate()
        return said

    async def until(self, day: date) -> None:
        """Play the sessions up to that day."""
        for instants in self.script.sessions:
            for at in instants:
                if self.rehearsal.clock.now() < at and at.date() <= day:
                    await self.rehearsal.step(at)


@asynccontextmanager
async def opened(script: Script) -> AsyncIterator[Channel]:
    shown = StringIO()
    screen = Screen(console=Console(file=shown, width=200), clock=script.clock)
    async with rehearsing(Settings(), script, screen.tell) as rehearsal:
        prompt = Prompt(rehearsal=rehearsal, pace=Pace(None), screen=screen)
        yield Channel(rehearsal=rehearsal, script=script, prompt=prompt, shown=shown)


@pytest.fixture
async def channel(clean: Path) -> AsyncIterator[Channel]:
    """A channel with the usual rules, on the evening of the day that an alert fires."""
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    async with opened(script) as channel:
        await channel.rehearsal.start()
        await channel.until(date(2026, 3, 4))
        yield channel


async def test_the_channel_starts_with_the_usual_rules_and_posts_what_they_find(channel: Channel) -> None:
    news = channel.news()
    assert "Rules: 1d 8pp, 5d 15pp, 20d 30pp. Started by @YOU." in news
    assert "Wed 04 Mar 2026 16:15 · new message, alert 1" in news
    assert "WGMI closed 10.0 pp above bitcoin over 1 day, Wed 4 Mar" in news
    assert "[Acknowledge] [Snooze ▾]" in news


async def test_the_end_of_an_alert_is_an_edit_and_a_line_in_its_thread(channel: Channel) -> None:
    channel.news()
    await channel.until(date(2026, 3, 5))
    news = channel.news()
    assert "Thu 05 Mar 2026 16:15 · edited: Resolved after" in news
    assert "Thu 05 Mar 2026 16:15 · in its thread: Resolved after" in news
    assert await channel.rehearsal.outcome() == (1, 1)


async def test_a_slash_command_is_answered_to_the_person_who_typed_it(channel: Channel) -> None:
    channel.news()
    assert await channel.prompt.take("/minerpulse rules")
    news = channel.news()
    assert "only you see this" in news
    assert "1d 8pp" in news


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        pytest.param("/minerpulse", "WGMI closed 10.0 pp above bitcoin", id="the-board"),
        pytest.param("/minerpulse help", "/minerpulse rule add [RULE]", id="from-memory"),
        pytest.param("/minerpulse rule add", "There are no forms here", id="no-forms"),
        pytest.param("/minerpulse rule add 1d  8pq", "^^^", id="a-rule-with-a-slip"),
    ],
)
async def test_the_answers_are_those_of_slack(channel: Channel, typed: str, told: str) -> None:
    channel.news()
    await channel.prompt.take(typed)
    assert told in channel.news()


@pytest.mark.usefixtures("clean")
async def test_a_simulated_market_has_a_simulated_network_and_asks_nobody() -> None:
    script = simulated(1, date(2026, 6, 15), date(2026, 6, 18))
    async with opened(script) as channel:
        await channel.until(date(2026, 6, 18))
        channel.news()
        await channel.prompt.take("/minerpulse network")
        news = channel.news()
    assert "SIMULATED: Mining earns $" in news
    assert "Network from SIMULATED, 0 s old." in news
    assert "Data ok." in news


@pytest.mark.usefixtures("clean")
async def test_a_simulated_alert_tells_what_the_move_came_with() -> None:
    async with opened(simulated(1, date(2026, 6, 1), date(2026, 6, 3))) as channel:
        await channel.rehearsal.start()
        await channel.until(date(2026, 6, 3))
        news = channel.news()
    assert "Of WGMI's −5.7% over 1 day when it fired: bitcoin +3.2 pp ± 0.4, AI −4.9 pp ± 0.4 by SMH" in news


async def test_price_files_know_no_network(channel: Channel) -> None:
    channel.news()
    await channel.prompt.take("/minerpulse network")
    assert "Nothing is known of the bitcoin network yet." in channel.news()


async def test_a_refreshed_board_is_shown_again(channel: Channel) -> None:
    await channel.prompt.take("/minerpulse")
    [board] = [message for message in channel.rehearsal.messages() if control(message, "share")][-1:]
    channel.news()
    await channel.rehearsal.you.click(board, control(board, "refresh") or {})
    await channel.rehearsal.settle()
    assert "WGMI closed 10.0 pp above bitcoin" in channel.news()


def test_a_deleted_message_is_told() -> None:
    shown = StringIO()
    clock = VirtualClock(datetime(2026, 3, 4, 21, 16, tzinfo=UTC))
    message = Message(channel="DESK", ts="1.0", text="gone", blocks=[])
    Screen(console=Console(file=shown, width=80), clock=clock).tell(Change(kind=Kind.DELETED, message=message))
    assert shown.getvalue().strip() == "Wed 04 Mar 2026 16:16 · deleted: gone"


@pytest.mark.parametrize("typed", ["ack", "ack 1"])
async def test_acknowledging_presses_the_real_button(channel: Channel, typed: str) -> None:
    channel.news()
    await channel.prompt.take(typed)
    assert "Acknowledged by @YOU" in channel.news()
    await channel.prompt.take(typed)
    assert "Alert 1 is acknowledged already." in channel.news()


@pytest.mark.parametrize(
    ("typed", "until"),
    [
        pytest.param("snooze", "Wed 4 Mar 17:15 New York", id="an-hour-by-default"),
        pytest.param("snooze 1 4h", "Wed 4 Mar 20:15 New York", id="numbered"),
        pytest.param("snooze open", "Thu 5 Mar 09:30 New York", id="until-the-open"),
    ],
)
async def test_snoozing_chooses_from_the_real_menu(channel: Channel, typed: str, until: str) -> None:
    channel.news()
    await channel.prompt.take(typed)
    assert f"Snoozed by @YOU until {until}" in channel.news()


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        pytest.param(
            "snooze 2d", "There is no “2d” to choose from Snooze: 30m, 1h, 4h, close, open.", id="no-such-span"
        ),
        pytest.param("ack 9", "Alert 9 is not open.", id="no-such-alert"),
        pytest.param("snooze 9 1h", "Alert 9 is not open.", id="nothing-to-snooze"),
        pytest.param("akc", "There is no “akc”; did you mean “ack”?", id="a-slip"),
        pytest.param("dance", "There is no “dance”; “help” lists what can be typed.", id="nothing-like-it"),
        pytest.param("help", "snooze [ALERT] [SPAN]", id="help"),
        pytest.param("speed fast", "How many sessions a second?", id="no-speed"),
        pytest.param("speed", "How many sessions a second?", id="speed-alone"),
        pytest.param("pause", "The clock stands still", id="pause"),
    ],
)
async def test_the_prompt_says_what_it_made_of_a_line(channel: Channel, typed: str, told: str) -> None:
    channel.news()
    assert await channel.prompt.take(typed)
    assert told in channel.news()


async def test_without_an_open_alert_there_is_nothing_to_press(clean: Path) -> None:
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    async with opened(script) as channel:
        await channel.prompt.take("ack")
        assert channel.news().strip() == "No alert is open."


async def test_an_empty_line_does_nothing_and_quit_leaves(channel: Channel) -> None:
    channel.news()
    assert [await channel.prompt.take(line) for line in ("", "speed 5", "resume", "quit")] == [True, True, True, False]
    assert channel.news() == ""
    assert channel.prompt.pace.speed == 5


async def test_a_paused_clock_waits_until_it_may_go_on() -> None:
    pace = Pace(None)
    pace.pause()
    waiting = asyncio.create_task(pace.wait(looks=1))
    for _ in range(10):
        await asyncio.sleep(0)  # let it run as far as it can
    assert not waiting.done()
    pace.resume()
    await waiting


async def test_playing_and_typing_go_on_side_by_side_until_quit(clean: Path) -> None:
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    shown = StringIO()
    screen = Screen(console=Console(file=shown, width=200), clock=script.clock)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        async with rehearsing(Settings(), script, screen.tell) as rehearsal:
            keys.send_text("/minerpulse help\rquit\r")
            await converse(rehearsal, script, Prompt(pace=Pace(None), screen=screen, rehearsal=rehearsal))
    assert "/minerpulse rule add [RULE]" in shown.getvalue()


class Watched(StringIO):
    """A terminal that tells when a word is shown."""

    def __init__(self, word: str, seen: Callable[[], None]) -> None:
        super().__init__()
        self.word, self.seen = word, seen

    def write(self, text: str) -> int:
        if self.word in text:
            self.seen()
        return super().write(text)


async def test_after_the_script_the_channel_goes_on_answering(clean: Path) -> None:
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        shown = Watched("The script is over", lambda: keys.send_text("/minerpulse history\rquit\r"))
        screen = Screen(console=Console(file=shown, width=200), clock=script.clock)
        async with rehearsing(Settings(), script, screen.tell) as rehearsal:
            await converse(rehearsal, script, Prompt(pace=Pace(None), screen=screen, rehearsal=rehearsal))
    said = shown.getvalue()
    assert "4 sessions, 1 alert posted, 1 resolved." in said
    assert said.index("only you see this", said.index("The script is over"))


async def test_what_breaks_the_play_ends_the_prompt_too(clean: Path) -> None:
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    screen = Screen(console=Console(file=StringIO(), width=200), clock=script.clock)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        async with rehearsing(Settings(), script, screen.tell) as rehearsal:
            stranger = replace(rehearsal, you=replace(rehearsal.you, secret="other"))
            with pytest.raises(RuntimeError, match="the request was answered 401"):
                await converse(stranger, script, Prompt(pace=Pace(None), screen=screen, rehearsal=stranger))


@pytest.mark.parametrize("key", [pytest.param("\x03", id="ctrl-c"), pytest.param("\x04", id="ctrl-d")])
async def test_control_keys_leave_cleanly(clean: Path, key: str) -> None:
    script = from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)
    screen = Screen(console=Console(file=StringIO(), width=200), clock=script.clock)
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        async with rehearsing(Settings(), script, screen.tell) as rehearsal:
            keys.send_text(key)
            await converse(rehearsal, script, Prompt(pace=Pace(1e-6), screen=screen, rehearsal=rehearsal))


async def test_daily_bitcoin_is_looked_at_once_its_day_has_ended(clean: Path) -> None:
    btc = daily_btc_file(clean, [50_000.0] * 7, date(2026, 3, 1))
    script = from_files(etf_file(clean, ETF), btc, None, None)
    assert [f"{instants[0]:%d %H:%M}" for instants in script.sessions] == [
        "03 00:00",
        "04 00:00",
        "05 00:00",
        "06 00:00",
    ]
    async with opened(script) as channel:
        await play(channel.rehearsal, script, Pace(None))
        assert await channel.rehearsal.outcome() == (1, 1)


async def test_the_period_of_files_can_be_cut(clean: Path) -> None:
    files = etf_file(clean, ETF), btc_file(clean, BTC)
    script = from_files(*files, date(2026, 3, 3), date(2026, 3, 4))
    assert [f"{instants[0]:%d %H:%M}" for instants in script.sessions] == ["03 21:15", "04 21:15"]
    with pytest.raises(ReplayError, match="choose dates that the prices have"):
        from_files(*files, date(2026, 4, 1), None)


@pytest.mark.parametrize(
    ("first", "last", "begins", "ends"),
    [
        pytest.param(None, None, "2026-01-02", "2026-12-31", id="the-story"),
        pytest.param(date(2028, 2, 29), None, "2028-02-29", "2029-02-28", id="a-year-from-a-leap-day"),
        pytest.param(date(2027, 7, 1), date(2027, 7, 6), "2027-07-01", "2027-07-06", id="both"),
        pytest.param(None, date(2024, 1, 5), "2024-01-02", "2024-01-05", id="up-to-a-day"),
    ],
)
def test_the_simulated_market_is_played_for_a_year_by_default(
    first: date | None, last: date | None, begins: str, ends: str
) -> None:
    script = simulated(1, first, last)
    assert [f"{script.sessions[at][0]:%Y-%m-%d}" for at in (0, -1)] == [begins, ends]


def test_a_simulated_session_is_looked_at_as_it_goes_on_and_after_its_close() -> None:
    [full, half] = simulated(1, date(2026, 11, 25), date(2026, 11, 27)).sessions
    assert [f"{at:%H:%M}" for at in full] == [
        "16:00",
        "16:05",
        "17:30",
        "17:35",
        "19:00",
        "19:05",
        "20:30",
        "20:35",
        "21:16",
    ]
    assert [f"{at:%H:%M}" for at in half] == ["16:00", "16:05", "17:30", "17:35", "18:16"]
    assert half[0] - full[0] == timedelta(days=2)


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        pytest.param(date(2020, 1, 1), None, "it runs from 2021 to 2040", id="too-early"),
        pytest.param(date(2026, 2, 1), date(2026, 1, 1), "it runs from 2021 to 2040", id="backwards"),
        pytest.param(date(2026, 1, 3), date(2026, 1, 4), "New York does not trade on these days", id="a-weekend"),
    ],
)
def test_a_period_without_simulated_sessions_is_refused(first: date, last: date | None, told: str) -> None:
    with pytest.raises(ReplayError, match=told):
        simulated(1, first, last)


def test_a_simulated_month_runs_to_its_end_without_a_prompt(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("rehearse", "--until", "2026-01-20", "--no-prompt")
    assert (ran.code, ran.err) == (0, "")
    first, *_, last = ran.out.splitlines()
    assert first == "Rehearsing SIMULATED market 1: 12 sessions."
    assert re.fullmatch(r"SIMULATED market 1: 12 sessions, \d+ alerts? posted, \d+ resolved\.", last)
    assert "SIMULATED: MinerPulse alerts on WGMI against bitcoin come here from now on." in ran.out


def test_the_same_seed_rehearses_the_same_market(minerpulse: Callable[..., Ran]) -> None:
    seven, again, eight = (
        minerpulse("rehearse", "--until", "2026-01-06", "--no-prompt", "--seed", seed).out for seed in ("7", "7", "8")
    )
    assert seven == again
    assert seven.replace("market 7", "market 8") != eight


def test_files_are_rehearsed_to_their_end(minerpulse: Callable[..., Ran], clean: Path) -> None:
    ran = minerpulse("rehearse", "--etf", etf_file(clean, ETF), "--btc", btc_file(clean, BTC), "--no-prompt")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "etf.csv and btc.csv: 4 sessions, 1 alert posted, 1 resolved."
    assert "SIMULATED" not in ran.out


def test_without_a_terminal_there_is_no_prompt_and_a_proxy_is_not_asked(
    minerpulse: Callable[..., Ran], clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    ran = minerpulse("rehearse", "--etf", etf_file(clean, ETF), "--btc", btc_file(clean, BTC))
    assert ran.out.splitlines()[-1] == "etf.csv and btc.csv: 4 sessions, 1 alert posted, 1 resolved."
