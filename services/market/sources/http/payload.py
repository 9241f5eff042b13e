"""The kinds of value that vendors send, so strict that nothing but a price can become a price."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

YEAR_2001, YEAR_2100 = 978_307_200, 4_102_444_800  # between them, an epoch's size tells its unit
CHEAPEST, DEAREST = 1e-12, 10**12  # US dollars; anything beyond is a mistake

Price = Annotated[float, Field(strict=True, ge=CHEAPEST, lt=DEAREST, allow_inf_nan=False)]
WrittenPrice = Annotated[Decimal, Field(ge=Decimal("1e-12"), lt=DEAREST, allow_inf_nan=False)]
EpochSeconds = Annotated[int, Field(strict=True, ge=0, lt=YEAR_2100)]
PreciseSeconds = Annotated[float, Field(strict=True, ge=0, lt=YEAR_2100, allow_inf_nan=False)]
EpochMilliseconds = Annotated[int, Field(strict=True, ge=YEAR_2001 * 1000, lt=YEAR_2100 * 1000)]
EpochMicroseconds = Annotated[int, Field(strict=True, ge=YEAR_2001 * 1_000_000, lt=YEAR_2100 * 1_000_000)]
Epoch = Annotated[int, Field(strict=True, ge=YEAR_2001, lt=YEAR_2100)] | EpochMilliseconds
WrittenAmount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Instant = Annotated[AwareDatetime, Field(ge=datetime(1990, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC))]
WrittenSeconds = Annotated[str, Field(pattern=r"^[0-9]{1,10}$")]
WrittenSatoshis = Annotated[str, Field(pattern=r"^[0-9]{1,16}$")]


class Wire(BaseModel):
    """A part of a vendor's answer: only what is needed is named, in camelCase on the wire, and types are strict."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


def seconds(epoch: float) -> float:
    """Read an epoch in seconds, milliseconds or microseconds, of this century, by its size; vendors mix them."""
    unit = 1 if epoch < YEAR_2100 else 1_000 if epoch < YEAR_2100 * 1_000 else 1_000_000
    return epoch / unit
