"""Studies in Slack: buttons and menus below a study, the command that explains its method, and the shared message."""

from datetime import datetime

from handlers.render import fmt
from handlers.render.alert_thread import person
from handlers.render.markup import code
from handlers.render.message import Block, Message, actions, button, context, select_menu
from services.core.identity import Person
from services.market.measure import Window

SHARED = ("explain", "miners", "network", "drawdown", "backtest")  # names of the commands whose answer can be shared


def study_message(message: Message, command: str, argument: str = "", *controls: Block) -> Message:
    """Return the answer of a command with its controls, a button that shares it, and the command of its method."""
    *blocks, last = message.blocks
    share = button("share", "Share to Channel", f"{command}:{argument}")
    pointer = context(f"Method: {code(f'/minerpulse help {command}')}")
    small = {**last, "elements": [*last["elements"], *(pointer["elements"] if pointer else [])]}
    return Message(blocks=[*blocks, actions(*controls, share), small], text=message.text)


def window_menu(action_id: str) -> Block:
    """Return a menu that shows the same study over another window."""
    return select_menu(action_id, "Window", {window.value: fmt.window_name(window) for window in Window})


def shared_message(message: Message, by: str, now: datetime) -> Message:
    """Return a study as everyone in the channel sees it: without controls, with who shared it."""
    blocks = [block for block in message.blocks if block["type"] != "actions"]
    name = person(by, by.name if isinstance(by, Person) else "")
    note = context(f"Shared by {name}, {fmt.instant(now)}")
    return Message(blocks=[*blocks, *([note] if note else [])], text=message.text)
