from pathlib import Path

import numpy as np
import pytest

from services.core.errors import PriceFileError
from services.market.sources.files.csv_table import Fault, first_fault, read_table


def save(folder: Path, content: str | bytes) -> Path:
    path = folder / "prices.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_error(path: Path) -> PriceFileError:
    with pytest.raises(PriceFileError) as caught:
        read_table(path).raise_first_fault()
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
    table.raise_first_fault()

    assert (["2026-01-02"], ["5"]) == (table.column("date"), table.column("close"))
    assert table.has("date", "close")
    assert not table.has("date", "open")


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        pytest.param("", 1, "is empty", id="empty"),
        pytest.param("\ufeff", 1, "is empty", id="only-a-mark"),
        pytest.param("\nDate,Close\n", 1, "is empty", id="first-line-blank"),
        pytest.param("Date,Close\n", None, "has column names but no prices", id="header-only"),
        pytest.param("Date,Close\n\n\n", None, "has column names but no prices", id="header-and-blanks"),
        pytest.param("a,b\n1,2\n3\n", 3, "has 1 columns, but the first line names 2", id="too-few-columns"),
        pytest.param("a,b\n1,2\n3,4,5\n", 3, "has 3 columns, but the first line names 2", id="too-many-columns"),
        pytest.param("a,b\n1,2\n\n3,4\n", 3, "is blank", id="blank-line-between"),
        pytest.param('a,b\n1,2\n3,"4\n5,6\n', 3, "a quote isn't closed", id="quote-never-closed"),
        pytest.param('a,b\n1,2\n3,"4\n"\n5,6\n', 3, "a quote isn't closed", id="quote-closed-a-line-later"),
        pytest.param('a,b\n1,"2"x\n', 2, "a quote isn't closed, or has text after it", id="text-after-a-quote"),
        pytest.param('"a,b\n1,2\n', 1, "a quote isn't closed", id="quote-in-the-first-line"),
        pytest.param(f"a,b\n1,{'2' * 200_000}\n", 2, "a cell has more than 131,072 characters", id="cell-too-long"),
        pytest.param(b"\xff" * 64_000_001, None, "is larger than 64 MB", id="file-too-large"),
        pytest.param(b"a,b\n1,2\n3,\xff\n", 3, "isn't UTF-8 text", id="latin-1"),
        pytest.param("Date,Close\n2026-01-02,5\n".encode("utf-16"), 1, "isn't UTF-8 text", id="utf-16"),
    ],
)
def test_a_broken_file_reports_the_line(tmp_path: Path, content: str | bytes, line: int | None, message: str) -> None:
    path = save(tmp_path, content)

    error = read_error(path)

    assert line == error.line
    assert message in str(error)
    assert str(error).startswith(f"{path}, line {line}: " if line else f"{path}: ")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    assert "nowhere.csv: does not exist. Check the path." in str(read_error(tmp_path / "nowhere.csv"))


def test_a_directory_is_reported(tmp_path: Path) -> None:
    assert "is a directory. Name one CSV file in it." in str(read_error(tmp_path))


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)

    assert "can't be read (Too many levels of symbolic links). Check its permissions." in str(read_error(loop))


def test_a_duplicate_column_is_reported(tmp_path: Path) -> None:
    table = read_table(save(tmp_path, "date,close,Close\n2026-01-02,5,6\n"))

    with pytest.raises(PriceFileError, match="line 1: two columns are named “close”"):
        table.column("close")


def test_the_first_bad_line_is_reported_for_any_fault(tmp_path: Path) -> None:
    table = read_table(save(tmp_path, "date,close\n1,1\n2,2\n3,3\n4\n"))
    late = Fault(line=4, problem="late", remedy="Wait")
    early = Fault(line=3, problem="early", remedy="Hurry")

    with pytest.raises(PriceFileError, match=r"line 3: early\. Hurry\."):
        table.raise_first_fault(late, None, early)


def test_a_false_mask_has_no_fault() -> None:
    assert first_fault([2, 3], np.array([False, False]), str, "") is None


def test_the_first_true_row_of_a_mask_is_its_fault() -> None:
    assert Fault(line=3, problem="1", remedy="Mend") == first_fault(
        [2, 3, 4], np.array([False, True, True]), str, "Mend"
    )


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs /dev/zero, a device without an end")
def test_a_device_without_an_end_is_refused() -> None:
    assert str(read_error(Path("/dev/zero"))) == (
        "/dev/zero: is larger than 64 MB. Check the path, or use a file with fewer rows."
    )
