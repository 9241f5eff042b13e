"""A trader's day in a browser: `python -m tests.e2e http|socket PROGRAM FOLDER`, in its own network namespace."""

import re
import sys
from pathlib import Path

from tests.e2e.browser import MENU, Trader, open_browser
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
        correct_a_slip(trader)
        undo_a_rule(trader)
        use_rule_menu(trader)
        change_window(trader)
        use_rule_editor(trader)
        open_home(trader)


def start(trader: Trader) -> None:
    """Open the board of a channel without rules, and add the default ones."""
    trader.send("/minerpulse")
    board = trader.wait_for("No rules here, so nothing is monitored")
    trader.screenshot("board")
    trader.press("Start Alerts", board)
    trader.wait_for("are posted here")
    trader.screenshot("started")


def add_a_rule(trader: Trader) -> None:
    """Add a rule that fires at the next tick."""
    trader.send(f"/minerpulse rule add {RULE}")
    trader.wait_for("added: ")


def handle_alert(trader: Trader) -> None:
    """Acknowledge and snooze the alert, end its snooze, read its details, and resolve it with a reason."""
    alert = trader.wait_for("Firing: ")
    trader.screenshot("alert")
    trader.press("Acknowledge", alert)
    alert = trader.wait_for("Acknowledged: ")
    trader.screenshot("acknowledged")
    trader.choose("Snooze", "1 h", alert)
    alert = trader.wait_for("Snoozed: ")
    trader.screenshot("snoozed")
    trader.press("Unsnooze", alert)
    alert = trader.wait_for("Acknowledged: ")
    trader.press("Details", alert)
    trader.wait_for_form("Timeline")
    trader.screenshot("details")
    trader.close_form()
    trader.choose(MENU, "Resolve…", alert)
    trader.wait_for_form("for everyone in")
    trader.fill("Reason", "Rebalancing of the fund")
    trader.screenshot("resolve-form")
    trader.submit()
    trader.wait_for("Resolved: ")
    trader.screenshot("resolved")


def correct_a_slip(trader: Trader) -> None:
    """Type an unknown command, and run the suggested one with its button."""
    trader.send("/minerpulse list rules")
    answer = trader.wait_for("Did you mean /minerpulse rules?")
    trader.screenshot("suggested")
    trader.press("Show Rules", answer)
    trader.wait_for("4 rules in this channel")
    trader.screenshot("rules")


def undo_a_rule(trader: Trader) -> None:
    """Add a rule, and remove it with the button below the answer."""
    trader.send("/minerpulse rule add 60d 40pp")
    trader.press("Undo", trader.wait_for("Rule 5 added: "))
    trader.wait_for("Undone: rule 5 60d 40pp removed.")
    trader.screenshot("undone")


def use_rule_menu(trader: Trader) -> None:
    """Pause the first rule with its menu in the list of rules."""
    trader.send("/minerpulse rules")
    trader.choose(MENU, "Pause", trader.wait_for("4 rules in this channel"))
    trader.wait_for("Rule 1 1d 8pp paused.")
    trader.screenshot("paused")


def change_window(trader: Trader) -> None:
    """Replace a return attribution with the one over another window."""
    trader.send("/minerpulse explain")
    trader.choose("Window", "60 sessions", trader.wait_for("Method: /minerpulse help explain"))
    trader.wait_for(re.compile(r"WGMI \S+% over 60\ssessions: "))
    trader.screenshot("explained")


def use_rule_editor(trader: Trader) -> None:
    """Open the form, submit an invalid field, then save a rule.

    The emulator sends no input events before the form is submitted, so the preview does not change.
    """
    trader.send("/minerpulse rule add")
    trader.wait_for_form("would have fired")
    trader.screenshot("editor")
    trader.fill("Window", "5 sessions")
    trader.fill("Threshold", "much")
    trader.submit()
    trader.wait_for_form("“much” isn't a valid threshold")
    trader.screenshot("refused")
    trader.fill("Threshold", "12")
    trader.submit()
    trader.wait_for("added: 5d 12pp")
    trader.screenshot("saved")


def open_home(trader: Trader) -> None:
    """Check the market and the channel's rules on the Home tab."""
    home = trader.open_home()
    if missing := [words for words in ("BTC", "Your channels", "5d 12pp") if words not in home]:
        raise AssertionError(f"Home lacks {missing}: {home}")
    trader.screenshot("home")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
