"""Contents of files as they are, or out of .gz and .zip, never more than a limit."""

import gzip
import io
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from services.core.errors import PriceFileError

GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
ZIP_ENTRY = b"PK\x01\x02"  # begins each entry of a zip's directory
MAX_ENTRIES = 1_000  # the directory is read into memory as a whole
MAX_NAMED = 5  # files of a zip that an error names


def unpack(path: Path, content: bytes, limit: int) -> bytes:
    """Return the contents of a file, at most `limit` + 1 bytes; .gz and .zip are known by their first bytes.

    Raises PriceFileError if it is damaged or encrypted, or if a zip doesn't hold exactly one file.
    """
    try:
        if content.startswith(GZIP):
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
                return file.read(limit + 1)
        if content.startswith(ZIP):
            return _unzip(path, content, limit)
    except (EOFError, OSError, zlib.error, zipfile.BadZipFile) as error:
        raise PriceFileError(path, "is damaged and can't be unpacked", remedy="Download it again") from error
    except (NotImplementedError, RuntimeError) as error:  # an unknown compression, or a password
        problem = "is encrypted, or uses an unsupported compression method"
        raise PriceFileError(path, problem, remedy="Unpack it and use the CSV file inside") from error
    return content


def _unzip(path: Path, content: bytes, limit: int) -> bytes:
    if content.count(ZIP_ENTRY) > MAX_ENTRIES:
        raise PriceFileError(path, f"holds more than {MAX_ENTRIES:,} files", remedy="Use a .zip with one CSV file")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = [entry.filename for entry in archive.infolist() if not entry.is_dir() and not _is_hidden(entry)]
        if "[Content_Types].xml" in names:
            raise PriceFileError(path, "is an Excel workbook", remedy="Save it as CSV in UTF-8")
        if len(names) != 1:
            listed = ", ".join(names[:MAX_NAMED]) + (", …" if len(names) > MAX_NAMED else "")
            problem = f"holds {len(names)} files: {listed}" if names else "holds no file"
            raise PriceFileError(path, problem, remedy="Use a .zip with one CSV file")
        with archive.open(names[0]) as file:
            return file.read(limit + 1)


def _is_hidden(entry: zipfile.ZipInfo) -> bool:
    """Return whether a file was added by the system that packed the zip, as macOS does."""
    return any(part == "__MACOSX" or part.startswith(".") for part in PurePosixPath(entry.filename).parts)
