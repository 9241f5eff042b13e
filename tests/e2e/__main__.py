"""One day of a trader, in a browser: `python -m tests.e2e http|socket PROGRAM FOLDER`, in a network of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.browser import Trader, trader
from tests.e2e.loopback import bring_up
from tests.e2e.process import minerpulse, stand_in

RULE = "20d 0.1pp at close"  # past its threshold at almost any close


def main(mode: str, program: Path, folder: Path) -> None:
    """Go through the day; a step that does not come raises."""
    bring_up()
    http = mode == "http"
    with (
        stand_in(program, http=http) as slack,
        minerpulse(slack, folder, http=http),
        trader(slack.origin, folder) as it,
    ):
        start(it)
        add_a_rule(it)
        see_to_the_alert(it)
        use_the_editor(it)
        look_at_home(it)


def start(it: Trader) -> None:
    """Look at the board of a channel without rules, and start the usual ones."""
    it.types("/minerpulse")
    board = it.sees("No alerts in this channel yet")
    it.photographs("board")
    it.presses("Start alerts here", board)
    it.sees("come here from now on")
    it.photographs("started")


def add_a_rule(it: Trader) -> None:
    """Type a rule that fires at the next look at the market."""
    it.types(f"/minerpulse rule add {RULE}")
    it.sees("is added")


def see_to_the_alert(it: Trader) -> None:
    """Acknowledge the alert, and end it."""
    alert = it.sees("Why:")
    it.photographs("alert")
    it.presses("Acknowledge", alert)
    acknowledged = it.sees("Acknowledged by")
    it.photographs("acknowledged")
    it.presses("Resolve", acknowledged)
    it.sees("Resolved after")
    it.photographs("resolved")


def use_the_editor(it: Trader) -> None:
    """Open the form, have a wrong field refused beneath it, and save a rule.

    The stand-in tells nothing of what is typed before the form is sent, so that the preview stays as it opens.
    """
    it.types("/minerpulse rule add")
    it.sees_in_form("would have fired")
    it.photographs("editor")
    it.fills_in("Window", "5d: 5 sessions")
    it.fills_in("Threshold", "much")
    it.submits()
    it.sees_in_form("Cannot read “much”")
    it.photographs("refused")
    it.fills_in("Threshold", "12")
    it.submits()
    it.sees("5d 12pp is added")
    it.photographs("saved")


def look_at_home(it: Trader) -> None:
    """Find the market and the channel with its rules on the Home tab."""
    told = it.opens_home()
    if missing := [words for words in ("bitcoin", "Your channels", "5d 12pp") if words not in told]:
        raise AssertionError(f"Home lacks {missing}: {told}")
    it.photographs("home")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
