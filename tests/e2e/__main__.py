"""A trader's day in a browser: `python -m tests.e2e http|socket PROGRAM FOLDER`, in its own network namespace."""

import sys
from pathlib import Path

from tests.e2e.browser import Trader, open_browser
from tests.e2e.process import enable_loopback, run_minerpulse, run_slack_emulator

RULE = "20d 0.1pp at close"  # fires at almost any close


def main(mode: str, program: Path, folder: Path) -> None:
    """Run all steps; a failing step raises."""
    enable_loopback()
    http = mode == "http"
    with (
        run_slack_emulator(program, http=http) as slack,
        run_minerpulse(slack, folder, http=http),
        open_browser(slack.origin, folder) as trader,
    ):
        start(trader)
        add_a_rule(trader)
        handle_alert(trader)
        use_rule_editor(trader)
        open_home(trader)


def start(trader: Trader) -> None:
    """Open the board of a channel without rules, and add the default ones."""
    trader.send("/minerpulse")
    board = trader.wait_for("No alerts in this channel yet")
    trader.screenshot("board")
    trader.press("Start alerts here", board)
    trader.wait_for("come here from now on")
    trader.screenshot("started")


def add_a_rule(trader: Trader) -> None:
    """Add a rule that fires at the next tick."""
    trader.send(f"/minerpulse rule add {RULE}")
    trader.wait_for("is added")


def handle_alert(trader: Trader) -> None:
    """Acknowledge and resolve the alert."""
    alert = trader.wait_for("Why:")
    trader.screenshot("alert")
    trader.press("Acknowledge", alert)
    acknowledged = trader.wait_for("Acknowledged by")
    trader.screenshot("acknowledged")
    trader.press("Resolve", acknowledged)
    trader.wait_for("Resolved after")
    trader.screenshot("resolved")


def use_rule_editor(trader: Trader) -> None:
    """Open the form, submit an invalid field, then save a rule.

    The emulator sends no input events before the form is submitted, so the preview does not change.
    """
    trader.send("/minerpulse rule add")
    trader.wait_for_form("would have fired")
    trader.screenshot("editor")
    trader.fill("Window", "5d: 5 sessions")
    trader.fill("Threshold", "much")
    trader.submit()
    trader.wait_for_form("Cannot read “much”")
    trader.screenshot("refused")
    trader.fill("Threshold", "12")
    trader.submit()
    trader.wait_for("5d 12pp is added")
    trader.screenshot("saved")


def open_home(trader: Trader) -> None:
    """Check the market and the channel's rules on the Home tab."""
    home = trader.open_home()
    if missing := [words for words in ("bitcoin", "Your channels", "5d 12pp") if words not in home]:
        raise AssertionError(f"Home lacks {missing}: {home}")
    trader.screenshot("home")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
