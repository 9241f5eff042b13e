from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.market.sources.http.cache import RevalidationCache, conditional_headers, parse_retry_after

TAG = {"ETag": '"1"'}
SENT = "Fri, 20 Nov 2026 18:00:00 GMT"
MODIFIED = "Fri, 20 Nov 2026 17:59:00 GMT"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, {}, id="nothing to ask about"),
        pytest.param({"ETag": '"a1"'}, {"If-None-Match": '"a1"'}, id="a tag"),
        pytest.param({"etag": 'W/"a1"'}, {"If-None-Match": 'W/"a1"'}, id="a weak tag"),
        pytest.param({"ETag": "a1"}, {}, id="a tag without its quotes"),
        pytest.param({"ETag": '"é"'}, {}, id="a tag that no header may hold"),
        pytest.param({"ETag": f'"{"a" * 201}"'}, {}, id="a tag without end"),
        pytest.param({"Last-Modified": MODIFIED, "Date": SENT}, {"If-Modified-Since": MODIFIED}, id="a date"),
        pytest.param({"Last-Modified": MODIFIED, "Date": SENT, **TAG}, {"If-None-Match": '"1"'}, id="a tag and a date"),
        pytest.param({"Last-Modified": SENT, "Date": SENT}, {}, id="a date within the same second"),
        pytest.param({"Last-Modified": MODIFIED}, {}, id="a date, sent nobody knows when"),
        pytest.param({"Last-Modified": "soon", "Date": SENT}, {}, id="no date"),
        pytest.param({"Cache-Control": "no-store", **TAG}, {}, id="no-store"),
        pytest.param({"Cache-Control": "private, No-Store", **TAG}, {}, id="no-store among others"),
        pytest.param({"Cache-Control": "no-cache", **TAG}, {"If-None-Match": '"1"'}, id="no-cache wants to be asked"),
        pytest.param({"Vary": "*", **TAG}, {}, id="it varies by what nobody knows"),
        pytest.param({"Vary": "Accept-Encoding", **TAG}, {"If-None-Match": '"1"'}, id="it varies by what is the same"),
    ],
)
def test_only_bodies_that_can_be_revalidated_are_cached(headers: dict[str, str], expected: dict[str, str]) -> None:
    assert expected == conditional_headers(
        httpx.Headers({name.encode(): value.encode() for name, value in headers.items()})
    )


def test_the_least_recently_used_body_is_evicted_first() -> None:
    cache = RevalidationCache(max_bodies=2)
    for key in ("a", "b"):
        cache.put(key, b"body", httpx.Headers(TAG))
    cache.get("a")

    cache.put("c", b"body", httpx.Headers(TAG))

    assert ["a", "c"] == [key for key in ("a", "b", "c") if cache.get(key)]


def test_the_total_size_is_bounded() -> None:
    cache = RevalidationCache(max_bytes=10)
    for key, size in (("a", 4), ("b", 4), ("a", 6), ("c", 11), ("d", 5)):
        cache.put(key, b"x" * size, httpx.Headers(TAG))

    assert ["d"] == [key for key in ("a", "b", "c", "d") if cache.get(key)]


def test_an_uncacheable_body_evicts_the_previous_one() -> None:
    cache = RevalidationCache()
    cache.put("a", b"old", httpx.Headers(TAG))

    cache.put("a", b"new", httpx.Headers({**TAG, "Cache-Control": "no-store"}))

    assert cache.get("a") is None


NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("0", None, id="no-time"),
        pytest.param("-5", None, id="negative"),
        pytest.param("1.5", None, id="fraction"),
        pytest.param("²", None, id="not-a-digit"),
        pytest.param("soon", None, id="words"),
        pytest.param(" 30 ", timedelta(seconds=30), id="seconds"),
        pytest.param("999999999", timedelta(hours=24), id="ages"),
        pytest.param("9" * 5000, None, id="more-than-a-number"),
        pytest.param("Fri, 20 Nov 2026 18:00:30 GMT", timedelta(seconds=30), id="date"),
        pytest.param("Fri, 20 Nov 2026 18:00:30 -0000", timedelta(seconds=30), id="date-without-a-zone"),
        pytest.param("Fri, 20 Nov 2026 17:59:00 GMT", None, id="past"),
        pytest.param("Fri, 20 Nov 2099 17:59:00 GMT", timedelta(hours=24), id="far-date"),
        pytest.param("Fri, 99999999999999999999 Nov 2026 17:59:00 GMT", None, id="a-day-beyond-all-numbers"),
    ],
)
def test_retry_after_is_parsed_in_both_forms(header: str | None, expected: timedelta | None) -> None:
    assert expected == parse_retry_after(header, NOW)
