"""The kinds of value that vendors send, so strict that nothing but a price can become a price."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

YEAR_2100 = 4_102_444_800
DEAREST = 10**12  # US dollars; anything above is a mistake

Price = Annotated[float, Field(strict=True, gt=0, lt=DEAREST, allow_inf_nan=False)]
WrittenPrice = Annotated[Decimal, Field(gt=0, lt=DEAREST, allow_inf_nan=False)]
EpochSeconds = Annotated[int, Field(strict=True, ge=0, lt=YEAR_2100)]


class Wire(BaseModel):
    """A part of a vendor's answer: only what is needed is named, in camelCase on the wire, and types are strict."""

    model_config = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)
