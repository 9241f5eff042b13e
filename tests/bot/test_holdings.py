"""`minerpulse holdings` imports, fetches and lists holdings by day, with the missing weight."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.bot.conftest import RunCli

HEADER = "Ticker,Name,Weight,Shares,Market Value"
IREN, HUT = 'IREN US,IREN Ltd,60%,"1,000",$60', "HUT CN,Hut 8 Corp,38.5%,10.25,"
CASH = ",Cash [USD],-0.5%,,"
SUMMARY = "The weights add up to 98.00%, including −0.50% cash: 2.00% short of 100%."


TOP_TEN = (Path(__file__).parents[1] / "responses" / "nasdaq_holdings.json").read_bytes()


class Nasdaq(BaseHTTPRequestHandler):
    """Serves the holdings of WGMI and BITQ as of 7 July."""

    def do_GET(self) -> None:
        fund = self.path.split("/")[3].upper()
        known = fund in {"WGMI", "BITQ"} and self.path.endswith("/holdings?assetclass=etf")
        body = TOP_TEN.replace(b'"asOf": null', b'"asOf": "07/07/2026"').replace(b"WGMI", fund.encode())
        self.send_response(200 if known else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def _nasdaq(clean: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 -- before the settings
    """A local Nasdaq with the three largest holdings."""
    with HTTPServer(("127.0.0.1", 0), Nasdaq) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        monkeypatch.setenv("MINERPULSE_SOURCE_URLS", f"nasdaq=http://127.0.0.1:{server.server_port}")
        yield
        server.shutdown()
        serving.join()


def save(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "wgmi.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def test_imported_holdings_are_listed_with_the_missing_weight(minerpulse: RunCli, clean: Path) -> None:
    file = save(clean, IREN, HUT, CASH, "Total,,98%,,")
    assert minerpulse("holdings", "import", file, "--as-of", "2026-07-07") == (
        0,
        f"WGMI as of 2026-07-07: 3 holdings. {SUMMARY}\n",
        "Skipped, because it lists no holding: line 5: Total 98%\n",
    )
    result = minerpulse("holdings", "list")
    assert [line.rstrip() for line in result.out.splitlines()] == [
        "WGMI holdings as of 2026-07-07, from wgmi.csv",
        "",
        "Ticker   Name        Weight  Shares",
        "IREN US  IREN Ltd    60.00%   1,000",
        "HUT CN   Hut 8 Corp  38.50%   10.25",
        "cash     Cash [USD]  −0.50%       –",
        "",
        SUMMARY,
    ]


def test_the_document_has_every_number(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("holdings", "import", save(clean, IREN), "--as-of", "2026-07-07")
    result = minerpulse("holdings", "list", "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == {
        "schema": {"name": "holdings", "version": 1},
        "fund": "WGMI",
        "as_of": "2026-07-07",
        "source": "wgmi.csv",
        "whole": True,
        "total": 0.6,
        "cash": 0.0,
        "unexplained": 0.4,
        "holdings": [
            {
                "ticker": "IREN",
                "exchange": "US",
                "name": "IREN Ltd",
                "kind": "share",
                "weight": 0.6,
                "shares": 1000.0,
                "market_value": 60.0,
            }
        ],
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], "2026-07-08", id="the newest"),
        pytest.param(["--as-of", "2026-07-07"], "2026-07-07", id="an earlier day"),
        pytest.param(["--as-of", "2026-09-01"], "2026-07-08", id="a later day"),
    ],
)
def test_each_day_is_stored(minerpulse: RunCli, clean: Path, options: list[str], expected: str) -> None:
    minerpulse("holdings", "import", save(clean, IREN), "--as-of", "2026-07-08")
    minerpulse("holdings", "import", save(clean, HUT), "--as-of", "2026-07-07")
    assert json.loads(minerpulse("holdings", "list", "--json", *options).out)["as_of"] == expected


def test_importing_a_day_again_replaces_it(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("holdings", "import", save(clean, IREN, HUT), "--as-of", "2026-07-07")
    result = minerpulse("holdings", "import", save(clean, HUT), "--as-of", "2026-07-07")
    assert result.out.endswith(" These holdings replace those stored for that date.\n")
    document = json.loads(minerpulse("holdings", "list", "--json").out)
    assert [row["ticker"] for row in document["holdings"]] == ["HUT"]


def test_weights_at_and_above_100_percent_are_reported(minerpulse: RunCli, clean: Path) -> None:
    file = save(clean, "2022-02-28,60,40", "2022-03-03,60.02,40", header=",IREN,HUT")
    first, second = minerpulse("holdings", "import", file).out.splitlines()
    assert first.endswith("add up to 100.00%, including 0.00% cash.")
    assert second.endswith("add up to 100.02%, including 0.00% cash: 0.02% above 100%.")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(
            [],
            "has no date. Add the date of the weights, as in --as-of 2026-07-07.\n",
            id="no-day",
        ),
        pytest.param(
            ["--as-of", "2126-07-07"],
            "wgmi.csv: its holdings are dated 2126-07-07, which is in the future. Correct the date.\n",
            id="a-day-to-come",
        ),
    ],
)
def test_an_invalid_file_changes_nothing(minerpulse: RunCli, clean: Path, arguments: list[str], expected: str) -> None:
    result = minerpulse("holdings", "import", save(clean, IREN), *arguments)
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith(expected)
    assert minerpulse("holdings", "list").err.startswith("No holdings of WGMI are stored. ")


@pytest.mark.parametrize("day", ["0001-01-01", "1989-12-31", "2200-01-01"])
def test_a_year_that_is_a_typing_error_is_refused(minerpulse: RunCli, clean: Path, day: str) -> None:
    result = minerpulse("holdings", "import", save(clean, IREN), "--as-of", day)

    assert (result.code, result.out) == (2, "")
    assert f"{day} isn't between 1990-01-01 and 2199-12-31. Check the year." in result.err


def test_the_fund_comes_from_the_settings(minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    minerpulse("holdings", "import", save(clean, IREN), "--as-of", "2026-07-07")
    monkeypatch.setenv("MINERPULSE_ETF", "BITQ")
    assert minerpulse("holdings", "list") == (
        1,
        "",
        "No holdings of BITQ are stored. Import a file with `minerpulse holdings import FILE.csv`.\n",
    )


def test_a_day_before_the_first_holdings_is_an_error(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("holdings", "import", save(clean, IREN), "--as-of", "2026-07-07")
    assert minerpulse("holdings", "list", "--as-of", "2026-07-06") == (
        1,
        "",
        "No holdings of WGMI are stored for 2026-07-06; the oldest are dated 2026-07-07. Import older ones.\n",
    )


LARGEST = "Only the 3 largest holdings are known; they add up to 31.86% of the fund."
FETCHED = "{fund} as of 2026-07-07, from Nasdaq (top 10 only). " + LARGEST


@pytest.mark.usefixtures("_nasdaq")
def test_the_largest_holdings_are_fetched_and_labelled_as_incomplete(minerpulse: RunCli) -> None:
    assert (0, f"{FETCHED.format(fund='WGMI')}\n", "") == minerpulse("holdings", "fetch")
    result = minerpulse("holdings", "list")
    assert [line.rstrip() for line in result.out.splitlines()] == [
        "WGMI holdings as of 2026-07-07, from Nasdaq (top 10 only)",
        "",
        "Ticker  Name                             Weight  Shares",
        "IREN    IREN Limited Ordinary Shares     18.36%       –",
        "CIFR    Cipher Mining Inc. Common Stock  12.00%       –",
        "cash    US Dollars                        1.50%       –",
        "",
        LARGEST,
    ]
    assert json.loads(minerpulse("holdings", "list", "--json").out)["whole"] is False


@pytest.mark.usefixtures("_nasdaq")
def test_another_fund_is_fetched_and_listed_by_its_name(minerpulse: RunCli) -> None:
    assert f"{FETCHED.format(fund='BITQ')}\n" == minerpulse("holdings", "fetch", "bitq").out
    assert minerpulse("holdings", "list").err.startswith("No holdings of WGMI are stored. ")
    assert json.loads(minerpulse("holdings", "list", "BITQ", "--json").out)["fund"] == "BITQ"


@pytest.mark.usefixtures("_nasdaq")
def test_a_complete_import_replaces_fetched_holdings_and_is_never_overwritten(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("holdings", "fetch")
    again = minerpulse("holdings", "fetch")
    assert again.out.endswith(" These holdings replace those fetched earlier.\n")
    minerpulse("holdings", "import", save(clean, IREN, HUT), "--as-of", "2026-07-07")
    assert minerpulse("holdings", "fetch") == (
        1,
        "",
        (
            "The holdings of WGMI on 2026-07-07 are known in full, from wgmi.csv. The top 10 would overwrite them "
            "and weren't saved. You don't need to do anything.\n"
        ),
    )
    document = json.loads(minerpulse("holdings", "list", "--json").out)
    assert (document["source"], len(document["holdings"])) == ("wgmi.csv", 2)


@pytest.mark.usefixtures("_nasdaq")
def test_a_failed_fetch_is_an_error_with_a_next_step(minerpulse: RunCli) -> None:
    result = minerpulse("holdings", "fetch", "XYZ")
    assert (result.code, result.out) == (1, "")
    assert "Nasdaq (XYZ): HTTP 404 Not Found" in result.err
    assert len(result.err.splitlines()) == 1
    assert minerpulse("holdings", "fetch", "W G").err.endswith("use one such as WGMI or BTC.\n")


def test_a_dry_run_imports_nothing_and_creates_no_database(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("holdings", "import", save(clean, IREN, HUT, CASH), "--as-of", "2026-07-07", "--dry-run")

    assert (0, "") == (result.code, result.err)
    assert ["WGMI as of 2026-07-07: 3 holdings.", "Nothing was imported, because of --dry-run."] == [
        line.partition(" The ")[0] for line in result.out.splitlines()
    ]
    assert not (clean / "minerpulse.db").exists()
