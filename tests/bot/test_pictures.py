"""`minerpulse chart`, `replay --chart` and `report` write whole files, from price files or the simulated market."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bot.conftest import Ran
from tests.bot.files import btc_file, etf_file
from tests.fakes.legs import random_legs

LEGS = random_legs(300)  # up to 19 April 2023
FIRST = "2022-02-08"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options that name the two files."""
    market = LEGS.aligned
    return [
        "--etf",
        etf_file(clean, market.etf.tolist(), FIRST),
        "--btc",
        btc_file(clean, market.crypto.tolist(), FIRST),
    ]


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")


def test_a_chart_is_a_picture_and_its_words(
    minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path
) -> None:
    ran = minerpulse("chart", "60D", *files, "--rule", "5d 12pp above")
    assert (ran.code, ran.err) == (0, f"spread.png: {(clean / 'spread.png').stat().st_size:,} bytes.\n")
    assert (clean / "spread.png").read_bytes().startswith(PNG)
    assert "over 60 days to the close of Wed 19 Apr." in ran.out
    assert "A rule fires at +12 pp, clears at +7.2 pp." in ran.out


def test_a_dark_chart_is_another_picture(minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path) -> None:
    for name, options in (("light.png", []), ("dark.png", ["--dark"])):
        assert minerpulse("chart", *files, "-o", name, *options).code == 0
    assert (clean / "light.png").read_bytes() != (clean / "dark.png").read_bytes()


def test_one_day_is_drawn_over_twenty_with_the_rule_of_one_day(
    minerpulse: Callable[..., Ran], files: list[str | Path]
) -> None:
    told = minerpulse("chart", "1d", *files).out
    assert "over 20 days" in told
    assert "1-day spread now" in told
    assert "A rule fires at ±8 pp" in told


def test_a_simulated_chart_says_so(minerpulse: Callable[..., Ran], simulated: None) -> None:  # noqa: ARG001 -- for its effect
    assert minerpulse("chart").out.startswith("SIMULATED: WGMI ")


def test_a_window_that_is_longer_than_the_history_is_refused_and_writes_nothing(
    minerpulse: Callable[..., Ran], clean: Path
) -> None:
    ran = minerpulse("chart", "60d", "--etf", etf_file(clean, [20.0] * 5), "--btc", btc_file(clean, [50_000.0] * 5))
    assert (ran.code, ran.err) == (
        1,
        "No chart of WGMI over 60 days: the history begins on 2026-03-02, less than 60d ago.\n",
    )
    assert not (clean / "spread.png").exists()


def test_a_rule_that_closes_cannot_decide_is_refused(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("chart", *files, "--rule", "gap 5%")
    assert ran.code == 1
    assert "“gap 5%” is measured only while the ETF is shut" in ran.err


@pytest.mark.parametrize("command", ["chart", "report"])
def test_a_place_that_cannot_be_written_is_told_and_what_is_there_stays(
    minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path, command: str
) -> None:
    ran = minerpulse(command, *files, "-o", "nowhere/out")
    assert (ran.code, ran.err) == (
        1,
        "Error: Cannot write nowhere/out: No such file or directory. Choose another place with -o.\n",
    )
    assert ["btc.csv", "etf.csv"] == sorted(path.name for path in clean.iterdir())


def test_a_replay_draws_what_it_found(minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path) -> None:
    ran = minerpulse("replay", *files, "--rule", "1d 8pp", "--chart", "out.png")
    assert ran.code == 0
    assert "1d 8pp: " in ran.out
    assert (clean / "out.png").read_bytes().startswith(PNG)


def test_a_report_of_files_is_one_page(minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path) -> None:
    smh = etf_file(clean / "..", LEGS.proxy_prices.tolist(), FIRST).rename(clean / "smh.csv")
    ran = minerpulse("report", *files, "--ai", smh, "--from", "2022-06-01", "--to", "2023-03-31", "--rule", "1d 5pp")
    page = (clean / "report.html").read_text(encoding="utf-8")
    assert ran.code == 0
    assert "1 Jun 2022 to 31 Mar 2023</h1>" in page
    assert "WGMI from etf.csv, bitcoin from btc.csv." in page
    assert 'id="betas"' in page


def test_a_report_without_the_proxy_says_how_to_get_the_rest(
    minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path
) -> None:
    assert minerpulse("report", *files).code == 0
    assert "with --ai." in (clean / "report.html").read_text(encoding="utf-8")


def test_a_report_of_a_simulated_market_says_so(
    minerpulse: Callable[..., Ran],
    clean: Path,
    simulated: None,  # noqa: ARG001 -- for its effect
) -> None:
    assert minerpulse("report").code == 0
    assert "SIMULATED: these prices are made up." in (clean / "report.html").read_text(encoding="utf-8")


def test_a_chart_and_a_report_are_of_the_pair_that_is_set(
    minerpulse: Callable[..., Ran], files: list[str | Path], clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    assert minerpulse("chart", "60d", *files).out.startswith("MARA ")
    assert minerpulse("report", *files).code == 0
    assert "<h1>MARA " in (clean / "report.html").read_text(encoding="utf-8")


def test_a_simulated_chart_and_report_are_of_the_pair_that_is_set(
    minerpulse: Callable[..., Ran],
    simulated: None,  # noqa: ARG001 -- for its effect
    clean: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    assert minerpulse("chart").out.startswith("SIMULATED: MARA ")
    assert minerpulse("report").code == 0
    assert "SIMULATED: MARA " in (clean / "report.html").read_text(encoding="utf-8")


def test_a_report_takes_both_legs_from_files_or_none(minerpulse: Callable[..., Ran], files: list[str | Path]) -> None:
    ran = minerpulse("report", *files[:2])
    assert ran.code == 2
    assert "--etf and --btc go together" in ran.err
