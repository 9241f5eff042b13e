"""`make validate-live`: asks Slack itself, by `blocks.validate`, about every golden message; needs the network."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

GOLDEN = Path(__file__).parents[1] / "golden"
URL = "https://slack.com/api/blocks.validate"


def findings(client: httpx.Client) -> Iterator[str]:
    """Give what Slack finds wrong, a line for each; one for a message that it does not judge."""
    for path in sorted(GOLDEN.glob("*.json")):
        answer = client.post(URL, json={"blocks": json.loads(path.read_text(encoding="utf-8"))["blocks"]}).json()
        for error in answer.get("errors") or []:
            yield f"{path.stem}: {error.get('pointer', '')} {error.get('code', '')} {error.get('message', '')}"
        if not answer.get("ok") and not answer.get("errors"):
            yield f"{path.stem}: Slack does not judge it ({answer.get('error', 'no reason given')})"


def main() -> None:
    """Print what is wrong; exit with 1 where anything is."""
    with httpx.Client(timeout=10) as client:
        try:
            found = list(findings(client))
        except httpx.HTTPError as error:
            sys.exit(f"Slack cannot be asked ({type(error).__name__}); nothing is validated.")
    print("\n".join(found) or "Slack finds nothing wrong.")  # noqa: T201 -- a script
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
