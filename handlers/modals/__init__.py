"""Forms by callback_id; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from handlers.form import Form
from handlers.modals import rule_editor
from handlers.request import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Modal:
    """A form: `validate` returns field errors without I/O; `update` and `submit` may be slow."""

    validate: Callable[[Form], dict[str, str]]
    update: Callable[[Form], Awaitable[None]]
    submit: Callable[[Form], Awaitable[Reply]]


MODALS = {
    "rule_editor": Modal(validate=rule_editor.validate, update=rule_editor.update, submit=rule_editor.submit),
}
