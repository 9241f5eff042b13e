"""JSON Schemas (2020-12) of the documents, and the table of their keys, both generated from the documents' types."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from bot.documents.alert import AlertData
from bot.documents.errors import ErrorDocument
from bot.documents.explain import ExplainDocument
from bot.documents.fields import VERSIONS, DocumentName
from bot.documents.health import HealthDocument
from bot.documents.operations import DoctorDocument, HoldingsDocument, MigrateDocument, SinksDocument
from bot.documents.pulse import PulseDocument
from bot.documents.report import ReportDocument
from bot.documents.rules import BacktestDocument, ReplayDocument, TuneDocument
from bot.documents.rules_plan import RulesDocument
from bot.documents.studies import DrawdownDocument, MinersDocument, NetworkDocument

DOCUMENTS: Mapping[DocumentName, type] = {
    "pulse": PulseDocument,
    "explain": ExplainDocument,
    "backtest": BacktestDocument,
    "tune": TuneDocument,
    "drawdown": DrawdownDocument,
    "network": NetworkDocument,
    "miners": MinersDocument,
    "replay": ReplayDocument,
    "report": ReportDocument,
    "doctor": DoctorDocument,
    "holdings": HoldingsDocument,
    "migrate": MigrateDocument,
    "health": HealthDocument,
    "sinks": SinksDocument,
    "rules": RulesDocument,
    "webhook": AlertData,
    "error": ErrorDocument,
}
TITLES: Mapping[DocumentName, str] = {
    "holdings": "`holdings list --json`",
    "sinks": "`sinks list --json`",
    "rules": "`rules diff --json` and `rules apply --json`",
    "webhook": "webhook data",
    "error": "error from any command with `--json`",
}

_ATTRIBUTES = re.compile(r"^ {4}(\w+(?:, \w+)*): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def document_schema(name: DocumentName) -> dict[str, Any]:
    """Return the schema of a document: every key is required, and no other is allowed."""
    version = VERSIONS[name]
    schema = _strict(TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization"))
    schema["properties"]["schema"] = {
        "const": {"name": name, "version": version},
        "description": "name and version of this schema",
    }
    del schema["$defs"]["SchemaId"]
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:minerpulse:{name}:{version}",
        **schema,
        "title": f"minerpulse {_title(name)}".replace("`", ""),
    }


def _title(name: DocumentName) -> str:
    """Return what a document is, in Markdown."""
    return TITLES.get(name, f"`{name} --json`")


def schema_file(name: DocumentName) -> str:
    """Return the file name of a document's schema."""
    return f"{name}.v{VERSIONS[name]}.json"


def _strict(schema: Any) -> Any:  # noqa: ANN401 -- any part of a schema
    """Return a part of a schema without defaults and titles of keys, where each object has exactly its keys."""
    match schema:
        case {"properties": dict(properties)}:
            about, notes = _split_docstring(schema.get("description", ""))
            keys = {
                name: _strict({"description": notes.get(name), **part, "title": None})
                for name, part in properties.items()
            }
            rest = _strict({key: value for key, value in schema.items() if key != "properties"})
            return {
                **rest,
                "description": about,
                "properties": keys,
                "required": list(keys),
                "additionalProperties": False,
            }
        case dict():
            return {key: _strict(value) for key, value in schema.items() if key != "default" and value is not None}
        case list():
            return [_strict(part) for part in schema]
        case _:
            return schema


def _split_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the text before the list of attributes, in one paragraph, and what the list says of each attribute."""
    text, _, listed = docstring.partition("Attributes:\n")
    notes = dict[str, str]()
    for names, note in _ATTRIBUTES.findall(listed):
        notes |= dict.fromkeys(names.split(", "), " ".join(note.split()))
    return " ".join(text.split()), notes


def keys_table() -> str:
    """Return a table in Markdown of the keys of every document, followed by those of the objects in them."""
    schemas = {name: document_schema(name) for name in DOCUMENTS}
    parts = dict[str, Any]()
    for schema in schemas.values():
        for title, part in schema["$defs"].items():
            if parts.setdefault(title, part) != part:
                raise ValueError(f"two objects of the documents are named {title}; rename one")
    titles = {name: f"{_title(name)[:1].upper()}{_title(name)[1:]}, version {VERSIONS[name]}" for name in schemas}
    documents = [_table(titles[name], schema, parts) for name, schema in schemas.items()]
    objects = [_table(title, part, parts) for title, part in sorted(parts.items()) if "properties" in part]
    return "\n\n".join([*documents, *objects])


def _table(title: str, schema: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    head = [f"### {title}", "", schema["description"], "", "| key | type | meaning |", "| --- | --- | --- |"]
    rows = [
        f"| `{key}` | {_type_name(part, parts)} | {_meaning(part)} |".replace("  |", " |")
        for key, part in schema["properties"].items()
    ]
    return "\n".join([*head, *rows])


def _type_name(part: Mapping[str, Any], parts: Mapping[str, Any]) -> str:
    """Return the name of a type; `parts` are the definitions that it may refer to."""
    match part:
        case {"$ref": str(ref)}:
            name = ref.rpartition("/")[2]
            return f"[{name}](#{name.lower()})" if "properties" in parts[name] else _type_name(parts[name], parts)
        case {"enum": list(values)}:
            return ", ".join(f"`{value}`" for value in values)
        case {"anyOf": list(options)}:
            return " or ".join(_type_name(option, parts) for option in options)
        case {"type": "array", "items": dict(items)}:
            return f"list of {_type_name(items, parts)}"
        case {"format": str(name)} | {"type": str(name)}:
            return name
        case _:
            return "object"


def _meaning(part: Mapping[str, Any]) -> str:
    nested = [part, *part.get("anyOf", []), part.get("items", {})]
    return next((str(one["description"]) for one in nested if "description" in one), "")
