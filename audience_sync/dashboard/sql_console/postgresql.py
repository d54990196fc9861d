"""Run a person's query on a PostgreSQL store, in a transaction that can only read, on the views' schema alone.

The query is the subquery of one prepared statement, so it can be nothing but a SELECT. Its names are checked before:
no other schema, no system catalog, no function that does more than compute. A role that has rights on the views only
makes the database itself refuse the rest.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import Connection as Driver
from psycopg import Error, RawCursor
from psycopg.errors import QueryCanceled, error_from_result
from psycopg.pq import ExecStatus
from sqlalchemy import Engine

from audience_sync.dashboard.sql_console.masked_views import masked_prefix
from audience_sync.dashboard.sql_console.result import (
    AS_LONG_AS_ALLOWED,
    CHARACTERS,
    ROWS,
    SECONDS,
    VALUE_CHARACTERS,
    QueryError,
    QueryResult,
    too_long,
)
from audience_sync.dashboard.sql_console.tokens import Token, TokenKind, tokens
from audience_sync.store.connection.engine import WITHOUT_JIT
from audience_sync.store.tables.views import VIEW_SCHEMA

#: Characters of a value; a longer one is cut.
LONGEST_VALUE = 100_000
#: Stable functions that read tables or settings by their name in a text.
_READING_FUNCTIONS = frozenset(
    {"current_setting", "ts_stat", "ts_rewrite", "has_table_privilege", "dblink", "inet_server_addr"}
)
#: Volatile functions that only compute.
_HARMLESS = frozenset(
    {"random", "random_normal", "clock_timestamp", "timeofday", "gen_random_uuid", "uuidv4", "uuidv7"}
)
_RELATIONS = """
    select c.relname from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %s
"""
_CATALOG_EXCEPTIONS = frozenset({"pg_typeof"})
_INTEGERS, _FLOATS, _NUMERIC, _BOOLEAN = frozenset({20, 21, 23, 26}), frozenset({700, 701}), 1700, 16


def run_on_postgresql(
    engine: Engine,
    columns: Mapping[str, Sequence[str]],
    sql: str,
    *,
    mask_key: bytes | None = None,
    seconds: float = SECONDS,
    rows: int = ROWS,
) -> QueryResult:
    """Run one query. ``columns``: of the views, by name. Raises QueryError."""
    sql = sql.rstrip()
    found = tokens(sql, is_sqlite=False)
    while found and found[-1].text == ";":
        sql = sql[: found[-1].start]
        found.pop()
    if not found:
        raise QueryError("there is no query.", hint="Choose a question at the side, or write one.")
    prefix = "" if mask_key is None else _masked(columns, mask_key)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        try:
            driver.rollback()
            _begin(driver, seconds)
            _check(driver, found, columns, is_masked=mask_key is not None)
            _parse(driver, sql, found)
            return _run(driver, prefix, sql, found, rows)
        except QueryCanceled:
            raise too_long(seconds) from None
        finally:
            connection.invalidate()  # nothing that a query set stays in the pool


def _begin(driver: Driver[Any], seconds: float) -> None:
    """Begin a transaction that can't be made to write: its first query fixes that."""
    milliseconds = round(seconds * 1000)
    driver.execute(
        "set transaction isolation level repeatable read, read only; "
        f"set local statement_timeout = {milliseconds}; set local lock_timeout = {milliseconds}; "
        f"set local idle_in_transaction_session_timeout = {milliseconds * 4}; "
        f"set local search_path = {VIEW_SCHEMA}; set local time zone 'UTC'; set local intervalstyle = 'postgres'; "
        "set local datestyle = 'ISO'; set local standard_conforming_strings = on; "
        f"set local max_parallel_workers_per_gather = 0; {WITHOUT_JIT}; select 1"
    )


def _check(
    driver: Driver[Any], found: Sequence[Token], columns: Mapping[str, Sequence[str]], *, is_masked: bool
) -> None:
    """Refuse names that reach beyond the views: other schemas, the catalog, functions with effects."""
    schemas = {row[0] for row in driver.execute("select nspname from pg_catalog.pg_namespace")}
    # The tables are there too, if the role's `search_path` began with it when they were created.
    others = {row[0] for row in driver.execute(_RELATIONS, [VIEW_SCHEMA])} - columns.keys()
    # `f(x)`, and `x.f`, which is the same for some arguments.
    called = [
        each
        for before, each, after in zip([None, *found], found, [*found[1:], None], strict=False)
        if each.kind is TokenKind.NAME and ((before and before.text == ".") or (after and after.text == "("))
    ]
    query = "select proname from pg_catalog.pg_proc where provolatile = 'v' and proname = any(%s)"
    volatile = {row[0] for row in driver.execute(query, [[each.text for each in called]])} - _HARMLESS
    for index, each in enumerate(found):
        after = found[index + 1].text if index + 1 < len(found) else ""
        if each.text in ("u", "U") and after == "&":
            raise QueryError("`U&` can’t be used here: write the character itself.", position=each.start)
        if each.kind is not TokenKind.NAME:
            continue
        if after == "." and each.text in schemas and (each.text != VIEW_SCHEMA or is_masked):
            hint = "Write a view’s name alone." if is_masked else "Only the views on this page can be read."
            raise QueryError(f"the schema `{each.text}` can’t be read here.", position=each.start, hint=hint)
        if each.text in others or (each.text.startswith("pg_") and each.text not in _CATALOG_EXCEPTIONS):
            raise _refused(each)
    for each in called:
        if each.text in volatile | _READING_FUNCTIONS or "_to_xml" in each.text or each.text.startswith("lo_"):
            raise _refused(each)


