"""No table can lack a row: a missing one fails when its module is imported, and names the table and the key."""

import ast
import sys
from collections.abc import Iterator
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from bot.manifest import BOARD_SHORTCUT
from bot.settings import SOURCE_KEYS, Settings
from handlers.actions import ACTIONS
from handlers.commands import COMMANDS
from handlers.listeners import MODALS, SHORTCUTS
from services.alerting.setting_syntax import SETTINGS
from services.market.metrics import METRICS
from services.market.sources.catalogue import SOURCES

ROOT = Path(__file__).parents[1]
# Dicts by enum member that need no row for each: a default is meant, or all of them are built in one place.
PARTIAL = {
    ("services/alerting/open_alerts.py", "EntryKind"),
    ("services/research/track_record.py", "ClosedBy"),
    ("services/storage/rules.py", "RuleAuditKind"),
}


@cache
def modules() -> tuple[tuple[Path, ast.Module], ...]:
    packages = [ROOT / package for package in ("bot", "handlers", "services")]
    paths = [path for package in packages for path in sorted(package.rglob("*.py")) if "migrations" not in path.parts]
    return tuple((path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def checked_dict(tree: ast.Module, call: ast.Call) -> ast.Dict:
    """Return the rows that a call of `complete` checks: its argument, or the dict of that name."""
    rows = call.args[2]
    if isinstance(rows, ast.Dict):
        return rows
    assert isinstance(rows, ast.Name)
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict() as value) if name == rows.id:
                return value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Dict() as value) if name == rows.id:
                return value
            case _:
                pass
    raise AssertionError(f"{rows.id} is not a dict of its module")


def checked_tables() -> Iterator[tuple[str, str]]:
    for path, tree in modules():
        for node in ast.walk(tree):
            if called(node) == "complete":
                assert isinstance(node, ast.Call)
                yield ".".join(path.with_suffix("").parts), ast.literal_eval(node.args[0])


TABLES = sorted(set(checked_tables()))


@pytest.mark.parametrize(("module", "table"), TABLES, ids=[f"{module}.{table}" for module, table in TABLES])
def test_a_table_without_a_row_fails_at_import(module: str, table: str) -> None:
    original = import_module(module)
    tree = ast.parse(Path(str(original.__file__)).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if called(node) == "complete"]
    call = next(node for node in calls if isinstance(node, ast.Call) and ast.literal_eval(node.args[0]) == table)
    rows = checked_dict(tree, call)
    key = rows.keys.pop(0)
    rows.values.pop(0)
    assert key is not None

    broken = ModuleType(module)
    broken.__file__ = original.__file__
    with pytest.raises(AssertionError) as caught:
        exec(compile(tree, module, "exec"), broken.__dict__)  # noqa: S102 -- our own source

    name = eval(ast.unparse(key), vars(original))  # noqa: S307 -- our own source
    shown = getattr(name, "value", name) if isinstance(name, str) else name
    assert f"{table} has no row for {shown}; add one." == str(caught.value)
    assert sys.modules[module] is original


@cache
def enum_names() -> set[str]:
    return {name for _, tree in modules() for name in enums_of(tree)}


def enums_of(tree: ast.Module) -> set[str]:
    """Return the enums that a module defines: another one may have a class of the same name."""
    names = {"Enum", "StrEnum"}
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    return {one.name for one in classes if any(isinstance(base, ast.Name) and base.id in names for base in one.bases)}


def test_every_table_by_enum_member_is_checked() -> None:
    """A dict with a key such as `RuleStatus.OK` is an argument of `complete`, or is checked by its name."""
    enums, unchecked = enum_names(), []
    for path, tree in modules():
        checked = {
            id(checked_dict(tree, node))
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and called(node) == "complete"
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict) and id(node) not in checked:
                unchecked += [(path.as_posix(), enum) for enum in map(enum_of, node.keys) if enum in enums]
    assert set() == set(unchecked) - PARTIAL


def enum_of(key: ast.expr | None) -> str:
    """Return `Enum` of a key `Enum.MEMBER` or `Enum.MEMBER.value`; empty for another key."""
    match key:
        case ast.Attribute(value=ast.Name(id=name)) | ast.Attribute(value=ast.Attribute(value=ast.Name(id=name))):
            return name
        case _:
            return ""


def calls(*functions: str) -> list[ast.Call]:
    """Return the calls of these functions that render messages."""
    return [
        node
        for path, tree in modules()
        if path.parts[:2] == ("handlers", "render")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) in functions
    ]


def test_every_button_and_menu_of_a_message_has_an_action() -> None:
    ids = [call.args[0] for call in calls("button", "select_menu", "overflow")]
    assert ACTIONS.keys() >= {one.value for one in ids if isinstance(one, ast.Constant)}


def test_every_form_that_can_be_submitted_has_a_row() -> None:
    forms = [call for call in calls("modal") if any(keyword.arg == "submit" for keyword in call.keywords)]
    assert MODALS.keys() == {ast.literal_eval(form.args[0]) for form in forms}


def test_every_shortcut_of_the_manifest_has_a_row() -> None:
    assert {BOARD_SHORTCUT["callback_id"]} == SHORTCUTS.keys()


def test_every_key_of_a_source_is_a_setting() -> None:
    assert {name for names in SOURCE_KEYS.values() for name in names} <= Settings.model_fields.keys()


def test_no_two_rows_have_one_name() -> None:
    names = [[row.name for row in SOURCES], [row.name for row in COMMANDS], [*METRICS], [*SETTINGS]]
    assert [sorted(set(row)) for row in names] == [sorted(row) for row in names]


def test_enums_have_no_hidden_aliases() -> None:
    """Two members with one value are one member, whose row would serve both."""
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name in enums_of(tree):
                enum = getattr(import_module(".".join(path.with_suffix("").parts)), node.name)
                assert issubclass(enum, Enum)
                assert list(enum.__members__.values()) == list(enum)
