from datetime import date
from pathlib import Path

import pytest

from services.core.errors import PriceFileError
from services.core.prices import Symbol
from services.market.holdings import Holding, HoldingKind, Holdings
from services.market.sources.files.holdings import HoldingsFile, read_holdings_csv

WGMI = Symbol("WGMI")
JULY = date(2026, 7, 7)
CASH, SHARE, OTHER = HoldingKind.CASH, HoldingKind.SHARE, HoldingKind.OTHER
ISSUER = [
    "stockticker,securityname,cusip,shares,price,marketvalue,weightpercentage,netassets,date",
    "HIVE,Hive Digital Technologies Ltd,433921103,3404740.0,3.38,11508021.20,4.62%,248831880.0,2026/07/07",
    "Cash&Other,Cash & Other,Cash&Other,1234302.01,1.0,1234302.01,0.50%,248831880.0,2026/07/07",
]
HIVE = Holding(
    ticker="HIVE",
    weight=0.0462,
    name="Hive Digital Technologies Ltd",
    shares=3_404_740.0,
    market_value=11_508_021.2,
)


def read(folder: Path, *lines: str, as_of: date | None = None) -> HoldingsFile:
    path = folder / "wgmi.csv"
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return read_holdings_csv(path, WGMI, as_of)


def one(folder: Path, *lines: str, as_of: date | None = JULY) -> Holdings:
    (snapshot,) = read(folder, *lines, as_of=as_of).snapshots
    return snapshot


def weights(holdings: Holdings) -> dict[str, float]:
    return {f"{held.ticker} {held.exchange}".strip(): held.weight for held in holdings.positions}


def test_an_issuers_file_is_read(tmp_path: Path) -> None:
    holdings = one(tmp_path, *ISSUER, as_of=None)

    assert (WGMI, JULY, "wgmi.csv") == (holdings.fund, holdings.as_of, holdings.source)
    cash = Holding(
        ticker="Cash&Other",
        weight=0.005,
        kind=CASH,
        name="Cash & Other",
        shares=1_234_302.01,
        market_value=1_234_302.01,
    )
    assert (HIVE, cash) == holdings.positions


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["Ticker,Weight", "IREN,15.5%", "HUT,8%"], id="plain"),
        pytest.param(["WEIGHT (%), symbol", "15.5, IREN", "8.00, HUT"], id="another order and case"),
        pytest.param(["\ufeffTicker;% of Net Assets", "IREN;15.5", "HUT;8"], id="semicolons and a mark"),
        pytest.param(["Ticker\tWeightings", "IREN\t15.5 %", "HUT\t8 %"], id="tabs and a space before the sign"),
        pytest.param(["StockTicker,Weight,Price", "iren,15.5,60", "Hut,8,"], id="tickers in small letters"),
        pytest.param(["WGMI holdings", "", "Ticker,Weight", "IREN,15.5%", "HUT,8%"], id="text above"),
        pytest.param(["Ticker,Weight,,", "IREN,15.5%,,", ",,,", "HUT,8%,,", ""], id="blank lines and columns"),
        pytest.param(["Ticker,Weight", "IREN,15.5%,,", "HUT,8%", "Total,23.5%"], id="a total"),
        pytest.param(["Ticker,Name,Weight", "IREN,,15.5%", "HUT,,8%", ",Total,23.5%"], id="a total further right"),
        pytest.param(["Ticker,Weight", "IREN,15.5%", "HUT,8%", "Subject to change, at any time, so"], id="a footnote"),
    ],
)
def test_weights_are_read_by_ticker_in_any_layout(tmp_path: Path, lines: list[str]) -> None:
    assert {"IREN": 0.155, "HUT": 0.08} == weights(one(tmp_path, *lines))


def test_skipped_lines_are_reported(tmp_path: Path) -> None:
    found = read(
        tmp_path, "WGMI holdings", "Ticker,Weight", "IREN,15%", "Total,15%", "", "May change, soon, or not", as_of=JULY
    )

    assert ("line 1: WGMI holdings", "line 4: Total 15%", "line 6: May change soon or not") == found.skipped_lines


