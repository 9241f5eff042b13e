import gzip
import io
import zipfile
from pathlib import Path

import pytest

from services.core.errors import PriceFileError
from services.market.sources.files import csv_table
from services.market.sources.files.csv_table import read_text

TEXT = b"Date,Close\n2026-01-02,5\n"
ENDLESS = b"1" * 30_000_000  # 30 times the limit of the test below


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, TEXT)
    return file.getvalue()


def encrypted() -> bytes:
    content = bytearray(zipped("prices.csv"))
    content[6] |= 1  # the flag of the file, and of its entry in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def of_unknown_compression() -> bytes:
    content = bytearray(zipped("prices.csv"))
    content[8] = content[content.index(b"PK\x01\x02") + 10] = 99
    return bytes(content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(
            gzip.compress(TEXT)[:-9], "is damaged and can't be unpacked. Download it again.", id="gzip-cut-off"
        ),
        pytest.param(b"\x1f\x8b\x08junk" * 9, "is damaged and can't be unpacked. Download it again.", id="gzip-junk"),
        pytest.param(zipped("a.csv")[:-9], "is damaged and can't be unpacked. Download it again.", id="zip-cut-off"),
        pytest.param(
            encrypted(), "is encrypted, or uses an unsupported compression method. Unpack it", id="zip-with-a-password"
        ),
        pytest.param(
            of_unknown_compression(),
            "is encrypted, or uses an unsupported compression method. Unpack it",
            id="zip-unknown",
        ),
        pytest.param(zipped("a.csv", "b.csv"), "holds 2 files: a.csv, b.csv. Use a .zip with one CSV", id="two-files"),
        pytest.param(
            zipped(*"abcdef"), "holds 6 files: a, b, c, d, e, …. Use a .zip with one CSV file.", id="six-files"
        ),
        pytest.param(zipped(".DS_Store"), "holds no file. Use a .zip with one CSV file.", id="no-file"),
        pytest.param(
            zipped(*map(str, range(1_001))), "holds more than 1,000 files. Use a .zip", id="a-large-directory"
        ),
        pytest.param(zipped("[Content_Types].xml", "xl/a.xml"), "is an Excel workbook. Save it as CSV", id="excel"),
    ],
)
def test_what_cannot_be_unpacked_is_refused_with_the_reason(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "prices"
    path.write_bytes(content)

    with pytest.raises(PriceFileError) as caught:
        read_text(path)

    assert message in str(caught.value)


def test_a_small_file_that_unpacks_to_much_is_refused_without_reading_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_table, "MAX_FILE_BYTES", 1_000_000)
    path = tmp_path / "prices"
    for packed in (gzip.compress(ENDLESS)[:-8] + b"damaged!", _damaged_bomb()):
        path.write_bytes(packed)

        with pytest.raises(PriceFileError, match="is larger than 1 MB"):
            read_text(path)


def _damaged_bomb() -> bytes:
    """Return a zip whose checksum is wrong, which only shows at the end of the file in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("prices.csv", ENDLESS)
    content = bytearray(file.getvalue())
    content[14:18] = b"oops"
    entry = content.index(b"PK\x01\x02")
    content[entry + 16 : entry + 20] = b"oops"
    return bytes(content)


def test_a_file_of_too_many_lines_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_table, "MAX_ROWS", 3)
    path = tmp_path / "prices"
    path.write_text("a,b\n1,2\n3,4\n5,6\n7,8\n")

    with pytest.raises(PriceFileError, match="line 4: the file has more than 3 lines"):
        csv_table.read_table(path).raise_first_fault()
