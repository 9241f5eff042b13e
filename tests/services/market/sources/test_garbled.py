from __future__ import annotations

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
from tests.bench.fuzz import ANSWERS, OWN, Answer, ask, examine
from tests.fakes.garble import ODD, garble
from tests.services.market.sources.conftest import no_wait

MANY = 1000
SEEDS_DO_NOT_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=400, deadline=None, phases=SEEDS_DO_NOT_SHRINK)
@given(answer=st.sampled_from(ANSWERS), seed=st.integers(0, 2**32))
async def test_whatever_a_vendor_sends_comes_to_prices_or_to_a_source_error(answer: Answer, seed: int) -> None:
    await examine(answer, seed)


def test_garbling_leaves_nothing_behind_for_the_next_answer() -> None:
    before = repr(ODD)

    for seed in range(2000):
        garble(OWN[seed % len(OWN)].body, Random(seed))  # noqa: S311 -- to garble, not to hide

    assert before == repr(ODD)


@pytest.mark.parametrize(
    "answer",
    [pytest.param(answer, id=str(answer)) for answer in OWN if b"[" in answer.body],
)
async def test_a_thousand_faults_are_one_complaint(answer: Answer) -> None:
    body = json.dumps(_with_rows_of_nothing(json.loads(answer.body))).encode()

    def respond(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body)

    client = HttpClient(transport=httpx.MockTransport(respond), sleep=no_wait)
    errors = [error for asked in ask(answer, client) if (error := await _failure(asked))]

    causes = [error.__cause__ for error in errors if isinstance(error.__cause__, ValidationError)]
    assert len(causes) == len(errors) > 0
    assert max(cause.error_count() for cause in causes) < 10
    assert max(len(str(error)) for error in errors) < 400


async def _failure(asked: Awaitable[object]) -> SourceError | None:
    try:
        await asked
    except SourceError as error:
        return error
    return None


def _with_rows_of_nothing(tree: object) -> object:
    """Put a thousand nulls into the place of every list that stands in no other list."""
    match tree:
        case dict():
            return {key: _with_rows_of_nothing(value) for key, value in tree.items()}
        case [dict() as only] if any(isinstance(value, list | dict) for value in only.values()):
            return [_with_rows_of_nothing(only)]
        case list():
            return [None] * MANY
        case _:
            return tree
