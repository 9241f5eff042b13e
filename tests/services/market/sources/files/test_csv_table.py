from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from services.core.errors import PriceFileError
from services.market.sources.files.csv_table import Fault, first_fault, read_table


def save(folder: Path, content: str | bytes) -> Path:
    path = folder / "prices.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def complaint(path: Path) -> PriceFileError:
    with pytest.raises(PriceFileError) as caught:
        read_table(path).check()
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("Date,Close\n2026-01-02,5\n", id="unix"),
        pytest.param("Date,Close\r\n2026-01-02,5\r\n", id="windows"),
        pytest.param("Date,Close\r2026-01-02,5\r", id="old-mac"),
        pytest.param("\ufeffDate,Close\n2026-01-02,5\n", id="byte-order-mark"),
        pytest.param("Date,Close\n2026-01-02,5", id="no-last-newline"),
        pytest.param("Date,Close\n2026-01-02,5\n\n  \n,\n", id="blank-lines-at-the-end"),
        pytest.param(" date , CLOSE \n2026-01-02, 5\n", id="spaces-and-letter-case"),
        pytest.param('"Date","Close"\n"2026-01-02","5"\n', id="quotes"),
    ],
)
def test_columns_are_read_by_name(tmp_path: Path, content: str) -> None:
    table = read_table(save(tmp_path, content))
    table.check()

    assert (["2026-01-02"], ["5"]) == (table.column("date"), table.column("close"))
    assert table.has("date", "close")
    assert not table.has("date", "open")


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        pytest.param("", 1, "is empty", id="empty"),
        pytest.param("\ufeff", 1, "is empty", id="only-a-mark"),
        pytest.param("\nDate,Close\n", 1, "is empty", id="first-line-blank"),
        pytest.param("Date,Close\n", None, "has column names but no prices", id="header-only"),
        pytest.param("Date,Close\n\n\n", None, "has column names but no prices", id="header-and-blanks"),
        pytest.param("a,b\n1,2\n3\n", 3, "has 1 columns, but the first line names 2", id="too-few-columns"),
        pytest.param("a,b\n1,2\n3,4,5\n", 3, "has 3 columns, but the first line names 2", id="too-many-columns"),
        pytest.param("a,b\n1,2\n\n3,4\n", 3, "is blank", id="blank-line-between"),
        pytest.param('a,b\n1,2\n3,"4\n5,6\n', 3, "a quote is not closed", id="quote-never-closed"),
        pytest.param('a,b\n1,2\n3,"4\n"\n5,6\n', 3, "a quote is not closed", id="quote-closed-a-line-later"),
        pytest.param('a,b\n1,"2"x\n', 2, "a quote is not closed, or has text after it", id="text-after-a-quote"),
        pytest.param('"a,b\n1,2\n', 1, "a quote is not closed", id="quote-in-the-first-line"),
        pytest.param(b"a,b\n1,2\n3,\xff\n", 3, "is not UTF-8 text", id="latin-1"),
        pytest.param("Date,Close\n2026-01-02,5\n".encode("utf-16"), 1, "is not UTF-8 text", id="utf-16"),
    ],
)
def test_a_broken_file_names_the_line(tmp_path: Path, content: str | bytes, line: int | None, words: str) -> None:
    path = save(tmp_path, content)

    error = complaint(path)

    assert line == error.line
    assert words in str(error)
    assert str(error).startswith(f"{path}, line {line}: " if line else f"{path}: ")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "nowhere.csv: does not exist. Check the path." in str(complaint(tmp_path / "nowhere.csv"))


def test_a_directory_is_told(tmp_path: Path) -> None:
    assert "is a directory. Name one CSV file in it." in str(complaint(tmp_path))


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)

    assert "cannot be read (Too many levels of symbolic links). Check its permissions." in str(complaint(loop))


def test_a_column_that_is_there_twice_is_told(tmp_path: Path) -> None:
    table = read_table(save(tmp_path, "date,close,Close\n2026-01-02,5,6\n"))

    with pytest.raises(PriceFileError, match="line 1: two columns are named “close”"):
        table.column("close")


def test_the_first_line_at_fault_is_told_whatever_the_fault(tmp_path: Path) -> None:
    table = read_table(save(tmp_path, "date,close\n1,1\n2,2\n3,3\n4\n"))
    late = Fault(row=2, problem="late", remedy="Wait")
    early = Fault(row=1, problem="early", remedy="Hurry")

    with pytest.raises(PriceFileError, match=r"line 3: early\. Hurry\."):
        table.check(late, None, early)


def test_a_mask_without_faults_has_none() -> None:
    assert first_fault(np.array([False, False]), str, "") is None


def test_a_masks_first_row_is_its_fault() -> None:
    assert Fault(row=1, problem="1", remedy="Mend") == first_fault(np.array([False, True, True]), str, "Mend")
