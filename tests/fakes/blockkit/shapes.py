"""Basic checks that all others are built from; each yields a sentence per problem."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Check = Callable[[object, str], Iterator[str]]
_MENTION = re.compile(
    r"<(@[UW][A-Z0-9]+|#C[A-Z0-9]+|!(here|channel|everyone|subteam\^S[A-Z0-9]+|date\^[^>]+)|https?://[^>|]+(\|[^>]+)?)>"
)
_ENTITY = re.compile(r"&(amp|lt|gt);")


@dataclass(frozen=True, slots=True)
class Shape:
    """Required and optional keys of an object, each with its check, and keys of which exactly one must be present."""

    required: dict[str, Check]
    optional: dict[str, Check] = field(default_factory=dict)
    exactly_one: tuple[str, ...] = ()

    def __call__(self, value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{at}: is no object"
            return
        yield from (f"{at}.{key}: is missing" for key in self.required.keys() - value.keys())
        if self.exactly_one and sum(key in value for key in self.exactly_one) != 1:
            yield f"{at}: has not one of {' and '.join(self.exactly_one)}"
        known = {**self.optional, **self.required}
        for key, inner in value.items():
            yield from known[key](inner, f"{at}.{key}") if key in known else [f"{at}.{key}: is unknown"]


def anything(_value: object, _at: str) -> Iterator[str]:
    """Accept a value that is checked elsewhere."""
    return iter(())


def text(limit: int) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str) or not value.strip():
            yield f"{at}: is no text, or empty"
        elif len(value) > limit:
            yield f"{at}: {len(value)} characters are more than {limit}"

    return check


def one_of(*allowed: object) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield f"{at}: {value!r} is none of {allowed}"

    return check


def flag(value: object, at: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{at}: is neither true nor false"


def number(value: object, at: str) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:  # noqa: PLR0124 -- NaN
        yield f"{at}: is no number"


def list_of(inner: Check, limit: int, minimum: int = 1) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list) or not value:
            yield f"{at}: is no list, or empty"
            return
        if len(value) > limit:
            yield f"{at}: {len(value)} are more than {limit}"
        if len(value) < minimum:
            yield f"{at}: {len(value)} are fewer than {minimum}"
        for index, one in enumerate(value):
            yield from inner(one, f"{at}[{index}]")

    return check


def by_type(checks: dict[str, Check], noun: str) -> Check:
    def check(value: object, at: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        yield from (
            checks[kind](value, at) if isinstance(kind, str) and kind in checks else [f"{at}: unknown {noun} {kind}"]
        )

    return check


def plain(limit: int) -> Check:
    return Shape({"type": one_of("plain_text"), "text": text(limit)}, {"emoji": flag})


def markdown(limit: int) -> Check:
    shape = Shape({"type": one_of("mrkdwn"), "text": text(limit)}, {"verbatim": flag})

    def check(value: object, at: str) -> Iterator[str]:
        yield from shape(value, at)
        text = value.get("text") if isinstance(value, dict) else None
        if isinstance(text, str):
            yield from _markup(text, at)

    return check


def _markup(text: str, at: str) -> Iterator[str]:
    bare = _ENTITY.sub("", _MENTION.sub("", text))
    yield from (f"{at}: {sign!r} is not escaped" for sign in "<>&" if sign in bare)
    if text.count("```") % 2:
        yield f"{at}: a code block does not end"
