from datetime import date
from pathlib import Path

import pytest

from services.core.errors import PriceFileError
from services.market.mining_power import Machine
from services.market.sources.files.machines import read_machines

HEAD = "Machine,Released,J/TH,AsOf,Source\n"


def test_the_default_table_has_a_date_and_a_source_for_every_machine() -> None:
    machines = read_machines()
    assert all(one.source and date(2016, 6, 1) <= one.released and one.as_of < date(2026, 11, 1) for one in machines)
    by_name = {one.name: one.efficiency for one in machines}
    expected = {"Antminer S9 (13.5 TH/s)": 98.0, "Antminer S21 (200 TH/s)": 17.5, "Antminer S23 Hyd (580 TH/s)": 9.5}
    assert expected == {name: by_name[name] for name in expected}


def test_a_custom_table_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(f"{HEAD}Prototype,2026-10-01,8.5,2026-10-02,our lab\n", encoding="utf-8")
    expected = Machine(
        name="Prototype", released=date(2026, 10, 1), efficiency=8.5, as_of=date(2026, 10, 2), source="our lab"
    )
    assert (expected,) == read_machines(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "Machine,Released,J/GH,AsOf,Source\nA,2026-10-01,0.0295,2026-10-01,us\n",
            "line 1: lacks a column. Name the columns Machine, Released, J/TH (joules per terahash), AsOf and Source",
            id="another unit",
        ),
        pytest.param(
            f"{HEAD}A,2026-10-01,0.0295,2026-10-01,us\n",
            "line 2: 0.0295 J/TH looks like J/GH. Multiply by 1,000: 29.5.",
            id="joules per gigahash",
        ),
        pytest.param(
            f"{HEAD}A,2026-10-01,3250,2026-10-01,us\n",
            "line 2: 3250 isn't between 1 and 1,000 J/TH. Divide the power in W by the hash rate in TH/s.",
            id="watts",
        ),
        pytest.param(
            f"{HEAD}A,2026-10-01,-5,2026-10-01,us\n", "line 2: -5 isn't between 1 and 1,000 J/TH", id="negative"
        ),
        pytest.param(
            f"{HEAD}A,2026-10-01,nan,2026-10-01,us\n", "line 2: nan isn't between 1 and 1,000 J/TH", id="not finite"
        ),
        pytest.param(
            f"{HEAD}A,2026-10-01,17.5 J/TH,2026-10-01,us\n",
            "line 2: “17.5 J/TH” isn't a number. Write J/TH without a unit, as in 17.5.",
            id="with a unit",
        ),
        pytest.param(f"{HEAD}A,Oct 2026,17.5,2026-10-01,us\n", "line 2: “Oct 2026” isn't a date", id="release"),
        pytest.param(f"{HEAD}A,2026-10-01,17.5,,us\n", "line 2: “” isn't a date", id="as of"),
        pytest.param(f"{HEAD}A,2026-10-01,17.5,2026-10-01,\n", "line 2: the machine or the source", id="source"),
        pytest.param(
            f"{HEAD}A,2026-10-01,17.5,2026-10-01,us\na,2026-10-01,17.5,2026-10-01,us\n",
            "line 3: “a” is listed twice. Keep one line for each machine.",
            id="twice",
        ),
        pytest.param(f"{HEAD}A,2026-10-01,17.5,2026-10-01,us\nB,2026\n", "line 3: has 2 columns", id="ragged"),
    ],
)
def test_a_bad_line_is_reported(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PriceFileError) as refused:
        read_machines(path)
    assert message in str(refused.value)
