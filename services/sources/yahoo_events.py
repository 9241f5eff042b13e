"""Yahoo's events: the dividends and splits that stand beside the closes of a chart."""

from __future__ import annotations

from datetime import datetime
from math import prod
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from services.domain.actions import Action, Kind
from services.sources.daily import NEW_YORK
from services.sources.wire import EpochSeconds, Wire

if TYPE_CHECKING:
    from datetime import date

BIGGEST_SPLIT = 1e12  # of all splits together

Amount = Annotated[float, Field(gt=-1e9, lt=1e9, allow_inf_nan=False)]
Shares = Annotated[float, Field(gt=0, lt=1e6, allow_inf_nan=False)]


class _Dividend(Wire):
    date: EpochSeconds
    amount: Amount


class _Split(Wire):
    date: EpochSeconds
    numerator: Shares
    denominator: Shares

    @property
    def ratio(self) -> float:
        """New shares for one old share."""
        return self.numerator / self.denominator


class Events(Wire):
    """The events of a chart, by their instant; a key is missing where there are none."""

    dividends: dict[str, _Dividend] = Field(default_factory=dict)
    splits: dict[str, _Split] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_measurable(self) -> Self:
        """Refuse splits so large or small, one by one or together, that no amount could be brought over them."""
        if not prod(max(one.ratio, one.denominator / one.numerator) for one in self.splits.values()) < BIGGEST_SPLIT:
            raise ValueError("splits beyond all measure")
        return self

    def actions(self, since: date) -> tuple[Action, ...]:
        """Give what is declared from `since` on, oldest first.

        Yahoo tells dividends in shares of today, as its closes; here they are in the shares of their day. An event is
        stamped with the opening of its session.
        """
        splits = {_day(one.date): one.ratio for one in self.splits.values()}
        paid = {_day(one.date): one.amount for one in self.dividends.values()}
        told = [Action(session=day, kind=Kind.SPLIT, value=ratio) for day, ratio in splits.items()]
        for day, amount in paid.items():
            later = prod(ratio for at, ratio in splits.items() if at > day)
            told.append(Action(session=day, kind=Kind.DIVIDEND, value=amount * later))
        return tuple(sorted((one for one in told if one.session >= since), key=lambda one: one.session))


def _day(stamp: int) -> date:
    return datetime.fromtimestamp(stamp, NEW_YORK).date()
