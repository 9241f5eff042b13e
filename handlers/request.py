"""What a person asks for, and the reply: the one form that commands and buttons share."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from slack_sdk.web.async_client import AsyncWebClient

from handlers.channel_locks import ChannelLocks
from handlers.render.message import Message
from handlers.render.picture import Picture
from handlers.view_updates import ViewUpdates
from services.channels.commands import ChannelCommands
from services.core.clock import Clock
from services.core.identity import Channel
from services.research.service import ResearchService


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """One person's wish in one channel; `value` is what stands behind the command, or what the button carries.

    `trigger` opens a form, within three seconds, and `answers_to` is the response_url. `newest` keeps the updates of
    forms in order, and `turns` what begins in one channel.
    """

    channel: Channel
    by: str
    value: str
    desk: ChannelCommands
    study: ResearchService
    clock: Clock
    client: AsyncWebClient
    newest: ViewUpdates = field(default_factory=ViewUpdates)
    turns: ChannelLocks = field(default_factory=ChannelLocks)
    trigger: str = ""
    answers_to: str = ""

    @property
    def now(self) -> datetime:
        """Tell the time, aware UTC."""
        return self.clock.now()


class Audience(Enum):
    """Where a reply appears."""

    PERSON = "only to the person who asked"
    SAME = "in place of the message whose button was pressed"
    CHANNEL = "to everyone in the channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer and its place; `picture` may stand in it where Slack takes pictures."""

    message: Message
    picture: Picture | None = None
    place: Audience = Audience.PERSON
