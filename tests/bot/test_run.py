"""`minerpulse run` connects to Slack, or rehearses until it is interrupted."""

import asyncio
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import Workspace
from tests.bot.conftest import MINERPULSE


def restore_sigint() -> None:
    """Restore Ctrl-C, which shells ignore in background processes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_run_without_tokens_prints_a_hint_and_rehearses_until_interrupted(clean: Path) -> None:
    with subprocess.Popen(  # noqa: S603 -- our own command
        [MINERPULSE, "run"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=clean,
        preexec_fn=restore_sigint,  # noqa: PLW1509 -- nothing else is done in it
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(6)]
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.stderr.read().strip() == ""
    assert process.returncode == 130
    output = " ".join("".join(lines).split())
    assert "To connect: create the app from `minerpulse manifest`, put its tokens into .env" in output
    assert "run again. Rehearsing SIMULATED market 1: " in output


async def test_run_with_a_rejected_token_is_an_error_with_a_next_step(clean: Path) -> None:
    async with serve_workspace(Workspace(now=lambda: datetime.now(UTC))) as workspace:
        process = await asyncio.create_subprocess_exec(
            MINERPULSE,
            "run",
            env={
                "SLACK_BOT_TOKEN": "xoxb-other",
                "SLACK_SIGNING_SECRET": "hush",
                "MINERPULSE_SLACK_API_URL": workspace.url,
            },
            cwd=clean,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"SLACK_BOT_TOKEN: Slack does not accept the app's token" in err
    assert b"unused" not in err
    assert b"xoxb-other" not in err
