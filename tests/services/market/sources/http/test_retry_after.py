from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.market.sources.http.cache import parse_retry_after

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
