"""Strict pydantic types for vendor payloads."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from services.core.prices import MAX_PRICE, MIN_PRICE

T = TypeVar("T")

YEAR_2001, YEAR_2100 = 978_307_200, 4_102_444_800  # between them, the size of an epoch identifies its unit

Price = Annotated[float, Field(strict=True, ge=MIN_PRICE, lt=MAX_PRICE, allow_inf_nan=False)]
DecimalPrice = Annotated[Decimal, Field(ge=Decimal("1e-12"), lt=MAX_PRICE, allow_inf_nan=False)]
EpochSeconds = Annotated[int, Field(strict=True, ge=0, lt=YEAR_2100)]
EpochFloatSeconds = Annotated[float, Field(strict=True, ge=0, lt=YEAR_2100, allow_inf_nan=False)]
EpochMilliseconds = Annotated[int, Field(strict=True, ge=YEAR_2001 * 1000, lt=YEAR_2100 * 1000)]
EpochMicroseconds = Annotated[int, Field(strict=True, ge=YEAR_2001 * 1_000_000, lt=YEAR_2100 * 1_000_000)]
Epoch = Annotated[int, Field(strict=True, ge=YEAR_2001, lt=YEAR_2100)] | EpochMilliseconds
DecimalAmount = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Timestamp = Annotated[AwareDatetime, Field(ge=datetime(1990, 1, 1, tzinfo=UTC), lt=datetime(2100, 1, 1, tzinfo=UTC))]
EpochSecondsString = Annotated[str, Field(pattern=r"^[0-9]{1,10}$")]
SatoshisString = Annotated[str, Field(pattern=r"^[0-9]{1,16}$")]
Rows = Annotated[list[T], Field(fail_fast=True)]  # an unusable row ends the parsing: there may be thousands


class Payload(BaseModel):
    """Base of vendor payload models: strict types, camelCase aliases; fields that aren't declared are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


def epoch_seconds(epoch: float) -> float:
    """Return an epoch in seconds. Its size identifies seconds, milliseconds or microseconds, which vendors mix."""
    unit = 1 if epoch < YEAR_2100 else 1_000 if epoch < YEAR_2100 * 1_000 else 1_000_000
    return epoch / unit


def epoch_time(epoch: float) -> datetime:
    """Return an epoch in seconds, milliseconds or microseconds as a time in UTC."""
    return datetime.fromtimestamp(epoch_seconds(epoch), UTC)
