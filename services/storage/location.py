"""Where the database is if no URL names it."""

from pathlib import Path

import platformdirs

DEFAULT_NAME = "minerpulse.db"


def data_folder() -> Path:
    """Return the folder for this user's data: $XDG_DATA_HOME/minerpulse on Linux, or what the system has instead."""
    return platformdirs.user_data_path("minerpulse", appauthor=False)


def default_url() -> str:
    """Return the URL of the database in the working directory if it exists, or else in the data folder."""
    here = Path(DEFAULT_NAME)
    return f"sqlite:///{here if here.exists() else data_folder() / DEFAULT_NAME}"


def is_in_data_folder(path: Path) -> bool:
    """Return whether a file belongs directly in the data folder, which MinerPulse creates."""
    return path.parent == data_folder()


def create_data_folder(path: Path | None) -> None:
    """Create the data folder, for its owner alone, if a file belongs in it; no other folder is ever created."""
    if path is not None and is_in_data_folder(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
