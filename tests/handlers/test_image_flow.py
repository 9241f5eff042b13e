"""Charts as images: when files may be uploaded, and the fallbacks."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.images import FILES_WRITE, ImageCache, ImageUploader
from handlers.render.picture import ColorScheme, Picture
from services.core.errors import DeliveryError
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FILES, RESPONSES, TOKEN, UPLOAD, FakeSlack, Fault, Person, bolt_app, error_response
from tests.handlers.test_mention_flow import APP, EPHEMERAL, mentions

PNG = b"\x89PNG of "
BEGIN, _UPLOAD, COMPLETE = FILES
NOT_READY = Fault(status=404, body='{"ok":false,"error":"invalid_blocks"}')


class FakeGrants:
    """A workspace with these scopes, or whose scopes can't be determined."""

    def __init__(self, *scopes: str) -> None:
        self.granted, self.unavailable = scopes, False

    async def scopes(self, team: str) -> tuple[str, ...]:
        assert team == "T1"
        if self.unavailable:
            raise DeliveryError("Slack can't be reached.", permanent=False, surely_not_posted=True)
        return self.granted


def draw(picture: Picture, scheme: ColorScheme) -> bytes:
    return PNG + f"{scheme.value} {picture.title}".encode()


@pytest.fixture
def grants() -> FakeGrants:
    return FakeGrants("commands", "chat:write", FILES_WRITE)


@pytest.fixture
def uploader(grants: FakeGrants) -> ImageUploader:
    return ImageUploader(ImageCache(draw), grants, retry_pauses=(0, 0))


@pytest.fixture
async def person(slack: FakeSlack, harness: Harness, uploader: ImageUploader) -> AsyncIterator[Person]:
    """A person in a running app whose images are a few bytes, ready at once or never."""
    harness.clock.at = OPEN + timedelta(minutes=30)
    harness.vendors.etf_last = (21.7, harness.clock.at)
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session, retry_handlers=[])
        app = bolt_app(client)
        tasks = listeners.register(app, harness.commands, harness.research, harness.clock, uploader)
        yield Person(server=slack, app=app, tasks=tasks)


def kinds(answer: dict[str, Any]) -> list[str]:
    return [block["type"] for block in answer["blocks"]]


async def test_a_chart_is_an_image_with_its_numbers_as_text(person: Person, slack: FakeSlack) -> None:
    acknowledged = await person.types("chart 5d")
    (answer,) = slack.responses
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert (["header", "image", "section", "context"], "ephemeral") == (kinds(answer), answer["response_type"])
    image = answer["blocks"][1]
    assert {"id": "F00000001"} == image["slack_file"]
    assert "WGMI +9.6%, BTC +1.0%, spread +8.6\u00a0pp." in image["alt_text"]
    assert answer["text"].startswith("WGMI 8.6\u00a0pp ahead of BTC over 5\u00a0sessions. ")


async def test_the_file_uses_the_light_theme_and_has_no_channel(person: Person, slack: FakeSlack) -> None:
    await person.types("chart 5d")
    (upload_url,), (uploaded,), (completed,) = (slack.arguments_of(step) for step in FILES)
    assert uploaded["bytes"] == PNG + "light WGMI 8.6\u00a0pp ahead of BTC over 5\u00a0sessions".encode()
    assert f"{len(uploaded['bytes'])}" == upload_url["length"]
    assert upload_url["alt_txt"].startswith("WGMI 8.6\u00a0pp ahead of BTC over 5\u00a0sessions.")
    assert "channel_id" not in completed


async def test_the_channels_rules_are_in_the_image(person: Person, slack: FakeSlack, harness: Harness) -> None:
    for rule in ("5d 15pp", "20d 30pp", "5d z3"):
        await harness.commands.add_rule(CHANNEL, rule, "U1")
    await person.types("chart 5d")
    (answer,) = slack.responses
    assert "A rule fires at ±15\u00a0pp, clears at ±9\u00a0pp." in answer["blocks"][1]["alt_text"]


