"""DuckDB reads the views of a store on SQLite and on PostgreSQL. In an environment with its extensions (see .ci/run).

check_duckdb.py POSTGRESQL_ADDRESS, in a folder with audience_sync.db
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import duckdb
from duckdb_extensions import import_extension  # type: ignore[import-not-found]  # of its own environment

PAGE = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text("utf-8")


def rows(query: str) -> list[tuple[Any, ...]]:
    return duckdb.execute(query).fetchall()


def main() -> None:
    section = PAGE.partition("## DuckDB\n")[2].partition("\n## ")[0]
    [code] = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    overlap = names["overlap"].fetchall()
    assert overlap, "no two audiences share a user"
    assert overlap == sorted(overlap, key=lambda row: -row[2])

    import_extension("postgres_scanner")
    [attach] = re.findall(r"`(load postgres; attach [^`]+)`", section)
    duckdb.sql(attach.replace("dbname=shop", sys.argv[1]).replace(" as store ", " as server "))
    views = [name for (name,) in rows(names["views"])]
    for view in set(views) - {"decisions"}:  # the copy has one more: that it was made
        there, here = rows(f"select count(*) from server.{view}"), rows(f"select count(*) from {view}")
        assert there == here, (view, there, here)
    assert rows("select count(*) > 30000 from trait_values") == [(True,)]
    assert rows("select max(started_at::timestamp) > '2026-01-01' from sync_runs") == [(True,)]
    assert rows("select typeof(started_at) from server.sync_runs limit 1")[0][0].startswith("TIMESTAMP")
    for written in ("server.sync_runs", "store.runs"):
        try:
            duckdb.sql(f"delete from {written}")
        except duckdb.Error:
            continue
        raise AssertionError(f"{written} can be written")
    print(f"DuckDB: {len(views) + 6} passed, 0 failed")


if __name__ == "__main__":
    main()
