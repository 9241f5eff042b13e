"""What can only be seen in all blocks together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

ALL_CHARACTERS = 12_000
CHARTS = 2
SHOWN = frozenset({"text", "alt_text", "title", "name", "label", "caption", "x_label", "y_label"})


def whole(blocks: list[dict[str, Any]]) -> Iterator[str]:
    """Everything that is wrong with well-formed blocks beside one another; a block in a container counts as any."""
    objects = list(_objects(blocks))
    for key in ("action_id", "block_id"):
        counted = Counter(one[key] for one in objects if key in one)
        yield from (f"{key} {one}: is not unique" for one, count in counted.items() if count > 1)
    kinds = Counter(one.get("type") for one in objects)
    if kinds["table"] + kinds["data_table"] > 1:
        yield "blocks: only one table is allowed"
    if kinds["data_visualization"] > CHARTS:
        yield f"blocks: only {CHARTS} charts are allowed"
    characters = sum(
        len(text) for one in objects for key, text in one.items() if key in SHOWN and isinstance(text, str)
    )
    if characters > ALL_CHARACTERS:
        yield f"blocks: {characters} characters are more than {ALL_CHARACTERS}"


def _objects(value: object) -> Iterator[dict[str, Any]]:
    """Every object inside, from the outermost in."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for one in value:
            yield from _objects(one)