async def test_an_alert_chart_shows_its_rule_and_when_it_fired(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")
    await harness.ticks(harness.clock.at, [0.09, 0.10])
    (alert,) = await harness.open_alerts(CHANNEL)
    await person.presses("chart", str(alert.id))
    (answer,) = slack.responses
    alt_text = answer["blocks"][1]["alt_text"]
    assert "over 20\u00a0sessions" in alt_text
    assert "1-session spread at the end: +10.0\u00a0pp" in alt_text
    assert "A rule fires at ±8\u00a0pp, clears at ±4.8\u00a0pp. Fired once on Mar 4, 2026." in alt_text


async def test_paused_rules_and_other_pairs_are_not_in_the_image(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    paused = (await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")).channel_rule
    await harness.commands.pause_rule(CHANNEL, paused.id, "U1")
    await harness.commands.add_rule(CHANNEL, "5d 12pp on MARA/BTC", "U1")
    await person.types("chart 5d")
    (answer,) = slack.responses
    assert "A rule fires" not in answer["blocks"][1]["alt_text"]


async def test_a_backtest_has_its_image_above_its_table(person: Person, slack: FakeSlack) -> None:
    await person.types("backtest 1d 1pp")
    (answer,) = slack.responses
    assert ["header", "section", "image"] == kinds(answer)[:3]


async def test_a_repeated_image_is_uploaded_once(person: Person, slack: FakeSlack) -> None:
    await person.types("chart 5d")
    await person.types("chart 5d")
    assert ["F00000001"] * 2 == [answer["blocks"][1]["slack_file"]["id"] for answer in slack.responses]
    assert 1 == len(slack.arguments_of(UPLOAD))


async def test_without_the_scope_nothing_is_uploaded(person: Person, slack: FakeSlack, grants: FakeGrants) -> None:
    grants.granted = ("commands", "chat:write")
    await person.types("chart 5d")
    (answer,) = slack.responses
    assert ("data_visualization", []) == (kinds(answer)[1], slack.arguments_of(BEGIN))


async def test_no_image_is_sent_if_the_scopes_are_unknown(person: Person, slack: FakeSlack, grants: FakeGrants) -> None:
    grants.unavailable = True
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.responses]


@pytest.mark.parametrize("step", FILES)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(
            Fault(status=429, body='{"ok":false,"error":"ratelimited"}', headers={"Retry-After": "30"}), id="429"
        ),
        pytest.param(Fault(status=503, body="down", content_type="text/plain"), id="5xx"),
        pytest.param(Fault(drop=True), id="cut-off"),
    ],
)
async def test_a_failed_upload_falls_back_to_the_native_chart(
    person: Person, slack: FakeSlack, step: str, fault: Fault
) -> None:
    slack.fail(step, fault)
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.responses]

    await person.types("chart 5d")
    assert "image" == kinds(slack.responses[-1])[1]


@pytest.mark.parametrize("error", ["missing_scope", "file_upload_size_restricted", "storage_limit_reached"])
async def test_a_refused_upload_falls_back_to_the_native_chart(person: Person, slack: FakeSlack, error: str) -> None:
    slack.fail(BEGIN, error_response(error))
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.responses]


async def test_a_file_that_is_not_ready_is_retried(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, NOT_READY)
    await person.types("chart 5d")
    assert ["image"] == [kinds(answer)[1] for answer in slack.responses]


async def test_a_file_that_never_gets_ready_is_uploaded_again_next_time(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, NOT_READY, NOT_READY)
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.responses]

    await person.types("chart 5d")
    assert "F00000002" == slack.responses[-1]["blocks"][1]["slack_file"]["id"]


async def test_a_table_is_sent_if_image_and_chart_are_rejected(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, NOT_READY, NOT_READY, NOT_READY)
    await person.types("chart 5d")
    assert ["table"] == [kinds(answer)[1] for answer in slack.responses]


async def test_a_hanging_upload_times_out(person: Person, slack: FakeSlack, uploader: ImageUploader) -> None:
    slack.fail(BEGIN, Fault(hang=True))
    uploader.timeout_s = 0.0
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.responses]


async def test_a_mention_is_answered_with_the_image(person: Person, slack: FakeSlack) -> None:
    slack.fail(EPHEMERAL, NOT_READY)
    await mentions(person, f"{APP} chart 5d", thread_ts="1.0")

    rejected, accepted = slack.calls_of(EPHEMERAL)
    assert rejected.arguments == accepted.arguments
    assert ({"id": "F00000001"}, "1.0") == (
        accepted.arguments["blocks"][1]["slack_file"],
        accepted.arguments["thread_ts"],
    )


async def test_a_mention_is_answered_without_an_image_that_slack_does_not_show(
    person: Person, slack: FakeSlack
) -> None:
    slack.fail(EPHEMERAL, *[NOT_READY] * 2)
    await mentions(person, f"{APP} chart 5d")

    assert "slack_file" not in str(slack.arguments_of(EPHEMERAL)[-1])
