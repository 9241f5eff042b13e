"""Charts as pictures: where files may be written, and what a trader gets wherever that goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.image_cache import ImageCache
from handlers.image_upload import FILES_WRITE, Pictures
from handlers.render.picture import Picture, Scheme
from services.core.errors import DeliveryError
from tests.fakes.floor import DESK, OPEN, Floor
from tests.fakes.slack import FILES, RESPONSES, SECRET, TOKEN, UPLOAD, Fault, Person, SlackServer, refused

PNG = b"\x89PNG of "
BEGIN, _UPLOAD, COMPLETE = FILES
NOT_READY = Fault(status=404, body='{"ok":false,"error":"invalid_blocks"}')


class Granted:
    """A workspace that has granted these scopes, or of which that cannot be told."""

    def __init__(self, *scopes: str) -> None:
        self.held, self.silent = scopes, False

    async def scopes(self, team: str) -> tuple[str, ...]:
        assert team == "T1"
        if self.silent:
            raise DeliveryError("Slack cannot be reached.", permanent=False, surely_not_posted=True)
        return self.held


def pen(picture: Picture, scheme: Scheme) -> bytes:
    return PNG + f"{scheme.value} {picture.title}".encode()


@pytest.fixture
def granted() -> Granted:
    return Granted("commands", "chat:write", FILES_WRITE)


@pytest.fixture
def pictures(granted: Granted) -> Pictures:
    return Pictures(ImageCache(pen), granted, pauses=(0, 0))


@pytest.fixture
async def person(slack: SlackServer, floor: Floor, pictures: Pictures) -> AsyncIterator[Person]:
    """Someone before an app whose pictures are a few bytes, and ready at once or never."""
    floor.clock.at = OPEN + timedelta(minutes=30)
    floor.vendors.etf_last = (21.7, floor.clock.at)
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session, retry_handlers=[])
        app = AsyncApp(client=client, signing_secret=SECRET, process_before_response=True)
        tasks = listeners.register(app, floor.desk, floor.study, floor.clock, pictures)
        yield Person(server=slack, app=app, tasks=tasks)


def kinds(answer: dict[str, Any]) -> list[str]:
    return [block["type"] for block in answer["blocks"]]


async def test_a_chart_is_a_picture_with_the_numbers_in_words_beside_it(person: Person, slack: SlackServer) -> None:
    acknowledged = await person.types("chart 5d")
    (answer,) = slack.answers
    assert (200, "") == (acknowledged.status, acknowledged.body)
    assert (["header", "image", "section", "context"], "ephemeral") == (kinds(answer), answer["response_type"])
    image = answer["blocks"][1]
    assert {"id": "F00000001"} == image["slack_file"]
    assert "WGMI +9.6%, bitcoin +1.0%, +8.6 pp apart." in image["alt_text"]
    assert answer["text"].startswith("WGMI 8.6 pp above bitcoin over 5 days\n")


async def test_the_file_is_light_and_belongs_to_no_channel(person: Person, slack: SlackServer) -> None:
    await person.types("chart 5d")
    (begun,), (uploaded,), (completed,) = (slack.said(step) for step in FILES)
    assert uploaded["bytes"] == PNG + b"light WGMI 8.6 pp above bitcoin over 5 days"
    assert f"{len(uploaded['bytes'])}" == begun["length"]
    assert begun["alt_txt"].startswith("WGMI 8.6 pp above bitcoin over 5 days.")
    assert "channel_id" not in completed


async def test_the_rules_of_the_channel_are_in_it(person: Person, slack: SlackServer, floor: Floor) -> None:
    for rule in ("5d 15pp", "20d 30pp", "5d z3"):
        await floor.desk.add_rule(DESK, rule, "U1")
    await person.types("chart 5d")
    (answer,) = slack.answers
    assert "A rule fires at ±15 pp, clears at ±9 pp." in answer["blocks"][1]["alt_text"]


async def test_an_alert_is_drawn_with_the_rule_that_leads_it_and_is_marked_where_it_began(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")
    await floor.ticks(floor.clock.at, [0.09, 0.10])
    (alert,) = await floor.open_alerts(DESK)
    await person.presses("chart", str(alert.id))
    (answer,) = slack.answers
    told = answer["blocks"][1]["alt_text"]
    assert "over 20 days" in told
    assert "1-day spread now +10.0 pp" in told
    assert "A rule fires at ±8 pp, clears at ±4.8 pp. Fired once on 4 Mar 2026." in told


async def test_a_paused_rule_and_one_of_another_pair_are_not_in_it(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    paused = (await floor.desk.add_rule(DESK, "5d 15pp", "U1")).watch
    await floor.desk.pause_rule(DESK, paused.id, "U1")
    await floor.desk.add_rule(DESK, "5d 12pp on MARA/BTC", "U1")
    await person.types("chart 5d")
    (answer,) = slack.answers
    assert "A rule fires" not in answer["blocks"][1]["alt_text"]


async def test_a_backtest_has_its_picture_above_its_table(person: Person, slack: SlackServer) -> None:
    await person.types("backtest 1d 1pp")
    (answer,) = slack.answers
    assert ["header", "section", "image"] == kinds(answer)[:3]


async def test_a_picture_that_is_asked_for_again_is_not_uploaded_again(person: Person, slack: SlackServer) -> None:
    await person.types("chart 5d")
    await person.types("chart 5d")
    assert ["F00000001"] * 2 == [answer["blocks"][1]["slack_file"]["id"] for answer in slack.answers]
    assert 1 == len(slack.said(UPLOAD))


async def test_without_the_scope_nothing_is_uploaded(person: Person, slack: SlackServer, granted: Granted) -> None:
    granted.held = ("commands", "chat:write")
    await person.types("chart 5d")
    (answer,) = slack.answers
    assert ("data_visualization", []) == (kinds(answer)[1], slack.said(BEGIN))


async def test_a_slack_that_does_not_tell_its_scopes_gets_no_picture(
    person: Person, slack: SlackServer, granted: Granted
) -> None:
    granted.silent = True
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.answers]


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
async def test_an_upload_that_fails_leaves_the_native_chart(
    person: Person, slack: SlackServer, step: str, fault: Fault
) -> None:
    slack.fail(step, fault)
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.answers]

    await person.types("chart 5d")
    assert "image" == kinds(slack.answers[-1])[1]


@pytest.mark.parametrize("error", ["missing_scope", "file_upload_size_restricted", "storage_limit_reached"])
async def test_an_upload_that_is_refused_leaves_the_native_chart(
    person: Person, slack: SlackServer, error: str
) -> None:
    slack.fail(BEGIN, refused(error))
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.answers]


async def test_a_file_that_is_not_ready_is_tried_once_more(person: Person, slack: SlackServer) -> None:
    slack.fail(RESPONSES, NOT_READY)
    await person.types("chart 5d")
    assert ["image"] == [kinds(answer)[1] for answer in slack.answers]


async def test_a_file_that_never_gets_ready_leaves_the_native_chart_and_is_uploaded_anew_the_next_time(
    person: Person, slack: SlackServer
) -> None:
    slack.fail(RESPONSES, NOT_READY, NOT_READY)
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.answers]

    await person.types("chart 5d")
    assert "F00000002" == slack.answers[-1]["blocks"][1]["slack_file"]["id"]


async def test_a_slack_that_takes_neither_picture_nor_chart_gets_a_table(person: Person, slack: SlackServer) -> None:
    slack.fail(RESPONSES, NOT_READY, NOT_READY, NOT_READY)
    await person.types("chart 5d")
    assert ["table"] == [kinds(answer)[1] for answer in slack.answers]


async def test_a_picture_that_hangs_is_not_waited_for(person: Person, slack: SlackServer, pictures: Pictures) -> None:
    slack.fail(BEGIN, Fault(hang=True))
    pictures.within_s = 0.05
    await person.types("chart 5d")
    assert ["data_visualization"] == [kinds(answer)[1] for answer in slack.answers]
