"""Expected reasons: a code with parameters, whose numbers need not agree to the last digit."""

from dataclasses import dataclass
from typing import Any

import pytest

from services.core.reason import Code, Reason


@dataclass(frozen=True, eq=False)
class ExpectedReason:
    """Equal to every reason with this code and these parameters."""

    code: Code
    params: dict[str, object]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reason) and other.code is self.code and _close(self.params, dict(other.params))

    __hash__ = None  # type: ignore[assignment]


def reason(code: Code, /, **params: object) -> Any:  # noqa: ANN401 -- stands for a Reason
    """Return what is equal to a reason with these parameters; numbers may differ by a thousandth."""
    return ExpectedReason(code, params)


def _close(expected: object, actual: object) -> bool:
    match expected, actual:
        case float(), float():
            return bool(actual == pytest.approx(expected, rel=1e-3, abs=1e-9))
        case dict(), dict():
            return expected.keys() == actual.keys() and all(_close(expected[name], actual[name]) for name in expected)
        case tuple(), tuple():
            return len(expected) == len(actual) and all(map(_close, expected, actual))
        case _:
            return bool(expected == actual)


@dataclass(frozen=True, eq=False)
class ExpectedParams(ExpectedReason):
    """Equal to every reason with this code that has these parameters, among others."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reason) or other.code is not self.code:
            return False
        params = dict(other.params)
        return self.params.keys() <= params.keys() and all(
            _close(value, params[name]) for name, value in self.params.items()
        )

    __hash__ = None


def reason_with(code: Code, /, **params: object) -> Any:  # noqa: ANN401 -- stands for a Reason
    """Return what is equal to a reason that has these parameters, among others."""
    return ExpectedParams(code, params)
