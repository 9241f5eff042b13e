"""Parts that several documents share."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from handlers.render.reasons import sentence, sentences
from services.core.prices import to_datetime
from services.core.sessions import sessions_around
from services.core.trust import Trust, Verdict
from services.market.align import Exclusion, Leg
from services.market.basis import Basis
from services.research.service import Provenance

DocumentName: TypeAlias = Literal[
    "pulse",
    "explain",
    "backtest",
    "tune",
    "drawdown",
    "network",
    "miners",
    "replay",
    "report",
    "doctor",
    "holdings",
    "migrate",
    "sinks",
    "rules",
    "webhook",
    "health",
    "error",
]
VERSIONS: dict[DocumentName, int] = {  # raised by every change of a released schema
    "pulse": 1,
    "explain": 1,
    "backtest": 1,
    "tune": 1,
    "drawdown": 1,
    "network": 1,
    "miners": 1,
    "replay": 1,
    "report": 1,
    "doctor": 1,
    "holdings": 1,
    "migrate": 1,
    "sinks": 1,
    "rules": 1,
    "webhook": 1,
    "health": 1,
    "error": 1,
}


@dataclass(frozen=True, slots=True)
class About:
    """The meaning of a key, which is its description in the schema."""

    text: str

    def __get_pydantic_json_schema__(self, schema: object, generate: Callable[[object], dict[str, object]]) -> object:
        """Return the schema with the description. Commands that print a document do not import pydantic."""
        return {**generate(schema), "description": self.text}


Fraction: TypeAlias = Annotated[float, About("fraction: 0.083 is 8.3%, or 8.3 pp for a spread")]
Percentile: TypeAlias = Annotated[float, About("from 0 to 100; ties count half")]
Share: TypeAlias = Annotated[float, About("fraction from 0 to 1")]
Correlation: TypeAlias = Annotated[float, About("Pearson's correlation, from -1 to 1")]
StandardError: TypeAlias = Annotated[float, About("HC3 standard error")]
Usd: TypeAlias = Annotated[float, About("US dollars")]
Seconds: TypeAlias = Annotated[float, About("seconds")]
Count: TypeAlias = Annotated[int, About("count")]
RuleText: TypeAlias = Annotated[str, About("rule as it is typed, such as `5d 15pp`")]
RuleValue: TypeAlias = Annotated[
    float, About("in the unit of the rule's metric; a fraction for pp and %, otherwise the number itself")
]
Record = TypeVar("Record")
Value = TypeVar("Value")
Fields = TypeVar("Fields")


class SchemaId(TypedDict):
    """The schema of the document: docs/schemas/NAME.vVERSION.json."""

    name: str
    version: int


class Versioned(TypedDict):
    """A document with a schema."""

    schema: SchemaId


class Document(Versioned):
    """What every document on prices has."""

    as_of: Annotated[datetime, About("time (UTC) of the newest prices that the document uses")]


class DataQuality(TypedDict):
    """Whether the last prices can be used, and why."""

    verdict: Verdict
    reasons: Annotated[list[str], About("sentences")]


class Quality(DataQuality):
    """Data quality, failures of sources, whether the prices are simulated, and which sessions the answer counts."""

    problems: Annotated[list[str], About("sentences: source failures, and warnings about files")]
    simulated: bool
    history: Annotated[Basis | None, About("sessions that are counted; null if only a window is counted, or none")]


class LeftOut(TypedDict):
    """A session without a usable price on one leg."""

    session: date
    leg: Leg
    reason: Annotated[str, About("sentence")]


def schema_id(name: DocumentName) -> SchemaId:
    """Return the name and the version of a document's schema."""
    return {"name": name, "version": VERSIONS[name]}


def close_of(session: date) -> datetime:
    """Return the time at which a session closes."""
    calendar = sessions_around(session, since=session)
    return to_datetime(calendar.closes_at[np.searchsorted(calendar.days, np.datetime64(session))])


def data_quality(trust: Trust) -> DataQuality:
    """Return the verdict with its distinct reasons."""
    return {"verdict": trust.verdict, "reasons": sentences(trust.reasons)}


def quality(provenance: Provenance) -> Quality:
    """Return the data quality of a result."""
    return {
        "verdict": provenance.trust.verdict,
        "reasons": sentences(provenance.trust.reasons),
        "problems": list(map(sentence, provenance.problems)),
        "simulated": provenance.simulated,
        "history": if_known(provenance.basis, record),
    }


def left_out(exclusions: Iterable[Exclusion]) -> list[LeftOut]:
    """Return the sessions without a price."""
    return [{"session": one.session, "leg": one.leg, "reason": sentence(one.reason)} for one in exclusions]


def record(value: Record) -> Record:
    """Return the fields of a dataclass, typed as the dataclass: its schema has the same fields."""
    return cast("Record", asdict(cast("Any", value)))


def if_known(value: Value | None, fields_of: Callable[[Value], Fields]) -> Fields | None:
    """Return the fields of a value; None without one."""
    return None if value is None else fields_of(value)
