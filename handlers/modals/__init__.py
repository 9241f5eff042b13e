"""Forms, by callback_id; a new one is a file and a row here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from handlers.form import Form
from handlers.modals import rule_editor
from handlers.request import Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Modal:
    """A form: `check` names its wrong fields without any I/O, `follow` and `save` may take their time."""

    check: Callable[[Form], dict[str, str]]
    follow: Callable[[Form], Awaitable[None]]
    save: Callable[[Form], Awaitable[Reply]]


MODALS = {
    "rule_editor": Modal(check=rule_editor.check, follow=rule_editor.follow, save=rule_editor.save),
}
