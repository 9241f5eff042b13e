"""Validate every golden message with Slack's `blocks.validate`: `make validate-live`; needs the network."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx

GOLDEN = Path(__file__).parents[1] / "golden"
URL = "https://slack.com/api/blocks.validate"


def validation_errors(client: httpx.Client) -> Iterator[str]:
    """Yield a line for each error that Slack finds, and for each message that it doesn't validate."""
    for path in sorted(GOLDEN.glob("*.json")):
        response = client.post(URL, json={"blocks": json.loads(path.read_text(encoding="utf-8"))["blocks"]}).json()
        for error in response.get("errors") or []:
            yield f"{path.stem}: {error.get('pointer', '')} {error.get('code', '')} {error.get('message', '')}"
        if not response.get("ok") and not response.get("errors"):
            yield f"{path.stem}: Slack didn't validate it ({response.get('error', 'no reason given')})"


def main() -> None:
    """Print the errors; exit with 1 if there are any."""
    with httpx.Client(timeout=10) as client:
        try:
            lines = list(validation_errors(client))
        except httpx.HTTPError as error:
            sys.exit(f"Slack isn't reachable ({type(error).__name__}). Nothing was validated.")
    print("\n".join(lines) or "Slack found no errors.")  # noqa: T201 -- a script
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
