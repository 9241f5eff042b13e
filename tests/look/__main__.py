"""Draw every golden payload and reply, or those named, in `build/look/`: `python -m tests.look [NAME]...`."""

import argparse
import asyncio
import json
from collections.abc import Iterator
from itertools import islice, product
from pathlib import Path

from tests.e2e.browser import chromium
from tests.look.budgets import Payload, exceptions, goldens, pixel_faults
from tests.look.measure import Measures, browser_page, measure, take_picture
from tests.look.replies import replies

OUTPUT = Path("build/look")
PER_SHEET = 18  # payloads on a picture that can still be read
COLUMNS = ("Surface", "Button", "Height", "Lines", "Controls", "Rows", "Cut table", "Larger text", "Desktop")


def main(arguments: list[str] | None = None) -> int:
    """Write pictures and measures; return 1 if an alert exceeds the fold or its height."""
    parser = argparse.ArgumentParser(prog="python -m tests.look", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a payload; all of them by default")
    parser.add_argument("--golden", type=Path, help="draw the payloads of another folder, without replies")
    parser.add_argument("--output", type=Path, default=OUTPUT, help="the folder of pictures and measures")
    options = parser.parse_args(arguments)
    if chromium() is None:
        print("Chromium is not installed here (Debian's package chromium): nothing was drawn.")  # noqa: T201 -- a script
        return 0
    payloads = goldens(options.golden) if options.golden else goldens() | asyncio.run(replies())
    if unknown := set(options.names) - payloads.keys():
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    payloads = {name: payloads[name] for name in options.names or payloads}
    options.output.mkdir(parents=True, exist_ok=True)
    with browser_page() as page:
        measures = {
            "phone": measure(page, payloads),
            "phone_large_text": measure(page, payloads, large=True),
            "desktop": measure(page, payloads, phone=False),
        }
        for number, shown in enumerate(batched(payloads, PER_SHEET), start=1):
            for device, theme in product(("phone", "desktop"), ("light", "dark")):
                path = options.output / f"{device}-{theme}-{number}.png"
                take_picture(page, shown, path, phone=device == "phone", dark=theme == "dark")
    write_measures(options.output, measures)
    known = exceptions()
    found = [
        f"{name}: {fault.sentence}"
        for name in payloads
        for fault in pixel_faults(name, measures["phone"][name], measures["phone_large_text"][name])
        if fault.code not in known.get(name, [])
    ]
    drawn = f"{len(payloads)} payloads are drawn in {options.output}."
    print("\n".join([*found, drawn]))  # noqa: T201 -- a script
    return bool(found)


def batched(payloads: dict[str, Payload], size: int) -> Iterator[dict[str, Payload]]:
    """Yield the payloads in order, at most `size` at a time."""
    rest = iter(payloads.items())
    while batch := dict(islice(rest, size)):
        yield batch


def write_measures(output: Path, measures: dict[str, dict[str, Measures]]) -> None:
    """Write the table of pixels as JSON and as Markdown."""
    document = {
        screen: {name: one.as_json() for name, one in measured.items()} for screen, measured in measures.items()
    }
    (output / "measures.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(name, measures) for name in measures["phone"])]
    lines = [
        "Pixels on a phone of 390 px with text of 15 px; button / height with text of 16 px, and at desktop width.",
        "",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
    ]
    (output / "measures.md").write_text("\n".join(lines), encoding="utf-8")


def _row(name: str, measures: dict[str, dict[str, Measures]]) -> list[str]:
    one, *others = (measured[name] for measured in measures.values())
    numbers = [str(number) for number in (one.height, one.lines, one.controls, one.rows)]
    return [
        name,
        _pixels(one.button),
        *numbers,
        "yes" if one.cut else "no",
        *(f"{_pixels(other.button)} / {other.height}" for other in others),
    ]


def _pixels(value: int | None) -> str:
    return "–" if value is None else str(value)


if __name__ == "__main__":
    raise SystemExit(main())
