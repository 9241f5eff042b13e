"""Parse a vendor's answer without the few values in it that are unusable."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import ValidationError

T = TypeVar("T")
Step = str | int

DROP: Final = object()
MAX_ODD = 10  # with more, the format has changed
MAX_BYTES = 2 * 1024 * 1024  # parsed in total; each odd value parses the body again, which blocks

Droppable = Mapping[str, object]
"""The values that an answer can do without: by place, as in `data.rows.*.close`, what replaces them, or DROP."""
NOTHING: Droppable = {}


def parse_without_odd_values(
    body: bytes, parse: Callable[[bytes], T], droppable: Droppable
) -> tuple[T, tuple[str, ...]]:
    """Return the parsed body, and the places of the values that were dropped or replaced to parse it.

    Raises the ValidationError of `parse` if a value can't be dropped, or if there are more than ten of them (fewer in
    a body of more than 200 kB) or more than half of a list.
    """
    tree: Any = None
    odd, dropped_from = list[str](), Counter[tuple[Step, ...]]()
    while True:
        try:
            return parse(body), tuple(odd)
        except ValidationError as error:
            place = error.errors(include_url=False)[0]["loc"]
            pattern = _pattern(place, droppable)
            if pattern is None or len(odd) == MAX_ODD or (len(odd) + 1) * len(body) > MAX_BYTES:
                raise
            try:
                tree = json.loads(body) if tree is None else tree
            except (ValueError, RecursionError):
                raise error from None
            place = place[: pattern.count(".") + 1]
            if not _replace(tree, place, droppable[pattern], dropped_from):
                raise
            odd.append(".".join(map(str, place)))
            body = json.dumps(tree).encode()


def _pattern(place: Sequence[Step], droppable: Droppable) -> str | None:
    """Return the longest pattern that a place or what it is in matches; None if there is none."""
    matching = [pattern for pattern in droppable if _matches(place, pattern.split("."))]
    return max(matching, key=len, default=None)


def _matches(place: Sequence[Step], pattern: Sequence[str]) -> bool:
    return len(place) >= len(pattern) and all(
        wanted in {"*", str(step)} for step, wanted in zip(place, pattern, strict=False)
    )


def _replace(tree: Any, place: tuple[Step, ...], value: object, dropped_from: Counter[tuple[Step, ...]]) -> bool:  # noqa: ANN401 -- JSON
    """Replace or drop one value; return whether it is there and less than half of its list was dropped."""
    *path, last = place
    for step in path:
        tree = tree[step]
    if isinstance(tree, list):
        dropped_from[tuple(path)] += 1
        known = len(tree) + (dropped_from[tuple(path)] - 1 if value is DROP else 0)
        if 2 * dropped_from[tuple(path)] > known:
            return False
    elif last not in tree:
        return False
    if value is DROP:
        del tree[last]
    else:
        tree[last] = value
    return True
