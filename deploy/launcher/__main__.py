"""Entry point of the installed `minerpulse` command."""

import sys
from pathlib import Path

APP = Path(__file__).with_name("app")  # in a wheel; an editable install finds the packages in the checkout


def main() -> None:
    """Run the command, with the app's packages first on the import path."""
    if APP.is_dir():
        sys.path.insert(0, str(APP))
    from bot.cli import main as run  # noqa: PLC0415 -- found once the path is set

    run()


if __name__ == "__main__":
    main()
