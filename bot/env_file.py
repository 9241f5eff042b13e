"""The file that settings are read from besides the environment; it is not read here, so that help stays fast."""

from contextvars import ContextVar
from pathlib import Path

env_file: ContextVar[Path] = ContextVar("env_file", default=Path(".env"))
