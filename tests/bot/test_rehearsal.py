"""A rehearsal plays a channel through the real services, listeners and messages."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from rich.console import Console

from bot.fake_slack.workspace import EventKind, MessageEvent, PostedMessage
from bot.rehearsal.prompt import Prompt, play_with_prompt
from bot.rehearsal.screen import Screen, find_control
from bot.rehearsal.script import Script, VirtualClock, script_from_files, simulated_script
from bot.rehearsal.stage import Pace, Rehearsal, open_rehearsal, play
from bot.settings import Settings
from services.core.errors import ReplayError
from tests.bot.conftest import RunCli
from tests.bot.files import btc_file, daily_btc_file, etf_file, price_options

ETF = [20.0, 20.0, 22.0, 22.0]  # of 2 to 5 March 2026: a tenth up on the 4th
BTC = [50_000.0] * 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RehearsalHarness:
    rehearsal: Rehearsal
    script: Script
    prompt: Prompt
    shown: StringIO

    def read_screen(self) -> str:
        """Return the output since the last call, without frames."""
        text = re.sub(r"[╭╮╰╯│─]", "", self.shown.getvalue()).replace("\N{NO-BREAK SPACE}", " ")
        self.shown.seek(0)
        self.shown.truncate()
        return text

    async def play_until(self, day: date) -> None:
        """Play the sessions up to this day."""
        for instants in self.script.sessions:
            for at in instants:
                if self.rehearsal.clock.now() < at and at.date() <= day:
                    await self.rehearsal.step(at)


@asynccontextmanager
async def open_channel(
    script: Script, shown: StringIO | None = None, pace: float | None = None
) -> AsyncIterator[RehearsalHarness]:
    shown = shown or StringIO()
    screen = Screen(console=Console(file=shown, width=200), clock=script.clock)
    async with open_rehearsal(Settings(), script, screen.print_event) as rehearsal:
        prompt = Prompt(rehearsal=rehearsal, pace=Pace(pace), screen=screen)
        yield RehearsalHarness(rehearsal=rehearsal, script=script, prompt=prompt, shown=shown)


@pytest.fixture
def script(clean: Path) -> Script:
    return script_from_files(etf_file(clean, ETF), btc_file(clean, BTC), None, None)


@pytest.fixture
async def channel(script: Script) -> AsyncIterator[RehearsalHarness]:
    """A channel with the default rules, on the evening of the day that an alert fires."""
    async with open_channel(script) as channel:
        await channel.rehearsal.start()
        await channel.play_until(date(2026, 3, 4))
        yield channel


async def test_the_channel_starts_with_the_default_rules_and_posts_alerts(channel: RehearsalHarness) -> None:
    news = channel.read_screen()
    assert "Rules: 1d 8pp, 5d 15pp, 20d 30pp." in news
    assert "Started by @YOU" in news
    assert "Wed Mar 4, 4:15 PM ET · new message, alert 1" in news
    assert "WGMI closed 10.0 pp ahead of BTC, Mar 4" in news
    assert "[Acknowledge] [Snooze ▾]" in news


async def test_a_resolved_alert_is_edited_and_gets_a_reply(channel: RehearsalHarness) -> None:
    channel.read_screen()
    await channel.play_until(date(2026, 3, 5))
    news = channel.read_screen()
    assert "Thu Mar 5, 4:15 PM ET · edited: Resolved" in news
    assert "Thu Mar 5, 4:15 PM ET · thread reply: Resolved" in news
    assert await channel.rehearsal.alert_counts() == (1, 1)


async def test_a_slash_command_is_answered_ephemerally(channel: RehearsalHarness) -> None:
    channel.read_screen()
    assert await channel.prompt.handle("/minerpulse rules")
    news = channel.read_screen()
    assert "only visible to you" in news
    assert "1d 8pp" in news


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("/minerpulse", "WGMI closed 10.0 pp ahead of BTC", id="the-board"),
        pytest.param("/minerpulse help", "MinerPulse commands", id="from-memory"),
        pytest.param("/minerpulse rule add", "A rehearsal in the terminal can't open forms", id="no-forms"),
        pytest.param("/minerpulse rule add 1d  8pq", "Rule not added", id="a-rule-with-a-slip"),
    ],
)
async def test_the_replies_match_slack(channel: RehearsalHarness, line: str, expected: str) -> None:
    channel.read_screen()
    await channel.prompt.handle(line)
    assert expected in channel.read_screen()


@pytest.mark.usefixtures("clean")
async def test_a_simulated_market_has_a_simulated_network() -> None:
    script = simulated_script(1, date(2026, 6, 15), date(2026, 6, 18))
    async with open_channel(script) as channel:
        await channel.play_until(date(2026, 6, 18))
        channel.read_screen()
        await channel.prompt.handle("/minerpulse network")
        news = channel.read_screen()
    assert "SIMULATED · Hashprice $" in news
    assert "Data OK" in news


@pytest.mark.usefixtures("clean")
async def test_a_simulated_alert_has_a_return_attribution() -> None:
    async with open_channel(simulated_script(1, date(2026, 6, 1), date(2026, 6, 3))) as channel:
        await channel.rehearsal.start()
        await channel.play_until(date(2026, 6, 3))
        news = channel.read_screen()
    assert "What drove WGMI's −5.7%" in news


async def test_price_files_have_no_network(channel: RehearsalHarness) -> None:
    channel.read_screen()
    await channel.prompt.handle("/minerpulse network")
    assert "No bitcoin network data yet." in channel.read_screen()


async def test_a_refreshed_board_is_printed_again(channel: RehearsalHarness) -> None:
    await channel.prompt.handle("/minerpulse")
    [board] = [message for message in channel.rehearsal.messages() if find_control(message, "share")][-1:]
    channel.read_screen()
    await channel.rehearsal.person.click(board, find_control(board, "refresh") or {})
    await channel.rehearsal.finish_pending()
    assert "WGMI closed 10.0 pp ahead of BTC" in channel.read_screen()


def test_a_deleted_message_is_printed() -> None:
    shown = StringIO()
    clock = VirtualClock(datetime(2026, 3, 4, 21, 16, tzinfo=UTC))
    message = PostedMessage(channel="DESK", ts="1.0", text="gone", blocks=[])
    Screen(console=Console(file=shown, width=80), clock=clock).print_event(
        MessageEvent(kind=EventKind.DELETED, message=message)
    )
    assert shown.getvalue().strip() == "Mar 4, 2026, 4:16 PM ET · deleted: gone"


def test_a_time_has_its_year_when_the_year_changes() -> None:
    shown = StringIO()
    clock = VirtualClock(datetime(2026, 12, 31, 21, 16, tzinfo=UTC))
    screen = Screen(console=Console(file=shown, width=80), clock=clock)
    message = PostedMessage(channel="DESK", ts="1.0", text="gone", blocks=[])
    for at in [clock.at, clock.at, datetime(2027, 1, 4, 21, 16, tzinfo=UTC)]:
        clock.at = at
        screen.print_event(MessageEvent(kind=EventKind.DELETED, message=message))
    assert [line.split(" · ")[0].strip() for line in shown.getvalue().splitlines()] == [
        "Dec 31, 2026, 4:16 PM ET",
        "Thu Dec 31, 4:16 PM ET",
        "Jan 4, 2027, 4:16 PM ET",
    ]


@pytest.mark.parametrize("line", ["ack", "ack 1"])
async def test_ack_clicks_the_real_button(channel: RehearsalHarness, line: str) -> None:
    channel.read_screen()
    await channel.prompt.handle(line)
    news = channel.read_screen()
    assert "edited, alert 1: Acknowledged: WGMI closed 10.0 pp ahead of BTC, Mar 4" in news
    assert "Acknowledged by @YOU" in news
    await channel.prompt.handle(line)
    assert "Alert 1 is already acknowledged." in channel.read_screen()


@pytest.mark.parametrize(
    ("line", "until"),
    [
        pytest.param("snooze", "5:15 PM ET", id="an-hour-by-default"),
        pytest.param("snooze 1 4h", "8:15 PM ET", id="numbered"),
        pytest.param("snooze open", "Mar 5, 9:30 AM ET", id="until-the-open"),
    ],
)
async def test_snooze_chooses_from_the_real_menu(channel: RehearsalHarness, line: str, until: str) -> None:
    channel.read_screen()
    await channel.prompt.handle(line)
    assert f"Snoozed by @YOU until {until}" in channel.read_screen()
    await channel.prompt.handle(line)
    assert "Alert 1 is already snoozed. “/minerpulse unsnooze 1” ends it." in channel.read_screen()


async def test_a_snoozed_alert_can_be_acknowledged(channel: RehearsalHarness) -> None:
    await channel.prompt.handle("snooze")
    channel.read_screen()
    await channel.prompt.handle("ack")
    assert "Acknowledged by @YOU" in channel.read_screen()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("snooze 2d", "“2d” isn't in the Snooze menu. Choose from 30m, 1h, 4h,", id="no-such-time"),
        pytest.param("ack 9", "Alert 9 isn't open.", id="no-such-alert"),
        pytest.param("snooze 9 1h", "Alert 9 isn't open.", id="nothing-to-snooze"),
        pytest.param("akc", "Unknown command “akc”. Did you mean “ack”?", id="a-slip"),
        pytest.param("dance", "Unknown command “dance”. “help” lists the commands.", id="nothing-like-it"),
        pytest.param("help", "snooze [ALERT] [TIME]", id="help"),
        pytest.param("speed fast", "Type a number of sessions per second", id="no-speed"),
        pytest.param("speed", "Type a number of sessions per second", id="speed-alone"),
        pytest.param("pause", "The clock is paused", id="pause"),
    ],
)
async def test_the_prompt_reports_invalid_input(channel: RehearsalHarness, line: str, expected: str) -> None:
    channel.read_screen()
    assert await channel.prompt.handle(line)
    assert expected in channel.read_screen()


async def test_ack_without_an_open_alert_prints_a_note(script: Script) -> None:
    async with open_channel(script) as channel:
        await channel.prompt.handle("ack")
        assert channel.read_screen().strip() == "No alert is open."


async def test_an_empty_line_does_nothing_and_quit_ends_the_prompt(channel: RehearsalHarness) -> None:
    channel.read_screen()
    assert [await channel.prompt.handle(line) for line in ("", "speed 5", "resume", "quit")] == [
        True,
        True,
        True,
        False,
    ]
    assert channel.read_screen() == ""
    assert channel.prompt.pace.speed == 5


async def test_a_paused_clock_waits_until_it_is_resumed() -> None:
    pace = Pace(None)
    pace.pause()
    waiting = asyncio.create_task(pace.wait(steps=1))
    for _ in range(10):
        await asyncio.sleep(0)  # let the task run until it blocks
    assert not waiting.done()
    pace.resume()
    await waiting


@contextmanager
def typed_keys() -> Iterator[PipeInput]:
    with create_pipe_input() as keys, create_app_session(input=keys, output=DummyOutput()):
        yield keys


async def test_commands_are_handled_while_playing_until_quit(script: Script) -> None:
    with typed_keys() as keys:
        async with open_channel(script) as channel:
            keys.send_text("/minerpulse help\rquit\r")
            await play_with_prompt(channel.rehearsal, script, channel.prompt)
    assert "MinerPulse commands" in channel.shown.getvalue()


class WatchedOutput(StringIO):
    """Output that calls a function when a word is written."""

    def __init__(self, word: str, seen: Callable[[], None]) -> None:
        super().__init__()
        self.word, self.on_seen = word, seen

    def write(self, text: str) -> int:
        if self.word in text:
            self.on_seen()
        return super().write(text)


async def test_after_the_script_the_channel_still_answers(script: Script) -> None:
    with typed_keys() as keys:
        shown = WatchedOutput("The rehearsal is over", lambda: keys.send_text("/minerpulse history\rquit\r"))
        async with open_channel(script, shown) as channel:
            await play_with_prompt(channel.rehearsal, script, channel.prompt)
    text = shown.getvalue()
    assert "4 sessions, 1 alert posted, 1 resolved." in text
    assert text.index("only visible to you", text.index("The rehearsal is over"))


async def test_an_error_while_playing_ends_the_prompt(script: Script) -> None:
    with typed_keys():
        async with open_channel(script) as channel:
            person = replace(channel.rehearsal.person, signing_secret="other")
            broken = replace(channel.rehearsal, person=person)
            with pytest.raises(RuntimeError, match="the request got HTTP 401"):
                await play_with_prompt(broken, script, replace(channel.prompt, rehearsal=broken))


@pytest.mark.parametrize("key", [pytest.param("\x03", id="ctrl-c"), pytest.param("\x04", id="ctrl-d")])
async def test_control_keys_quit_cleanly(script: Script, key: str) -> None:
    with typed_keys() as keys:
        async with open_channel(script, pace=1e-6) as channel:
            keys.send_text(key)
            await play_with_prompt(channel.rehearsal, script, channel.prompt)


async def test_daily_bitcoin_bars_tick_after_the_utc_day(clean: Path) -> None:
    btc = daily_btc_file(clean, [50_000.0] * 7, date(2026, 3, 1))
    script = script_from_files(etf_file(clean, ETF), btc, None, None)
    assert [f"{instants[0]:%d %H:%M}" for instants in script.sessions] == [
        "03 00:00",
        "04 00:00",
        "05 00:00",
        "06 00:00",
    ]
    async with open_channel(script) as channel:
        await play(channel.rehearsal, script, Pace(None))
        assert await channel.rehearsal.alert_counts() == (1, 1)


async def test_price_files_count_their_own_span(clean: Path) -> None:
    """The bitcoin file begins more than 930 days before the session played, and before the ETF's."""
    btc = daily_btc_file(clean, [50_000.0] * 1530, date(2022, 1, 1))
    script = script_from_files(etf_file(clean, ETF), btc, None, None)
    async with open_channel(script) as channel:
        await channel.play_until(date(2026, 3, 5))
        channel.read_screen()
        await channel.prompt.handle("/minerpulse")

        board = channel.read_screen()
        assert "2022" in board  # the first day of the bitcoin file
        assert "lder history is loading" not in board


