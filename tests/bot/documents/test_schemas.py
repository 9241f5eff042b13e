"""Every document has a schema; `SCHEMAS=write pytest tests/bot/documents` updates schemas and golden documents."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from typing_extensions import TypedDict

from bot.documents.fields import VERSIONS, DocumentName, Versioned
from bot.documents.schemas import DOCUMENTS, document_schema, keys_table, schema_file
from tests.bot.conftest import ROOT
from tests.bot.documents.samples import SAMPLES, as_json

SCHEMAS = ROOT / "docs" / "schemas"
GOLDEN = Path(__file__).parent / "golden"
IS_WRITING = os.environ.get("SCHEMAS") == "write"
NAMES = get_args(DocumentName)
WITHOUT_PRICES = {"doctor", "holdings", "migrate", "health", "sinks", "rules", "webhook", "error"}


@cache
def validator(name: DocumentName) -> Draft202012Validator:
    """Return the validator of the schema file, formats included."""
    schema = json.loads((SCHEMAS / schema_file(name)).read_text("utf-8"))
    return Draft202012Validator(schema, format_checker=FormatChecker())


def golden(name: DocumentName) -> dict[str, Any]:
    """Return the golden document."""
    document: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return document


def _write(path: Path, document: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_file_matches_the_types(name: DocumentName) -> None:
    if IS_WRITING:
        _write(SCHEMAS / schema_file(name), document_schema(name))
    Draft202012Validator.check_schema(document_schema(name))

    assert document_schema(name) == validator(name).schema


def test_two_objects_with_one_name_cannot_share_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class ErrorFields(TypedDict):
        """Another object of this name."""

        reason: str

    class OtherDocument(Versioned):
        """A document with it."""

        error: ErrorFields

    monkeypatch.setitem(cast("dict[str, type]", DOCUMENTS), "migrate", OtherDocument)

    with pytest.raises(ValueError, match="two objects of the documents are named ErrorFields"):
        keys_table()


def approximate(value: object) -> object:
    """Return a document whose numbers compare equal to nearby ones, as another platform rounds."""
    match value:
        case dict():
            return {key: approximate(part) for key, part in value.items()}
        case list():
            return [approximate(part) for part in value]
        case float():
            return pytest.approx(value, rel=1e-9, abs=1e-12)
        case _:
            return value


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_document_is_what_the_command_prints(name: DocumentName) -> None:
    document = as_json(SAMPLES[name]())
    if IS_WRITING:
        _write(GOLDEN / f"{name}.json", document)

    assert approximate(golden(name)) == document


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_document_is_valid(name: DocumentName) -> None:
    validator(name).validate(golden(name))


def objects(value: object) -> list[dict[str, Any]]:
    """Return every object in a document."""
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [*([value] if isinstance(value, dict) else []), *(found for part in inner for found in objects(part))]


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_key_and_an_extra_key_are_invalid_in_every_object(name: DocumentName) -> None:
    document, is_valid = golden(name), validator(name).is_valid
    for place in objects(document):
        place["surplus"] = 1
        assert not is_valid(document)
        del place["surplus"]

        key = next(key for key in place if key != "value")  # a `value` distinguishes two kinds of transition
        value = place.pop(key)
        assert not is_valid(document)
        place[key] = value
    assert is_valid(document)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_keys_are_the_schema_and_the_time(name: DocumentName) -> None:
    document = golden(name)

    first_keys = ["schema"] if name in WITHOUT_PRICES else ["schema", "as_of"]
    assert first_keys == list(document)[: len(first_keys)]
    assert {"name": name, "version": VERSIONS[name]} == document["schema"]


def test_another_version_is_invalid() -> None:
    document = golden("drawdown") | {"schema": {"name": "drawdown", "version": 2}}

    assert not validator("drawdown").is_valid(document)


def test_every_document_has_a_schema_and_no_other_file_is_there() -> None:
    current = {schema_file(name) for name in NAMES}

    assert set(NAMES) == set(DOCUMENTS) == set(VERSIONS) == set(SAMPLES)
    assert current <= {path.name for path in SCHEMAS.iterdir()}
