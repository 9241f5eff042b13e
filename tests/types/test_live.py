from __future__ import annotations

import httpx
import pytest

from tests.types.live import GOLDEN, URL, findings

ERROR = {"pointer": "/blocks/0/text", "code": "too_long", "message": "at most 150", "constraint": 150}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param({"ok": True, "errors": []}, None, id="good"),
        pytest.param({"ok": False, "errors": [ERROR]}, "/blocks/0/text too_long at most 150", id="bad"),
        pytest.param({"ok": False, "error": "ratelimited"}, "Slack does not judge it (ratelimited)", id="not judged"),
    ],
)
def test_every_golden_message_is_shown_to_slack_and_its_verdict_told(
    answer: dict[str, object], expected: str | None
) -> None:
    asked: list[str] = []

    def validate(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=answer)

    with httpx.Client(transport=httpx.MockTransport(validate)) as client:
        found = list(findings(client))

    stems = [path.stem for path in sorted(GOLDEN.glob("*.json"))]
    assert [URL] * len(stems) == asked
    assert ([] if expected is None else [f"{stem}: {expected}" for stem in stems]) == found
