"""API keys are sent in headers and appear nowhere else, at any log level."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date

import pytest
from aiohttp import web

from services.core.errors import SourceError
from services.core.prices import Symbol
from services.market.sources.catalogue import EQUITY, SOURCES, build_source
from services.market.sources.http.client import HttpClient
from tests.fakes.clock import SetClock

KEYED = [row for row in SOURCES if row.keys]
QUIET = ("httpx", "httpcore")


@asynccontextmanager
async def fake_server(requests: list[web.Request], status: int) -> AsyncIterator[str]:
    """Serve one status with an unparsable body; yields the base URL."""

    async def answer(request: web.Request) -> web.Response:
        requests.append(request)
        return web.Response(status=status, body=b"[no", headers={"ETag": '"1"'})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.0, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("loud", [pytest.param((), id="all at DEBUG"), pytest.param(QUIET, id="the client too")])
@pytest.mark.parametrize("status", [200, 401, 429, 500])
@pytest.mark.parametrize("name", [row.name for row in KEYED])
async def test_no_key_is_in_a_url_an_error_or_the_log(
    clock: SetClock, caplog: pytest.LogCaptureFixture, name: str, status: int, loud: tuple[str, ...]
) -> None:
    keys = {key: f"hush-{key}" for row in KEYED if row.name == name for key in row.keys}
    requests: list[web.Request] = []
    caplog.set_level(logging.DEBUG)
    for logger in loud:
        caplog.set_level(logging.DEBUG, logger=logger)

    async with fake_server(requests, status) as url:
        client = HttpClient()
        source = build_source(EQUITY, name, client, clock, base_url=url, keys=keys)
        with pytest.raises(SourceError) as caught:
            await source.prices(Symbol("WGMI"), date(2026, 11, 1))
        await client.aclose()

    of_client = {one.name.partition(".")[0] for one in caplog.records} & {*QUIET}
    output = (
        f"{caught.value!r} {caught.value} {[vars(one) for one in caplog.records]} {[one.path_qs for one in requests]}"
    )
    assert {*loud} == of_client
    assert requests
    assert [key for key in keys.values() if key in f"{requests[0].headers}"] == [*keys.values()]
    assert "hush" not in output
