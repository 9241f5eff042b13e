"""Checks across all blocks of a message."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

MAX_CHARACTERS = 12_000
MAX_CHARTS = 2
TEXT_KEYS = frozenset({"text", "alt_text", "title", "name", "label", "caption", "x_label", "y_label"})


def message_problems(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """Yield everything that is wrong with well-formed blocks together; a block in a container counts like any other."""
    objects = list(_objects(blocks))
    for key in ("action_id", "block_id"):
        counted = Counter(one[key] for one in objects if key in one)
        yield from (f"{key} {one}: is not unique" for one, count in counted.items() if count > 1)
    kinds = Counter(one.get("type") for one in objects)
    if kinds["table"] + kinds["data_table"] > 1:
        yield "blocks: only one table is allowed"
    if kinds["data_visualization"] > MAX_CHARTS:
        yield f"blocks: only {MAX_CHARTS} charts are allowed"
    characters = sum(
        len(text) for one in objects for key, text in one.items() if key in TEXT_KEYS and isinstance(text, str)
    )
    if characters > MAX_CHARACTERS:
        yield f"blocks: {characters} characters are more than {MAX_CHARACTERS}"


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Yield every nested object, outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)
