"""What went wrong, for the person who asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.complaints import sentence
from handlers.render.markup import block, escape, person
from handlers.render.message import say
from services.domain.errors import NotAllowedError, RuleError

if TYPE_CHECKING:
    from handlers.render.message import Message
    from services.domain.errors import MinerPulseError

LONGEST_POINTER = 200


def complaint(error: MinerPulseError) -> Message:
    """Tell an error in one sentence; a rule that cannot be read is shown with the offending word marked."""
    if isinstance(error, NotAllowedError):
        may = ", ".join(map(person, error.people))
        return say(f"Nothing was changed: rules are changed here by {may} only; ask one of them.")
    told = escape(sentence(error))
    if isinstance(error, RuleError) and 0 < len(error.text) <= LONGEST_POINTER:
        return say(block(error.pointer), told)
    return say(told)
