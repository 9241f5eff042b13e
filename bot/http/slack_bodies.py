"""The shape of what Slack signs. A body whose fields have other types than Slack's is rejected, not handled."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator
from slack_bolt.request.internals import parse_body

MAX_COMMAND_TEXT = 5_000  # characters, with Slack's escapes; ten times what is read
MAX_EVENT_ID = 100  # characters; Slack's have 11, and each is remembered for a day
RATE_LIMITED = "app_rate_limited"
REQUIRED = {  # fields by the type of a body; other types are up to Bolt
    "block_actions": ("user", "actions"),
    "event_callback": ("event",),
    "shortcut": ("user", "callback_id"),
    "url_verification": ("challenge",),
    "view_submission": ("user", "view"),
}

Text = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")]  # PostgreSQL stores no NUL


Url = Annotated[str, StringConstraints(pattern=r"^(https?://[!-~]+)?$")]


class _Part(BaseModel):
    """A part of a body; fields that MinerPulse does not read may have any value."""

    model_config = ConfigDict(strict=True, extra="ignore")


class _Reference(_Part):
    """A workspace, organization, person or channel."""

    id: Text
    team_id: Text | None = None
    enterprise_id: Text | None = None


Reference = Text | _Reference | None


class _Authorization(_Part):
    team_id: Text | None = None
    enterprise_id: Text | None = None
    user_id: Text | None = None
    is_bot: bool | None = None
    is_enterprise_install: bool | None = None


class _Sender(_Part):
    """What Bolt reads of a body and of its event, to find out who sent it and from where."""

    team: Reference = None
    team_id: Text | None = None
    enterprise: Reference = None
    enterprise_id: Text | None = None
    user: Reference = None
    user_id: Text | None = None
    channel: Reference = None
    channel_id: Text | None = None
    thread_ts: Text | None = None
    authorizations: list[_Authorization] | None = None
    item: dict[str, Any] | None = None
    message: dict[str, Any] | None = None
    previous_message: dict[str, Any] | None = None
    function_execution_id: Text | None = None
    bot_access_token: Text | None = None


class _Event(_Sender):
    type: Text
    subtype: Text | None = None
    tab: Text | None = None
    actor_id: Text | None = None
    user_team: Text | None = None
    tokens: dict[str, list[Text]] | None = None
    team_ids: list[Text] | None = None


class _Option(_Part):
    value: Text | None = None


class _Field(_Part):
    """A field of a form."""

    block_id: Text | None = None
    type: Text | None = None
    value: Text | None = None
    selected_option: _Option | None = None
    selected_options: list[_Option] | None = None
    initial_option: _Option | None = None


class _Action(_Field):
    """A button, menu or field that was used."""

    action_id: Text


class _Block(_Part):
    block_id: Text | None = None
    element: _Field = Field(default_factory=_Field)


class _State(_Part):
    values: dict[str, dict[str, _Field]] = Field(default_factory=dict)


class _View(_Part):
    id: Text
    type: Text
    hash: Text | None = None
    callback_id: Text | None = None
    private_metadata: Text | None = None
    team_id: Text | None = None
    app_installed_team_id: Text | None = None
    state: _State | None = None
    blocks: list[_Block] | None = None


class _Body(_Sender):
    """A command, an event or an interaction."""

    type: Text = ""
    command: Text = ""
    text: Annotated[Text, StringConstraints(max_length=MAX_COMMAND_TEXT)] = ""
    challenge: Text | None = None
    callback_id: Text | None = None
    event: _Event | None = None
    event_id: Annotated[Text, StringConstraints(max_length=MAX_EVENT_ID)] | None = None
    event_time: Annotated[int, Field(ge=0, le=10**11)] | None = None
    actions: Annotated[list[_Action], Field(min_length=1)] | None = None
    view: _View | None = None
    trigger_id: Text | None = None
    response_url: Url | None = None
    response_urls: list[dict[str, Any]] | None = None
    is_ext_shared_channel: bool | None = None

    @model_validator(mode="after")
    def _check_required(self) -> "_Body":
        missing = [name for name in REQUIRED.get(self.type, ()) if getattr(self, name) is None]
        if missing or not (self.type or self.command):
            raise ValueError("a field is missing")
        return self


_BODY = TypeAdapter(_Body)


def read_body(body: bytes, content_type: str) -> dict[str, Any]:
    """Return a body as Bolt reads it. Raises ValueError unless its fields are of Slack's types."""
    try:
        document = parse_body(body.decode(), content_type.partition(";")[0])
        _BODY.validate_python(document)
    except (RecursionError, ValidationError) as error:  # pydantic's message would quote the body
        raise ValueError("the body isn't one of Slack's") from error
    return document