def test_a_share_with_the_ticker_sum_is_not_a_total(tmp_path: Path) -> None:
    assert {"SUM": 0.15} == weights(one(tmp_path, "Ticker,Name,Weight", "SUM,Summit Materials,15%"))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param('"3,404,740.50"', 3_404_740.5, id="thousands"),
        pytest.param("$12", 12.0, id="dollars"),
        pytest.param("-$12", -12.0, id="dollars below zero"),
        pytest.param("($1.5)", -1.5, id="brackets"),
        pytest.param("3.4E+06", 3_400_000.0, id="an exponent"),
        pytest.param("", None, id="empty"),
        pytest.param("N/A", None, id="not applicable"),
        pytest.param("--", None, id="dashes"),
    ],
)
def test_share_counts_are_parsed_in_spreadsheet_formats(tmp_path: Path, cell: str, expected: float | None) -> None:
    assert [expected] == [held.shares for held in one(tmp_path, "Ticker,Weight,Shares", f"IREN,15%,{cell}").positions]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("IREN US", ("IREN", "US", SHARE), id="an exchange behind a space"),
        pytest.param("hut cn equity", ("HUT", "CN", SHARE), id="in full"),
        pytest.param("ARB LN", ("ARB", "LN", SHARE), id="London"),
        pytest.param("HIVE.V", ("HIVE", "V", SHARE), id="an exchange behind a dot"),
        pytest.param("SSU.", ("SSU", "", SHARE), id="a dot alone"),
        pytest.param("BRK.B", ("BRK.B", "", SHARE), id="a class of share"),
        pytest.param("BRK/B US", ("BRK/B", "US", SHARE), id="a class and an exchange"),
        pytest.param("FGXXX", ("FGXXX", "", CASH), id="a money-market fund"),
        pytest.param("Cash&Other", ("Cash&Other", "", CASH), id="cash"),
        pytest.param("USD", ("USD", "", CASH), id="a currency"),
        pytest.param("IREN 12/18/26 C50", ("IREN 12/18/26 C50", "", OTHER), id="an option"),
        pytest.param("Q5782R109SWAP", ("Q5782R109SWAP", "", OTHER), id="some other number"),
    ],
)
def test_a_ticker_is_split_from_its_exchange(
    tmp_path: Path, written: str, expected: tuple[str, str, HoldingKind]
) -> None:
    (held,) = one(tmp_path, "Ticker,Weight", f"{written},15%").positions

    assert expected == (held.ticker, held.exchange, held.kind)


@pytest.mark.parametrize(
    ("ticker", "name", "expected"),
    [
        pytest.param("CASH", "Pathward Financial Inc", SHARE, id="a share whose ticker is CASH"),
        pytest.param("CASH", "Cash", CASH, id="cash whose ticker is CASH"),
        pytest.param("FCFS", "FirstCash Holdings", SHARE, id="a share with cash in its name"),
        pytest.param("", "US DOLLARS", CASH, id="a currency without a ticker"),
        pytest.param("n/a", "Receivable", OTHER, id="something without a ticker"),
    ],
)
def test_holdings_are_classified_by_ticker_and_name(
    tmp_path: Path, ticker: str, name: str, expected: HoldingKind
) -> None:
    (held,) = one(tmp_path, "Ticker,Name,Weight", f"{ticker},{name},15%").positions

    assert (name, expected) == (held.name, held.kind)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        pytest.param(["60%", "38%", "1%"], [0.6, 0.38, 0.01], id="percent by its sign"),
        pytest.param(["60", "38", "1"], [0.6, 0.38, 0.01], id="percent by the sum"),
        pytest.param(["0.6", "0.38", "0.01"], [0.6, 0.38, 0.01], id="fractions by the sum"),
        pytest.param(["15", "8.25", "-0.5"], [0.15, 0.0825, -0.005], id="a part in percent, with a debt"),
        pytest.param(["0.5%", "0.1%", "0.4%"], [0.005, 0.001, 0.004], id="a small part by its sign"),
        pytest.param(["60%", "38%", "0"], [0.6, 0.38, 0.0], id="nothing needs no sign"),
    ],
)
def test_the_weight_unit_is_detected(tmp_path: Path, cells: list[str], expected: list[float]) -> None:
    rows = [f"T{index},{cell}" for index, cell in enumerate(cells)]

    assert expected == [held.weight for held in one(tmp_path, "Ticker,Weight", *rows).positions]


