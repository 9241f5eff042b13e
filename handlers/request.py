"""Request and reply: the form shared by commands, actions, events and modals."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from weakref import WeakValueDictionary

from slack_sdk.web.async_client import AsyncWebClient

from handlers.membership import Memberships
from handlers.render.message import Message
from handlers.render.picture import Picture
from handlers.rule_form import FormContext
from handlers.slack_errors import translate_slack_error
from handlers.view_updates import ViewUpdates
from services.channels.commands import ChannelCommands
from services.core.clock import Clock
from services.core.identity import Channel
from services.research.service import ResearchService


@dataclass(slots=True)
class ChannelLocks:
    """A lock per channel, so that concurrent starts are announced once; dropped when unused.

    Locks are not shared between processes.
    """

    _locks: WeakValueDictionary[Channel, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def of(self, channel: Channel) -> asyncio.Lock:
        """Return the lock of a channel."""
        return self._locks.setdefault(channel, asyncio.Lock())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Request:
    """A person's request in one channel.

    Attributes:
        channel: The channel it is about.
        user_id: The Slack user who made it.
        value: The command's argument, or the value of the pressed button.
        view_updates: Keeps the updates of open views in order.
        locks: Serialize work in one channel.
        memberships: Which channels a person is in; None if nothing is known about that.
        trigger_id: Opens a modal; valid for three seconds.
        response_url: Accepts up to five replies within 30 minutes; empty if there is none.
        thread_ts: The thread in which the app was mentioned, which gets the reply; empty if there is none.
    """

    channel: Channel
    user_id: str
    value: str
    commands: ChannelCommands
    research: ResearchService
    clock: Clock
    client: AsyncWebClient
    view_updates: ViewUpdates = field(default_factory=ViewUpdates)
    locks: ChannelLocks = field(default_factory=ChannelLocks)
    memberships: Memberships | None = None
    trigger_id: str = ""
    response_url: str = ""
    thread_ts: str = ""

    @property
    def now(self) -> datetime:
        """The current time, aware UTC."""
        return self.clock.now()

    async def post(self, message: Message) -> None:
        """Post a message for everyone in the channel. Raises DeliveryError."""
        with translate_slack_error():
            await self.client.chat_postMessage(
                channel=self.channel.id, text=message.text, blocks=message.blocks, unfurl_links=False
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """A submitted or edited form; `request` is in the channel that it was opened from."""

    request: Request
    view_id: str
    hash: str
    values: dict[str, str]
    context: FormContext


class Audience(Enum):
    """Where a reply appears."""

    PERSON = "only to the person who asked"
    REPLACE_ORIGINAL = "in place of the message whose button was pressed"
    CHANNEL = "to everyone in the channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A reply and its audience; `picture` is shown in it if Slack accepts images."""

    message: Message
    picture: Picture | None = None
    audience: Audience = Audience.PERSON
