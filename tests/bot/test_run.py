"""`minerpulse run` connects to Slack and never simulates; `make run` rehearses without tokens."""

import asyncio
import os
import shutil
import signal
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import Workspace
from tests.bot.conftest import MINERPULSE, ROOT, RunCli


def restore_sigint() -> None:
    """Restore Ctrl-C, which shells ignore in background processes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.parametrize("options", [[], ["--role", "worker"], ["--role", "web"]])
def test_run_without_tokens_is_an_error_that_says_what_to_set(
    minerpulse: RunCli, clean: Path, options: list[str]
) -> None:
    result = minerpulse("run", *options)

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith("No Slack tokens are set. Create the app from `minerpulse manifest`. Set SLACK_BOT_")
    assert [] == list(clean.iterdir())


@pytest.mark.usefixtures("simulated")
def test_run_without_tokens_does_not_play_a_simulated_market(minerpulse: RunCli) -> None:
    assert (2, "") == minerpulse("run")[:2]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        pytest.param({}, 3, id="no tokens"),
        pytest.param({"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_SIGNING_SECRET": "abc"}, 0, id="tokens"),
        pytest.param({"SLACK_BOT_TOKEN": "xoxb-1"}, 2, id="half of them"),
        pytest.param({"MINERPULSE_TICKS": "1"}, 2, id="a wrong setting"),
    ],
)
def test_a_check_has_an_exit_code_and_starts_nothing(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], code: int
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    result = minerpulse("run", "--check")

    assert (code, "") == (result.code, result.out)
    assert (code == 2) is bool(result.err)


def make_run(clean: Path, **variables: str) -> subprocess.Popen[str]:
    """Start `make run` in a folder of its own, with the installed program."""
    shutil.copy(ROOT / "Makefile", clean)
    for name in ("requirements.txt", "pyproject.toml"):
        (clean / name).touch()
    programs = clean / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "minerpulse"):
        (programs / name).symlink_to(Path(MINERPULSE).with_name(name))
    (clean / ".venv" / ".run").touch()
    return subprocess.Popen(
        ["make", "--silent", "run"],  # noqa: S607 -- whichever make there is
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=clean,
        env={"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(clean), **variables},
        start_new_session=True,
        preexec_fn=restore_sigint,  # noqa: PLW1509 -- nothing else is done in it
    )


def test_make_run_without_tokens_rehearses_until_interrupted(clean: Path) -> None:
    with make_run(clean) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        lines = [process.stdout.readline() for _ in range(2)]
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        errors = process.stderr.read()
    assert "No Slack tokens are set: this is a rehearsal." in lines[0]
    assert lines[1].startswith("Rehearsing SIMULATED market 1: ")
    assert "Traceback" not in errors


def test_make_run_with_a_wrong_setting_is_an_error_and_no_rehearsal(clean: Path) -> None:
    with make_run(clean, SLACK_BOT_TOKEN="xoxb-1") as process:
        out, errors = process.communicate()
    assert (2, "") == (process.returncode, out)
    assert errors.startswith("Slack is only partly configured: missing ")


async def test_run_with_a_rejected_token_is_an_error_with_a_next_step(clean: Path) -> None:
    async with serve_workspace(Workspace(now=lambda: datetime.now(UTC))) as workspace:
        process = await asyncio.create_subprocess_exec(
            MINERPULSE,
            "run",
            env={
                "SLACK_BOT_TOKEN": "xoxb-other",
                "SLACK_SIGNING_SECRET": "hush",
                "MINERPULSE_SLACK_API_URL": workspace.url,
                "XDG_DATA_HOME": str(clean),
            },
            cwd=clean,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    assert b"SLACK_BOT_TOKEN: Slack doesn't accept the app's token" in err
    assert b"unused" not in err
    assert b"xoxb-other" not in err
