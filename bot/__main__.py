"""Entry point of `python -m bot`, which is the `minerpulse` command."""

from bot.cli import main

if __name__ == "__main__":
    main()
