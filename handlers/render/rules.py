"""Rules of a channel: the list, and what adding, removing and starting did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.limits import RULES_A_SECTION, RULES_LISTED
from handlers.render.markup import code, person, simulated
from handlers.render.message import actions, compose, header, note, say, section
from handlers.render.rule_buttons import add_button, edit_button
from handlers.render.topic import meaning
from services.domain.decide import Status

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from handlers.render.message import Message
    from services.desk import Added, Edited
    from services.domain.prices import Pair
    from services.ports import LostWatch, Watch

ADD = "Add one with `/minerpulse rule add 1d 8pp`."


def rules(watches: Sequence[Watch], now: datetime) -> Message:
    """List a channel's rules with what each is doing."""
    if not watches:
        nothing = say("No rules in this channel yet.", f"{ADD} `/minerpulse` alone offers the usual ones.")
        return compose([*nothing.blocks, actions(add_button())], [nothing.text])
    title = f"{len(watches)} rule{'' if len(watches) == 1 else 's'} in this channel"
    lines = [_line(watch, now) for watch in watches[:RULES_LISTED]]
    if len(watches) > RULES_LISTED:
        lines.append(f"… and {len(watches) - RULES_LISTED} more")
    hints = [ADD, f"Remove one with `/minerpulse rule remove {watches[0].id}`."]
    parts = [section(*lines[at : at + RULES_A_SECTION]) for at in range(0, len(lines), RULES_A_SECTION)]
    edit = edit_button({watch.id: str(watch.rule) for watch in watches})
    return compose([header(title), *parts, actions(add_button(), edit), note(*hints)], [f"{title}:", *lines, *hints])


def added(what: Added) -> Message:
    """Tell that a rule stands in the channel."""
    watch = what.watch
    if not what.new:
        return say(f"Rule {watch.id} {code(str(watch.rule))} stands here already; nothing was changed.")
    return say(f"Rule {watch.id} {code(str(watch.rule))} is added: {meaning(watch.rule)}.")


def edited(what: Edited) -> Message:
    """Tell how a rule reads now."""
    rule = code(str(what.rule))
    if not what.changed:
        return say(f"Rule {what.rule_id} {rule} stands here already; nothing was changed.")
    return say(f"Rule {what.rule_id} is {rule} now, and was {code(what.before)}: {meaning(what.rule)}.")


def removed(watch: Watch | LostWatch) -> Message:
    """Tell that a rule is gone."""
    return say(f"Rule {watch.id} {code(str(watch.rule))} is removed; an alert that it alone kept open ends.")


def started(pair: Pair, texts: Sequence[str], by: str, *, is_simulated: bool) -> Message:
    """Tell a channel that alerts will come here, and from whom."""
    opening = f"MinerPulse alerts on {pair.etf} against {words.name(pair.crypto)} come here from now on."
    return say(
        simulated(opening, when=is_simulated),
        f"Rules: {', '.join(map(code, texts))}. Started by {person(by)}. `/minerpulse help` tells the rest.",
    )


def _line(watch: Watch, now: datetime) -> str:
    return f"*{watch.id}*  {code(str(watch.rule))}: {_status(watch, now)}; {meaning(watch.rule)}"


def _status(watch: Watch, now: datetime) -> str:
    state = watch.state
    match state.status(now):
        case Status.PENDING if state.breach_at:
            return f"past its threshold since {words.moment(state.breach_at)}, not yet held"
        case Status.FIRING if state.fired_at:
            return f"firing since {words.moment(state.fired_at)}"
        case Status.NODATA if state.dark_at:
            return f"no usable prices since {words.moment(state.dark_at)}"
        case _:
            return "quiet"
