"""The document that any command prints on stderr if it fails with `--json`."""

from typing import Annotated, Literal, TypeAlias

from typing_extensions import TypedDict

from bot.documents.fields import About, Versioned, schema_id

ErrorKind: TypeAlias = Literal["usage", "input", "data", "storage", "delivery", "configuration", "system"]


class ErrorFields(TypedDict):
    """An error."""

    kind: Annotated[
        ErrorKind,
        About("`usage`: the command line; `input`: a rule or a number; `configuration`: the settings or this machine"),
    ]
    message: Annotated[str, About("sentences: what happened, why and what to do; the wording may change")]
    exit_code: Annotated[int, About("exit code of the command")]


class ErrorDocument(Versioned):
    """An error from any command, on stderr; stdout is then empty."""

    error: ErrorFields


def error_document(kind: ErrorKind, message: str, exit_code: int) -> ErrorDocument:
    """Return the document of an error."""
    return {"schema": schema_id("error"), "error": {"kind": kind, "message": message, "exit_code": exit_code}}
