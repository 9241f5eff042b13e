"""Token pairs on disk until the database has them: Slack issues each pair once, and the database may be locked."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from pydantic import TypeAdapter, ValidationError

from services.core.installation import Installation

_PAIR = TypeAdapter(tuple[Installation, Installation])


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSpool:
    """One encrypted file per installation, which its owner alone can read, named by `prefix` and the installation.

    Without a `prefix` nothing is stored. A file holds the installation as it was claimed and as it was renewed.
    """

    prefix: Path | None
    encrypt: Callable[[str], str] = field(repr=False)
    decrypt: Callable[[str], str] = field(repr=False)

    def path_of(self, home: str) -> Path | None:
        """Return the file of an installation, whether it exists or not."""
        return None if self.prefix is None else self.prefix.with_name(f"{self.prefix.name}{quote(home, safe='')}")

    def write(self, claimed: Installation, renewed: Installation) -> None:
        """Write the file at once or not at all. Raises OSError."""
        path = self.path_of(renewed.home)
        if path is None:
            return
        temporary = path.with_name(f".{path.name}.new")
        content = self.encrypt(_PAIR.dump_json((claimed, renewed)).decode()).encode()
        try:
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def remove(self, home: str) -> None:
        """Delete the file, if there is one. Raises OSError."""
        path = self.path_of(home)
        if path is not None:
            path.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """Return the files that exist."""
        if self.prefix is None or not self.prefix.parent.is_dir():
            return []
        return sorted(path for path in self.prefix.parent.iterdir() if path.name.startswith(self.prefix.name))

    def read(self, path: Path) -> tuple[Installation, Installation]:
        """Return the claimed and the renewed installation. Raises DatabaseUnavailableError, OSError, ValueError."""
        try:
            return _PAIR.validate_json(self.decrypt(path.read_text(encoding="ascii")))
        except ValidationError as error:  # pydantic's message would quote the tokens
            raise ValueError("it has no token pair") from error.with_traceback(None)
