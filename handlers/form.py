"""A form that a person has before them: which one, about what, and what stands in its fields."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handlers.request import Request


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A submitted or changing form; `ask` is in the channel that it was opened from."""

    ask: Request
    view_id: str
    hash: str
    values: dict[str, str]
    about: About


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a form is about, as it travels with it: a channel, and the rule that is edited, None for a new one.

    `answers_to` is the response_url of what it was opened by: it takes an answer for half an hour, also in a channel
    that the app is not in.
    """

    channel: str
    answers_to: str
    rule_id: int | None = None

    def written(self) -> str:
        """Write it as the form carries it."""
        return json.dumps({"channel": self.channel, "answers_to": self.answers_to, "rule": self.rule_id})

    @classmethod
    def read(cls, view: Mapping[str, Any]) -> About:
        """Read it back out of a form of ours."""
        carried = json.loads(view["private_metadata"])
        answers_to = str(carried["answers_to"])
        return cls(channel=str(carried["channel"]), answers_to=answers_to, rule_id=carried["rule"])


def values_of(view: Mapping[str, Any]) -> dict[str, str]:
    """Read the fields of a form by their block's id; an empty one is missing.

    A choice that nobody has touched is the one that the form began with, also where it comes back as none.
    """
    state = (view.get("state") or {}).get("values") or {}
    begun = {
        block.get("block_id"): block.get("element", {}).get("initial_option") for block in view.get("blocks") or ()
    }
    read = {
        block_id: _value(next(iter(fields.values())), begun.get(block_id))
        for block_id, fields in state.items()
        if fields
    }
    return {block_id: value for block_id, value in read.items() if value}


def _value(field: Mapping[str, Any], begun: Mapping[str, Any] | None) -> str:
    """Read one field, whatever its kind: typed, chosen, or ticked."""
    if "selected_option" in field:
        chosen = field["selected_option"] or begun or {}
    else:
        chosen = next(iter(field.get("selected_options") or ()), None) or field
    return str(chosen.get("value") or "")
