import json
from collections.abc import Awaitable
from random import Random

import httpx
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from services.core.errors import SourceError
from services.market.sources.http.client import HttpClient
from tests.bench.fuzz import OWN_RESPONSES, RECORDED_RESPONSES, RecordedResponse, fetch_all, fuzz
from tests.fakes.corrupt import ODD, corrupt
from tests.services.market.sources.conftest import no_wait

MANY = 1000
SEEDS_DO_NOT_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=150, deadline=None, phases=SEEDS_DO_NOT_SHRINK)
@given(answer=st.sampled_from(RECORDED_RESPONSES), seed=st.integers(0, 2**32))
async def test_garbled_responses_give_prices_or_a_source_error(answer: RecordedResponse, seed: int) -> None:
    await fuzz(answer, seed)


def test_garbling_does_not_change_shared_values() -> None:
    before = repr(ODD)

    for seed in range(300):
        corrupt(OWN_RESPONSES[seed % len(OWN_RESPONSES)].body, Random(seed))  # noqa: S311 -- to garble, not to hide

    assert before == repr(ODD)


@pytest.mark.parametrize(
    "answer",
    [pytest.param(answer, id=str(answer)) for answer in OWN_RESPONSES if b"[" in answer.body],
)
async def test_a_thousand_errors_give_one_short_message(answer: RecordedResponse) -> None:
    body = json.dumps(_with_null_rows(json.loads(answer.body))).encode()

    def respond(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    client = HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait)
    errors = [error for pending in fetch_all(answer, client) if (error := await _failure(pending))]

    causes = [error.__cause__ for error in errors if isinstance(error.__cause__, ValidationError)]
    assert len(causes) == len(errors) > 0
    assert max(cause.error_count() for cause in causes) < 10
    assert max(len(str(error)) for error in errors) < 400


async def _failure(pending: Awaitable[object]) -> SourceError | None:
    try:
        await pending
    except SourceError as error:
        return error
    return None


def _with_null_rows(tree: object) -> object:
    """Replace every innermost list by a thousand nulls."""
    match tree:
        case dict():
            return {key: _with_null_rows(value) for key, value in tree.items()}
        case [dict() as only] if any(isinstance(value, list | dict) for value in only.values()):
            return [_with_null_rows(only)]
        case list():
            return [None] * MANY
        case _:
            return tree
