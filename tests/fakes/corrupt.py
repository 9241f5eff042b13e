"""Corrupted vendor responses: JSON with values lost, doubled, retyped or out of range, and broken bytes."""

import json
from copy import deepcopy
from random import Random

Node = list[object] | dict[str, object]


DEEP = 20_000
MANY = 2_000

# raw JSON that json.dumps can't write; each replaces a placeholder at the end
RAW = {
    "<nan>": b"NaN",
    "<inf>": b"Infinity",
    "<-inf>": b"-Infinity",
    "<1e999>": b"1e999",
    "<-1e999>": b"-1e999",
    "<tiny>": b"1e-999",
    "<denormal>": b"5e-324",
    "<long>": b"9" * 5_000,
    "<deep>": b"[" * DEEP + b"]" * DEEP,
    "<deep map>": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "<surrogate>": b'"\\ud800"',
    "<bytes>": b'"\xff\xfe"',
    "<minus zero>": b"-0.0",
}
ODD: tuple[object, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, "", " ", "x", "0", "-1", "NaN", "inf", "1e999", "1e-999", "1_0", "١٢", "0x10"),
    *([], {}, [[]], [None], {"": ""}, 10**30, -(10**30), 10**400, 2**63, 1e308, 5e-324, "9" * 5_000, "\0", "$", "N/A"),
    *("2026-13-45", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-10-30T04:00:00Z", "02/30/2026"),
    *RAW,
)


def corrupt(body: bytes, random: Random) -> bytes:
    """Corrupt a response in one to four ways, deterministically for a given `random`."""
    try:
        tree = json.loads(body)
    except ValueError:
        return _break(body, random)
    for _change in range(random.randint(1, 4)):
        tree = _change_one(tree, random)
    garbled = json.dumps(tree).encode()
    for name, raw in RAW.items():
        garbled = garbled.replace(json.dumps(name).encode(), raw, 20)
    return _break(garbled, random) if random.random() < 0.15 else garbled


def _change_one(tree: object, random: Random) -> object:
    """Replace the whole tree, or one value in it."""
    places = _places(tree)
    if not places or random.random() < 0.02:
        return deepcopy(random.choice(ODD))
    node, key = random.choice(places)
    if random.random() < 0.25:
        _change_shape(node, key, random)
    else:
        _set(node, key, _another(_get(node, key), random))
    return tree


def _change_shape(node: Node, key: int | str, random: Random) -> None:
    value = _get(node, key)
    if isinstance(node, dict):
        del node[str(key)]
        if random.random() < 0.5:
            node[random.choice(["", "a.b", "x" * 10_000, "1", str(key).upper()])] = value
        return
    match random.randrange(5):
        case 0:
            node.remove(value)
        case 1:
            node.append(value)
        case 2:
            node.extend([value] * random.choice([1, 10, MANY]))
        case 3:
            random.shuffle(node)
        case _:
            node.clear()


def _another(value: object, random: Random) -> object:
    """Return a different value: odd, of another type, or of another magnitude, such as milliseconds for seconds."""
    number = value if isinstance(value, int | float) else _number(value)
    kind = random.randrange(5)
    if number is None or kind == 0 or not abs(number) < 1e300:
        return deepcopy(random.choice(ODD))
    if kind == 1:
        return number if isinstance(value, str) else str(value)
    if kind == 2:
        return [value] if random.random() < 0.5 else {"value": value}
    scaled = random.choice([number * 1000, number // 1000, -number, number * 1e6, number + 1, number - 1, number / 3])
    return str(scaled) if isinstance(value, str) else scaled


def _number(value: object) -> float | None:
    """Parse a number written as text."""
    try:
        return float(value) if isinstance(value, str) and len(value) < 30 else None
    except ValueError:
        return None


def _places(tree: object) -> list[tuple[Node, int | str]]:
    """Return every position in the tree."""
    found: list[tuple[Node, int | str]] = []
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            found += [(node, key) for key in node]
            todo += node.values()
        elif isinstance(node, list):
            found += [(node, index) for index in range(len(node))]
            todo += node
    return found


def _get(node: Node, key: int | str) -> object:
    return node[key]  # type: ignore[index]


def _set(node: Node, key: int | str, value: object) -> None:
    node[key] = value  # type: ignore[index]


def _break(body: bytes, random: Random) -> bytes:
    at = random.randrange(len(body) + 1)
    match random.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + bytes([random.randrange(256)]) + body[at + 1 :]
        case 2:
            return body[:at] + random.randbytes(random.randrange(1, 9)) + body[at:]
        case 3:
            return b"\xef\xbb\xbf" + body
        case _:
            return body + body
