import json
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.oauth.tokens import SCOPES_TTL, TokenGrants
from services.core.errors import DeliveryError
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, FakeSlack, Fault, error_response

AUTH = "auth.test"


def auth_response(scopes: str) -> Fault:
    return Fault(body=json.dumps({"ok": True}), headers={"x-oauth-scopes": scopes})


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2026, 3, 4, 15, tzinfo=UTC))


@pytest.fixture
def grants(slack: FakeSlack, clock: SetClock) -> TokenGrants:
    return TokenGrants(AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), clock)


async def test_the_scopes_of_the_token_are_fetched_once(slack: FakeSlack, grants: TokenGrants) -> None:
    slack.fail(AUTH, auth_response("commands, chat:write,files:write"))
    assert {"commands", "chat:write", "files:write"} == await grants.scopes("T1") == await grants.scopes("T1")
    assert 1 == len(slack.calls)


async def test_an_added_scope_is_noticed_after_the_cache_expires(
    slack: FakeSlack, grants: TokenGrants, clock: SetClock
) -> None:
    slack.fail(AUTH, auth_response("commands"), auth_response("commands,files:write"))
    assert "files:write" not in await grants.scopes("T1")
    clock.advance(SCOPES_TTL + timedelta(seconds=1))
    assert "files:write" in await grants.scopes("T1")


async def test_a_rejected_token_raises(slack: FakeSlack, grants: TokenGrants) -> None:
    slack.fail(AUTH, error_response("token_revoked"))
    with pytest.raises(DeliveryError, match="token_revoked"):
        await grants.scopes("T1")
