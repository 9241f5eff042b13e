"""One row of the study: a claim, its nominal value, and what was measured."""

from typing import NamedTuple

from services.market.align import Aligned
from tests.fakes.price_files import real_pair

SYMBOLS = (
    "WGMI", "BITQ", "BKCH", "MARA", "RIOT", "CLSK", "IREN", "CIFR",
    "WULF", "CORZ", "HUT", "IBIT", "COIN", "MSTR", "SMH", "NVDA",
)  # fmt: skip  # they move together: 16 symbols are not 16 independent tests


class Claim(NamedTuple):
    """A claim, its nominal value, and the measured one, as text."""

    claim: str
    nominal: str
    measured: str


def real_pairs() -> dict[str, Aligned]:
    """Return 16 shares against bitcoin on real prices, each since its listing."""
    return {symbol: real_pair(symbol) for symbol in SYMBOLS}
