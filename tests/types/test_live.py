import httpx
import pytest

from tests.types.live import GOLDEN, URL, validation_errors

ERROR = {"pointer": "/blocks/0/text", "code": "too_long", "message": "at most 150", "constraint": 150}


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param({"ok": True, "errors": []}, None, id="valid"),
        pytest.param({"ok": False, "errors": [ERROR]}, "/blocks/0/text too_long at most 150", id="invalid"),
        pytest.param({"ok": False, "error": "ratelimited"}, "Slack didn't validate it (ratelimited)", id="limited"),
    ],
)
def test_every_golden_message_is_validated_by_slack(response: dict[str, object], expected: str | None) -> None:
    urls: list[str] = []

    def validate(request: httpx.Request) -> httpx.Response:
        urls.append(str(request.url))
        return httpx.Response(200, json=response)

    with httpx.Client(transport=httpx.MockTransport(validate)) as client:
        errors = list(validation_errors(client))

    stems = [path.stem for path in sorted(GOLDEN.glob("*.json"))]
    assert [URL] * len(stems) == urls
    assert ([] if expected is None else [f"{stem}: {expected}" for stem in stems]) == errors