def _refused(token: Token) -> QueryError:
    message = f"`{token.text}` can’t be read or used here."
    return QueryError(message, position=token.start, hint="Only the views on this page can be read.")


def _parse(driver: Driver[Any], sql: str, found: Sequence[Token]) -> None:
    """Let the server parse the query by itself, without running it: an error then is at its own place."""
    result = driver.pgconn.prepare(b"", sql.encode())
    if result.status != ExecStatus.COMMAND_OK:
        raise _error(error_from_result(result), sql, 0, found)


def _run(driver: Driver[Any], prefix: str, sql: str, found: Sequence[Token], rows: int) -> QueryResult:
    started = time.monotonic()
    cursor = RawCursor(driver)
    begin = f"{prefix}select * from (\n"
    try:
        cursor.execute(f"{begin}{sql}\n) as result limit $1", [0])
        described = list(cursor.description or ())
        shown = ", ".join(f"left(c{number}::text, {LONGEST_VALUE})" for number in range(len(described)))
        names = ", ".join(f"c{number}" for number in range(len(described)))
        if not described:
            return QueryResult(columns=[], rows=[], seconds=time.monotonic() - started)
        begin = f"{prefix}select {shown} from (\n"
        kept, characters, cut = list[list[Any]](), 0, ""
        for row in cursor.stream(f"{begin}{sql}\n) as result({names}) limit $1", [rows + 1]):
            if len(kept) == rows:
                cut = f"Only the first {rows:,} rows are shown."
                break
            if characters > CHARACTERS:
                cut = f"Only the first {len(kept):,} rows are shown: {AS_LONG_AS_ALLOWED}"
                break
            kept.append([_value(each, column.type_code) for each, column in zip(row, described, strict=True)])
            characters += sum(len(each) for each in row if each is not None) + VALUE_CHARACTERS * len(row)
    except QueryCanceled:
        raise
    except Error as error:
        raise _error(error, sql, len(begin), found) from None
    return QueryResult(
        columns=[each.name for each in described], rows=kept, seconds=time.monotonic() - started, cut=cut
    )


def _value(text: str | None, kind: int) -> Any:
    """Turn the text of a value into what JSON has; a time loses its zone, which is UTC."""
    if text is None:
        return None
    if kind in _INTEGERS:
        return int(text)
    if kind in _FLOATS and text not in ("NaN", "Infinity", "-Infinity"):
        return float(text)
    if kind == _NUMERIC and text not in ("NaN", "Infinity", "-Infinity"):
        return float(text) if "." in text else int(text)
    if kind == _BOOLEAN:
        return text == "true"
    return text.removesuffix("+00")


def _error(error: Error, sql: str, before: int, found: Sequence[Token]) -> QueryError:
    """Explain an error of the server, at its place in the person's query."""
    message = (error.diag.message_primary or str(error)).strip()
    place = error.diag.statement_position
    position = int(place) - 1 - before if place else None
    if position is not None and not 0 <= position < len(sql):
        position = len(sql.rstrip()) - 1 if position >= len(sql) else None
    if "multiple commands" in message:
        second = next((each.start for each in found if each.text == ";"), None)
        return QueryError("only one statement can be run.", position=second, hint="Remove what follows the first `;`.")
    hint = (error.diag.message_hint or "").strip()
    if error.sqlstate == "42P01":
        hint = hint or "Only the views on this page can be read."
    return QueryError(f"{message}.", position=position, hint=hint)


def _masked(columns: Mapping[str, Sequence[str]], key: bytes) -> str:
    """The views with masked columns: HMAC-SHA256 written with the server's SHA-256, as the pages compute it."""
    padded = key.ljust(64, b"\0")
    inner, outer = (bytes(each ^ pad for each in padded).hex() for pad in (0x36, 0x5C))
    hashed = rf"sha256('\x{inner}'::bytea || convert_to({{0}}, 'UTF8'))"
    digest = rf"encode(sha256('\x{outer}'::bytea || {hashed}), 'hex')"
    mask_id = f"case when {{0}} is null then null else 'user-' || left({digest}, 8) end"
    mask_text = r"""regexp_replace({0}, '([''"`]).*\1|[^\s:=,;()<>]+@[^\s:=,;()<>]+|(?<!\w)\+?\d{{6,}}', '...', 'g')"""
    return masked_prefix(columns, schema=VIEW_SCHEMA, mask_id=mask_id, mask_text=mask_text)
