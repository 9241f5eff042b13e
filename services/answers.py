"""Answers: what a study of the past comes to, each with what it rests on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.domain.trust import FULL, Trust

if TYPE_CHECKING:
    from datetime import date

    from services.domain.curve import Curve
    from services.domain.explain import Explanation
    from services.domain.hashrate import JudgedNetwork
    from services.domain.network_past import Standing
    from services.domain.precedent import Backtest
    from services.domain.prices import Quote
    from services.domain.report import Report
    from services.domain.so_far import SoFar
    from services.domain.tune import Shift, Tuned
    from services.domain.underwater import Underwater


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What an answer rests on: how far its last prices can be trusted, and what the sources failed at."""

    trust: Trust = FULL
    problems: tuple[str, ...] = ()
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Why the legs parted over a window, and what that rests on.

    `so_far` is the session that is open, apart from the window; where it cannot be parted, `unlive` says why.
    """

    explanation: Explanation
    basis: Basis
    so_far: SoFar | None = None
    unlive: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtested:
    """What a rule would have done, on which `curve`, and what that rests on."""

    backtest: Backtest
    curve: Curve
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report, and what it rests on."""

    report: Report
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The rule for a wanted rate, what it would change against others, and what that rests on."""

    tuned: Tuned
    shifts: tuple[Shift, ...]
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class Depths:
    """How far both legs are below their highs at a session's close; a leg without a price there is left out."""

    session: date
    legs: tuple[Underwater, ...]
    basis: Basis


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkView:
    """The bitcoin network now, each figure with its standing in its own past, and what mining earns.

    `price` is bitcoin's last, None where it is unknown. The hashprices are in US dollars for a petahash a second a day,
    with fees and without; the standing is of the one without. None is what cannot be told.
    """

    judged: JudgedNetwork
    price: Quote | None
    hashprice: float | None
    without_fees: float | None
    difficulty: Standing | None
    hashrate: Standing | None
    hashprice_standing: Standing | None
    basis: Basis
