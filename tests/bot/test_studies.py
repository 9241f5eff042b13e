"""`minerpulse drawdown`, `miners` and `network` say in the terminal what Slack says, live or simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.bot.conftest import Ran


@pytest.fixture(autouse=True)
def _simulated(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001 -- clean comes first
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_SOURCE_URLS", "mempool=http://127.0.0.1:9,blockchain=http://127.0.0.1:9")


def test_both_drawdowns_are_shown(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("drawdown")
    assert (ran.code, ran.out.startswith("SIMULATED: WGMI ")) == (0, True)


def test_a_fund_without_holdings_says_what_to_do(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("miners", "20d")
    assert (ran.code, ran.out) == (1, "")
    assert "imports a file of them with `minerpulse holdings import FILE.csv`." in ran.err


def test_a_network_that_cannot_be_reached_says_why(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("network")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("Nothing is known of the bitcoin network yet. mempool.space on network: ")
