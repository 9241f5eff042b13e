"""What a person asks for, and the reply: the one form that commands and buttons share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from handlers.newest import Newest
from handlers.turns import Turns

if TYPE_CHECKING:
    from datetime import datetime

    from slack_sdk.web.async_client import AsyncWebClient

    from handlers.render.message import Message
    from handlers.render.picture import Picture
    from services.desk import Desk
    from services.domain.episode import Channel
    from services.ports import Clock
    from services.study import Study


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ask:
    """One person's wish in one channel; `value` is what stands behind the command, or what the button carries.

    `trigger` opens a form, within three seconds, and `answers_to` is the response_url. `newest` keeps the updates of
    forms in order, and `turns` what begins in one channel.
    """

    channel: Channel
    by: str
    value: str
    desk: Desk
    study: Study
    clock: Clock
    client: AsyncWebClient
    newest: Newest = field(default_factory=Newest)
    turns: Turns = field(default_factory=Turns)
    trigger: str = ""
    answers_to: str = ""

    @property
    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        return self.clock.now()


class Place(Enum):
    """Where a reply appears."""

    PERSON = "only to the person who asked"
    SAME = "in place of the message whose button was pressed"
    CHANNEL = "to everyone in the channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and its place; `picture` may stand in it where Slack takes pictures."""

    message: Message
    picture: Picture | None = None
    place: Place = Place.PERSON