async def test_the_period_of_files_can_be_limited(clean: Path) -> None:
    files = etf_file(clean, ETF), btc_file(clean, BTC)
    script = script_from_files(*files, date(2026, 3, 3), date(2026, 3, 4))
    assert [f"{instants[0]:%d %H:%M}" for instants in script.sessions] == ["03 21:15", "04 21:15"]
    with pytest.raises(ReplayError, match="choose dates that the prices cover"):
        script_from_files(*files, date(2026, 4, 1), None)


@pytest.mark.parametrize(
    ("first", "last", "first_day", "last_day"),
    [
        pytest.param(None, None, "2026-01-02", "2026-12-31", id="the-story"),
        pytest.param(date(2028, 2, 29), None, "2028-02-29", "2029-02-28", id="a-year-from-a-leap-day"),
        pytest.param(date(2027, 7, 1), date(2027, 7, 6), "2027-07-01", "2027-07-06", id="both"),
        pytest.param(None, date(2024, 1, 5), "2024-01-02", "2024-01-05", id="up-to-a-day"),
    ],
)
def test_the_simulated_market_plays_one_year_by_default(
    first: date | None, last: date | None, first_day: str, last_day: str
) -> None:
    script = simulated_script(1, first, last)
    assert [f"{script.sessions[at][0]:%Y-%m-%d}" for at in (0, -1)] == [first_day, last_day]


