"""A form that a person has before them: which one, about what, and what stands in its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.request import Request
from handlers.rule_form import About


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A submitted or changing form; `ask` is in the channel that it was opened from."""

    ask: Request
    view_id: str
    hash: str
    values: dict[str, str]
    about: About


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
