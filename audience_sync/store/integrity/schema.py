"""Check that all tables, columns, indexes and views exist as the program expects them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from audience_sync.store.integrity.result import RESTORE, CheckResult, check_result
from audience_sync.store.tables import VIEWS, metadata, view_prefix


def check_schema(connection: Connection) -> CheckResult:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    context = MigrationContext.configure(connection, opts={"include_object": _is_ours})
    problems = [_describe(each) for each in compare_metadata(context, metadata)]
    problems += [
        f"the view {name} is missing, or can't be read" for name in VIEWS if not _can_read_view(connection, name)
    ]
    good = f"{len(metadata.tables)} tables and {len(VIEWS)} views are as expected"
    return check_result("schema", problems, good, RESTORE)


def _is_ours(_object: Any, name: str | None, kind: str, reflected: bool, _compared: Any) -> bool:
    return not (kind == "table" and reflected and name not in metadata.tables)


def _describe(difference: Any) -> str:
    """One of Alembic's differences, in words."""
    if isinstance(difference, list):  # of one column
        return f"the column {difference[0][3]} of {difference[0][2]} differs"
    what = difference[0].removeprefix("add_").replace("_", " ")
    if difference[0] == "add_column":
        return f"the column {difference[3].name} of {difference[2]} is missing"
    state = "missing" if difference[0].startswith("add_") else "unexpected, or differs"
    return f"the {what.removeprefix('remove ')} {getattr(difference[1], 'name', '')} is {state}"


def _can_read_view(connection: Connection, name: str) -> bool:
    try:
        with connection.begin_nested():
            connection.execute(text(f"select * from {view_prefix(connection)}{name} limit 1"))
    except SQLAlchemyError:
        return False
    return True