@pytest.mark.parametrize("written", ["2026-07-07", "2026/07/07", "07/07/2026", "7/7/2026", "2026-07-07T00:00:00"])
def test_the_date_in_the_file_is_used(tmp_path: Path, written: str) -> None:
    assert JULY == one(tmp_path, "Effective Date,Ticker,Weight", f"{written},IREN,15%", as_of=None).as_of


def test_a_file_of_several_days_is_read_oldest_first(tmp_path: Path) -> None:
    found = read(tmp_path, "Date,Ticker,Weight", "07/08/2026,IREN,16%", "07/07/2026,IREN,15%", "07/07/2026,HUT,8%")

    assert [(JULY, {"IREN": 0.15, "HUT": 0.08}), (date(2026, 7, 8), {"IREN": 0.16})] == [
        (holdings.as_of, weights(holdings)) for holdings in found.snapshots
    ]


def test_several_cash_lines_are_kept(tmp_path: Path) -> None:
    holdings = one(tmp_path, "Ticker,Name,Weight", "IREN,,98%", "USD,Cash,1%", "USD,Cash,0.5%")

    assert pytest.approx(0.015) == holdings.cash


def test_a_share_on_two_exchanges_is_two_holdings(tmp_path: Path) -> None:
    assert {"HUT": 0.08, "HUT CN": 0.02} == weights(one(tmp_path, "Ticker,Weight", "HUT,8%", "HUT CN,2%"))


LIST = "Ticker,Weight,Shares,Date"


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        pytest.param(["Name,Price", "IREN,60"], 1, "names no columns of tickers and weights. Use a CSV", id="columns"),
        pytest.param([""], 1, "names no columns", id="empty"),
        pytest.param(["Date,Close", "2026-07-07,x"], 2, "the weight “x” isn't a number", id="prices, it seems"),
        pytest.param(["Date,IREN", "2026-07-07,60"], None, "the line for 2026-07-07 adds up to 60.0%", id="prices"),
        pytest.param([LIST], None, "has column names but no holdings", id="no lines"),
        pytest.param(["Ticker,Symbol,Weight", "A,B,1"], 1, "“Ticker” and “Symbol” both name the ticker", id="twice"),
        pytest.param([LIST, "IREN,15%,1,000,2026-07-07"], 2, "has 5 columns, but line 1 names 4", id="bare thousands"),
        pytest.param([LIST, "IREN,15%"], 2, "has 2 columns, but line 1 names 4. Fix it", id="cut off"),
        pytest.param([LIST, "IREN,,,"], 2, "has no date. Add the date", id="no day"),
        pytest.param([LIST, "IREN,15%,,28/02/2026"], 2, "“28/02/2026” isn't a valid date", id="day first"),
        pytest.param([LIST, "IREN,15%,,0202-07-07"], 2, "isn't a valid date", id="a mistyped year"),
        pytest.param(
            [LIST, "IREN,,,2026-07-07"], 2, "the weight is missing. Write weights as in 4.62%", id="no weight"
        ),
        pytest.param([LIST, 'IREN,"15,5",,2026-07-07'], 2, "the weight “15,5” isn't a number", id="decimal comma"),
        pytest.param([LIST, "IREN,1e999,,2026-07-07"], 2, "the weight “1e999” isn't a number", id="beyond measure"),
        pytest.param([LIST, "IREN,15%,many,2026-07-07"], 2, "the shares “many” isn't a number", id="shares"),
        pytest.param([LIST, ",15%,,2026-07-07"], 2, "doesn't name a holding. Name the holding, or", id="no name"),
        pytest.param(
            [LIST, "IREN,15%,,2026-07-07", "IREN US,15%,,2026-07-07"],
            3,
            "IREN is already listed for 2026-07-07, on line 2. Use one line per ticker",
            id="listed twice",
        ),
        pytest.param(
            [LIST, "IREN,15%,,2026-07-07", "HUT,8,,2026-07-07"],
            3,
            "mixes weights with and without %. Put a % after",
            id="signs here and there",
        ),
        pytest.param(
            [LIST, "IREN,0.4,,2026-07-07", "HUT,0.2,,2026-07-07"],
            None,
            "the weights of 2026-07-07 add up to 0.6, which may be percent or fractions",
            id="percent or fractions",
        ),
        pytest.param([LIST, "IREN,0,,2026-07-07"], None, "add up to 0, which may be", id="no weights at all"),
        pytest.param(
            [LIST, "IREN,15%,,2026-07-07", "HUT,800%,,2026-07-07"],
            3,
            "the weight 800 is more than the whole fund",
            id="more than the fund",
        ),
        pytest.param(
            [LIST, "IREN,99%,,2026-07-07", "Everything,99%,,2026-07-07"],
            None,
            "the weights of 2026-07-07 add up to 198%. Delete totals",
            id="a total that was not known as one",
        ),
        pytest.param([LIST, '"IREN,15%,,2026-07-07'], 2, "a quote isn't closed", id="a quote"),
        pytest.param([",IREN,HUT", "2026-07-07,0,"], 2, "holds nothing. Delete the line", id="a day without holdings"),
        pytest.param(
            [",IREN,IREN US", "2026-07-07,60,40"], 2, "IREN is already listed for 2026-07-07", id="a column twice"
        ),
    ],
)
def test_an_ambiguous_file_reports_its_line(tmp_path: Path, lines: list[str], line: int | None, message: str) -> None:
    with pytest.raises(PriceFileError) as caught:
        read(tmp_path, *lines)

    where = f"{tmp_path / 'wgmi.csv'}, line {line}: " if line else f"{tmp_path / 'wgmi.csv'}: "
    assert str(caught.value).startswith(where)
    assert message in str(caught.value)


