"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place, then put it there, so that nobody finds half of it. Raises ClickException."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as beside:
            try:
                beside.write(content)
                beside.flush()
                os.fsync(beside.fileno())
                Path(beside.name).chmod(0o666 & ~_umask())
                Path(beside.name).replace(path)
            except BaseException:
                Path(beside.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror}. Choose another place with -o.") from error
    click.echo(f"{path}: {len(content):,} bytes.", err=True)


def _umask() -> int:
    """Read what new files are made without; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
