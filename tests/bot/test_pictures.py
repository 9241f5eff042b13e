"""`minerpulse chart`, `replay --chart` and `report` write files from price files or the simulated market."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bot.conftest import MINERPULSE, RunCli
from tests.bot.files import etf_file, price_options
from tests.fakes.legs import random_legs

LEGS = random_legs(300)  # up to 19 April 2023
FIRST = "2022-02-08"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def files(clean: Path) -> list[str | Path]:
    """The options for the two files."""
    market = LEGS.aligned
    return price_options(clean, market.etf.tolist(), market.crypto.tolist(), FIRST)


def test_a_chart_is_written_and_described(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    result = minerpulse("chart", "60D", *files, "--rule", "5d 12pp above")
    assert (result.code, result.err) == (0, f"Wrote spread.png ({(clean / 'spread.png').stat().st_size:,} bytes).\n")
    assert (clean / "spread.png").read_bytes().startswith(PNG)
    assert "over 60\u00a0sessions. From the close of Jan 23, 2023 to Apr 19, 2023: WGMI " in result.out
    assert "A rule fires at +12\u00a0pp, clears at +7.2\u00a0pp." in result.out


def test_a_dark_chart_differs_from_a_light_one(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    for name, options in (("light.png", []), ("dark.png", ["--dark"])):
        assert minerpulse("chart", *files, "-o", name, *options).code == 0
    assert (clean / "light.png").read_bytes() != (clean / "dark.png").read_bytes()


def test_a_chart_is_for_a_screen_or_for_a_phone(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    widths = []
    for name, options in (("screen.png", []), ("phone.png", ["--size", "phone"])):
        assert minerpulse("chart", *files, "-o", name, *options).code == 0
        widths.append(int.from_bytes((clean / name).read_bytes()[16:20]))
    assert [1_200, 1_080] == widths


def test_one_session_is_charted_over_twenty_with_the_one_session_rule(
    minerpulse: RunCli, files: list[str | Path]
) -> None:
    output = minerpulse("chart", "1d", *files).out
    assert "over 20\u00a0sessions" in output
    assert "1-session spread at the end: " in output
    assert "A rule fires at ±8\u00a0pp" in output


def test_a_simulated_chart_is_labelled(minerpulse: RunCli, simulated: None) -> None:  # noqa: ARG001 -- for its effect
    assert minerpulse("chart").out.startswith("SIMULATED · WGMI ")


def test_a_window_longer_than_the_history_writes_nothing(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("chart", "60d", *price_options(clean, [20.0] * 5, [50_000.0] * 5))
    assert (result.code, result.err) == (
        1,
        (
            "No chart of WGMI over 60\u00a0sessions: "
            "history starts on Mar 2, 2026, after the start of the 60-session window.\n"
        ),
    )
    assert not (clean / "spread.png").exists()


def test_a_rule_that_needs_live_prices_is_rejected(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("chart", *files, "--rule", "gap 5%")
    assert result.code == 1
    assert "“gap 5%” is measured only while the market is closed" in result.err


@pytest.mark.parametrize(("command", "name"), [("chart", "nowhere/out.png"), ("report", "nowhere/out.html")])
def test_an_unwritable_path_is_an_error_and_existing_files_stay(
    minerpulse: RunCli, files: list[str | Path], clean: Path, command: str, name: str
) -> None:
    result = minerpulse(command, *files, "-o", name)
    assert (result.code, result.err) == (
        1,
        f"Error: Can't write {name}: No such file or directory. Choose another path with -o.\n",
    )
    assert ["btc.csv", "etf.csv"] == sorted(path.name for path in clean.iterdir())


def test_a_file_behind_a_symbolic_link_is_replaced_and_keeps_its_mode(
    minerpulse: RunCli, files: list[str | Path], clean: Path
) -> None:
    (clean / "real.png").touch(mode=0o600)
    (clean / "link.png").symlink_to("real.png")

    assert 0 == minerpulse("chart", *files, "-o", "link.png").code

    assert (clean / "link.png").is_symlink()
    assert (clean / "real.png").read_bytes().startswith(PNG)
    assert 0o600 == (clean / "real.png").stat().st_mode & 0o777


def test_a_link_to_a_missing_file_creates_that_file(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    (clean / "link.png").symlink_to("real.png")

    assert 0 == minerpulse("chart", *files, "-o", "link.png").code
    assert (clean / "real.png").read_bytes().startswith(PNG)


def test_a_pipe_is_written_to_and_stays(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    os.mkfifo(clean / "pipe")
    with ThreadPoolExecutor() as pool:
        content = pool.submit((clean / "pipe").read_bytes)
        assert 0 == minerpulse("chart", *files, "-o", clean / "pipe").code

        assert content.result().startswith(PNG)
    assert (clean / "pipe").is_fifo()


@pytest.mark.parametrize("command", ["chart", "report"])
def test_a_device_is_written_to_and_stays(minerpulse: RunCli, files: list[str | Path], command: str) -> None:
    assert 0 == minerpulse(command, *files, "-o", os.devnull).code
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("target", ["-", "/dev/stdout"])
def test_a_dash_is_stdout_which_has_the_picture_alone(files: list[str | Path], clean: Path, target: str) -> None:
    result = subprocess.run(  # noqa: S603 -- our own command
        [MINERPULSE, "chart", *files, "-o", target], cwd=clean, capture_output=True, check=True
    )

    assert result.stdout.startswith(PNG)
    assert [] == [path.name for path in clean.iterdir() if path.suffix != ".csv"]
    if target == "-":
        assert result.stdout.endswith(b"IEND\xaeB`\x82")
        assert b"A rule fires at" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["chart", "-o", "out.svg"], "Name a file that ends in .png, or - for", id="chart"),
        pytest.param(["chart", "-o", "out"], "“out” doesn't end in .png", id="no suffix"),
        pytest.param(["report", "-o", "out.pdf"], "Name a file that ends in .html, or - for", id="report"),
        pytest.param(["replay", "--chart", "out.jpg"], "Name a file that ends in .png.", id="replay"),
        pytest.param(["replay", "--chart", "-"], "“-” doesn't end in .png", id="replay to stdout"),
        pytest.param(["chart", "-o", "."], "“.” is a folder", id="folder"),
    ],
)
def test_a_format_that_is_not_written_is_refused(
    minerpulse: RunCli, files: list[str | Path], clean: Path, arguments: list[str], expected: str
) -> None:
    result = minerpulse(*arguments, *files)

    assert 2 == result.code
    assert expected in result.err
    assert {".csv"} == {path.suffix for path in clean.iterdir()}


def test_a_replay_can_draw_its_result(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    result = minerpulse("replay", *files, "--rule", "1d 8pp", "--chart", "out.png")
    assert result.code == 0
    assert "1d 8pp: " in result.out
    assert (clean / "out.png").read_bytes().startswith(PNG)


def test_a_report_of_files_is_one_page(minerpulse: RunCli, files: list[str | Path], clean: Path) -> None:
    smh = etf_file(clean / "..", LEGS.proxy_prices.tolist(), FIRST).rename(clean / "smh.csv")
    result = minerpulse("report", *files, "--ai", smh, "--from", "2022-06-01", "--to", "2023-03-31", "--rule", "1d 5pp")
    page = (clean / "report.html").read_text(encoding="utf-8")
    assert result.code == 0
    assert "Report for Jun 1, 2022 to Mar 31, 2023: WGMI " in page
    assert "WGMI from etf.csv, BTC from btc.csv." in page
    assert 'id="rolling-betas"' in page


def test_a_report_without_the_proxy_explains_how_to_add_it(
    minerpulse: RunCli, files: list[str | Path], clean: Path
) -> None:
    assert minerpulse("report", *files).code == 0
    assert "with --ai." in (clean / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("simulated")
def test_a_simulated_report_is_labelled(minerpulse: RunCli, clean: Path) -> None:
    assert minerpulse("report").code == 0
    assert "SIMULATED: these prices are made up." in (clean / "report.html").read_text(encoding="utf-8")


def test_charts_and_reports_use_the_configured_pair(
    minerpulse: RunCli, files: list[str | Path], clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    assert minerpulse("chart", "60d", *files).out.startswith("MARA ")
    assert minerpulse("report", *files).code == 0
    assert "<h1>MARA " in (clean / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("simulated")
def test_simulated_charts_and_reports_use_the_configured_pair(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF", "MARA")
    assert minerpulse("chart").out.startswith("SIMULATED · MARA ")
    assert minerpulse("report").code == 0
    assert "SIMULATED · MARA " in (clean / "report.html").read_text(encoding="utf-8")


def test_a_report_needs_both_price_files(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("report", *files[:2])
    assert result.code == 2
    assert "Pass both --etf and --btc" in result.err


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        pytest.param("a" * 300 + ".png", "File name too long. Choose another path.", id="name-too-long"),
        pytest.param("loop.png", "Too many levels of symbolic links. Choose another path with -o.", id="loop-of-links"),
    ],
)
def test_a_path_that_leads_to_no_file_is_refused_in_words(
    minerpulse: RunCli, files: list[str | Path], name: str, problem: str
) -> None:
    Path("loop.png").symlink_to("loop.png")
    result = minerpulse("chart", *files, "-o", name)
    assert result.code > 0
    assert problem in result.err
    assert Path("loop.png").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device without space")
def test_a_full_disk_behind_stdout_is_one_sentence(files: list[str | Path]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(  # noqa: S603 -- our own program
            [MINERPULSE, "replay", *files], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (result.returncode, result.stderr) == (
        1,
        "The output can't be written: No space left on device. Free some space, or write to another disk.\n",
    )


def test_a_day_in_full_width_digits_is_no_date(minerpulse: RunCli, files: list[str | Path]) -> None:
    result = minerpulse("replay", *files, "--from", "\uff12\uff10\uff12\uff12-03-01")
    assert result.code == 2
    assert "isn't a valid date. Use YYYY-MM-DD, as in 2026-03-31." in result.err


@pytest.mark.parametrize(("command", "name"), [("chart", "spread.png"), ("report", "report.html")])
def test_a_file_that_was_not_named_is_replaced_by_force_only(
    minerpulse: RunCli, files: list[str | Path], clean: Path, command: str, name: str
) -> None:
    (clean / name).write_text("mine", encoding="utf-8")

    refused = minerpulse(command, *files)
    assert (1, "") == (refused.code, refused.out)
    assert f"{name} already exists. Name a file with -o, or replace it with --force." in refused.err
    assert "mine" == (clean / name).read_text(encoding="utf-8")

    for options in (["--force"], ["-o", name]):
        (clean / name).write_text("mine", encoding="utf-8")
        assert 0 == minerpulse(command, *files, *options).code
        assert b"mine" != (clean / name).read_bytes()