def test_a_long_cell_is_cut_where_it_is_quoted(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError) as caught:
        read(tmp_path, LIST, f"IREN,{'x' * 5_000},,2026-07-07")
    found = read(tmp_path, f"Holdings {'y' * 5_000}", LIST, "IREN,100%,,2026-07-07")

    assert f"the weight “{'x' * 199}…” isn't a number" in str(caught.value)
    assert (f"line 1: Holdings {'y' * 190}…",) == found.skipped_lines


def test_an_as_of_date_that_contradicts_the_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PriceFileError, match=r"line 2: is dated 2026-07-07, but --as-of says 2026-07-08\. Omit"):
        read(tmp_path, *ISSUER, as_of=date(2026, 7, 8))


def test_a_grid_file_gives_each_day(tmp_path: Path) -> None:
    found = read(
        tmp_path, "Date,IREN,HUT.TO,Cash,n/a,SUM", "02/28/2022,60,38,1.5,0.5,100", "03/03/2022,99.5,0.0,,,99.5"
    )

    first, second = found.snapshots
    assert {"IREN": 0.6, "HUT TO": 0.38, "CASH": 0.015, "": 0.005} == weights(first)
    assert [SHARE, SHARE, CASH, OTHER] == [held.kind for held in first.positions]
    assert (date(2022, 3, 3), {"IREN": 0.995}) == (second.as_of, weights(second))


def test_the_weights_of_2022_are_read(data: Path) -> None:
    found = read_holdings_csv(data / "holdings" / "wgmi_weights_2022.csv", WGMI)

    assert 9 == len(found.snapshots)
    assert all(abs(holdings.unexplained) < 0.001 for holdings in found.snapshots)
    first, last = found.snapshots[0], found.snapshots[-1]
    assert (date(2022, 2, 28), 20, 0.1204) == (first.as_of, len(first.positions), weights(first)["CLSK"])
    assert (date(2022, 7, 18), 24, 0.0833) == (last.as_of, len(last.positions), weights(last)["BITF TO"])