def test_a_simulated_session_ticks_intraday_and_after_its_close() -> None:
    [full, half] = simulated_script(1, date(2026, 11, 25), date(2026, 11, 27)).sessions
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
    ("first", "last", "expected"),
    [
        pytest.param(date(2020, 1, 1), None, "it runs from 2021 to 2040", id="too-early"),
        pytest.param(date(2026, 2, 1), date(2026, 1, 1), "it runs from 2021 to 2040", id="backwards"),
        pytest.param(date(2026, 1, 3), date(2026, 1, 4), "the New York market is closed on these days", id="a-weekend"),
    ],
)
def test_a_period_without_simulated_sessions_is_rejected(first: date, last: date | None, expected: str) -> None:
    with pytest.raises(ReplayError, match=expected):
        simulated_script(1, first, last)


def test_a_simulated_week_runs_to_its_end_without_a_prompt(minerpulse: RunCli) -> None:
    result = minerpulse("rehearse", "--until", "2026-01-08", "--no-prompt")  # the former name of --to
    assert (result.code, result.err) == (0, "")
    first, *_, last = result.out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert first == "Rehearsing SIMULATED market 1: 5 sessions."
    assert re.fullmatch(r"SIMULATED market 1: 5 sessions, \d+ alerts? posted, \d+ resolved\.", last)
    assert "SIMULATED · Alerts on WGMI and BTC are posted here." in result.out


def test_the_same_seed_plays_the_same_market(minerpulse: RunCli) -> None:
    seven, again, eight = (
        minerpulse("rehearse", "--until", "2026-01-06", "--no-prompt", "--seed", seed).out for seed in ("7", "7", "8")
    )
    assert seven == again
    assert seven.replace("market 7", "market 8") != eight


def test_files_are_played_to_their_end(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("rehearse", *price_options(clean, ETF, BTC), "--no-prompt")
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines()[-1] == "etf.csv and btc.csv: 4 sessions, 1 alert posted, 1 resolved."
    assert "SIMULATED" not in result.out


def test_without_a_terminal_there_is_no_prompt_and_no_proxy_is_used(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    result = minerpulse("rehearse", *price_options(clean, ETF, BTC))
    assert result.out.splitlines()[-1] == "etf.csv and btc.csv: 4 sessions, 1 alert posted, 1 resolved."
