"""An open form: its view, its context and the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from handlers.request import Request
from handlers.rule_form import FormContext


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A submitted or edited form; `request` is in the channel that it was opened from."""

    request: Request
    view_id: str
    hash: str
    values: dict[str, str]
    context: FormContext


def field_values(view: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a view's fields by block id, without the empty ones.

    An untouched choice has its initial option, even if Slack returns it as null.
    """
    state = (view.get("state") or {}).get("values") or {}
    initial = {
        block.get("block_id"): block.get("element", {}).get("initial_option") for block in view.get("blocks") or ()
    }
    values = {
        block_id: _value(next(iter(fields.values())), initial.get(block_id))
        for block_id, fields in state.items()
        if fields
    }
    return {block_id: value for block_id, value in values.items() if value}


def _value(field: Mapping[str, Any], initial: Mapping[str, Any] | None) -> str:
    """Return the value of one field, whether typed, selected or checked."""
    if "selected_option" in field:
        option = field["selected_option"] or initial or {}
    else:
        option = next(iter(field.get("selected_options") or ()), None) or field
    return str(option.get("value") or "")
