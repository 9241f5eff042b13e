"""The first words in a channel that the app was added to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import code, simulated
from handlers.render.message import actions, button, compose, section
from services.domain.rule import DEFAULT_RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.render.message import Message
    from services.domain.prices import Pair


def welcome(pair: Pair, rules: Sequence[str], *, is_simulated: bool) -> Message:
    """Say what the app does here, and offer to begin; a channel that has rules is told which."""
    opening = simulated(
        f"MinerPulse tells this channel when {pair.etf} stops moving with {words.name(pair.crypto)}.", when=is_simulated
    )
    if rules:
        told = [opening, f"These rules stand here: {', '.join(map(code, rules))}. Alerts come again from now on."]
        return compose([section(*told)], told)
    usual = ", ".join(map(code, DEFAULT_RULES))
    offer = (
        f"Nothing is watched here yet. *Start alerts here* adds the usual rules {usual}; `/minerpulse rule add` opens "
        "an editor for others, `/minerpulse` shows the market, and `/minerpulse help` tells the rest."
    )
    return compose(
        [section(opening, offer), actions(button("begin", "Start alerts here", "channel", primary=True))],
        [opening, offer],
    )
