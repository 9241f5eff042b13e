"""Entry point of `python -m bot`, which is the `minerpulse` command."""

from __future__ import annotations

from bot.cli import main

if __name__ == "__main__":
    main()
