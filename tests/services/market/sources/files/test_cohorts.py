from datetime import date
from pathlib import Path

import pytest

from services.core.errors import PriceFileError
from services.market.holdings import Cohort, Membership
from services.market.sources.files.cohorts import read_cohorts

HEAD = "Ticker,Cohort,AsOf,Source\n"


def test_the_default_file_has_a_date_and_a_source_for_every_share() -> None:
    found = read_cohorts()
    assert {Cohort.CONTRACTED, Cohort.TRANSITION, Cohort.PURE} == {one.cohort for one in found.values()}
    assert all(one.source and one.as_of < date(2026, 11, 1) for one in found.values())
    assert Cohort.CONTRACTED is found["IREN"].cohort


def test_a_custom_file_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEAD}mara,pure play,2026-10-01,our desk\n", encoding="utf-8")
    expected = Membership(ticker="MARA", cohort=Cohort.PURE, as_of=date(2026, 10, 1), source="our desk")
    assert {"MARA": expected} == read_cohorts(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "Ticker,Cohort\nMARA,pure play\n", "lacks a column. Name the columns Ticker, Cohort, AsOf", id="column"
        ),
        pytest.param(f"{HEAD}MARA,AI,2026-10-01,us\n", "line 2: “AI” isn't a cohort. Choose one of: ", id="cohort"),
        pytest.param(f"{HEAD}MARA,pure play,1.10.26,us\n", "line 2: “1.10.26” isn't a date", id="date"),
        pytest.param(f"{HEAD}MARA,pure play,2026-10-01,\n", "line 2: a ticker or a source is missing", id="source"),
        pytest.param(f"{HEAD}A,other,2026-10-01,us\nA,other,2026-10-01,us\n", "line 3: A is listed twice", id="twice"),
        pytest.param(f'{HEAD}A,other,2026-10-01,us\nB,other,"2026', "line 3: ", id="broken"),
    ],
)
def test_a_bad_line_is_reported(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PriceFileError) as refused:
        read_cohorts(path)
    assert message in str(refused.value)
