"""Make two days of deterministic snapshots, as CSV and Parquet, and what a receiver should be sent of them.

    python benchmarks/data.py FOLDER --kind shop --users 10000

This runs in a process of its own: the kernel counts a parent's memory as that of its children.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import duckdb

USER_ID = "md5('user' || i)::uuid::varchar"

#: One percent of the users change: a quarter of them each in an audience, the other one, the number and the text.
#: Numbers are rounded: one with more than 15 digits would make a text of every number in its CSV column.
SHOP = """
create table users as
select *, newsletter0 <> coalesce(change = 0, false) as newsletter1, buyers0 <> coalesce(change = 1, false) as buyers1,
    round(score0 + if(change = 2, 1, 0), 2) as score1, if(change = 3, 'moved to ' || city0, city0) as city1
from (
    select {id} as user_id, md5('order' || i) as place,
        md5_number_lower('newsletter' || i) % 100 < 50 as newsletter0,
        md5_number_lower('buyers' || i) % 100 < 30 as buyers0,
        (md5_number_lower('score' || i) % 100000) / 100 as score0,
        'City ' || md5_number_lower('city' || i) % 500 as city0,
        if(i % 100 = 7, i // 100 % 4, null) as change
    from range({users}) r(i))
"""
SHOP_FILES = {
    "newsletter": "select user_id from users where newsletter{day} order by place",
    "buyers": "select user_id from users where buyers{day} order by place",
    "traits": "select user_id, score{day} as score, city{day} as city from users order by place",
}
SHOP_EXPECTED = {
    "first": """select count(*), count(*) filter (newsletter0), count(*) filter (buyers0),
        2 * count(*) + count(*) filter (newsletter0) + count(*) filter (buyers0) from users""",
    "1%": """select count(change), count(change) filter (newsletter1 and not newsletter0),
        count(change) filter (buyers1 and not buyers0), count(change) from users""",
}

#: The same users, each with an e-mail address, which does not change.
PEOPLE_FILES = {
    **SHOP_FILES,
    "traits": "select user_id, score{day} as score, city{day} as city, place[:12] || '@example.com' as email "
    "from users order by place",
}
PEOPLE_EXPECTED = {**SHOP_EXPECTED, "first": SHOP_EXPECTED["first"].replace("2 * count(*)", "3 * count(*)")}

#: One audience; half a percent of its members leave and as many enter.
MEMBERS = """
create table users as
select {id} as user_id, md5('order' || i) as place, i < {users} as day0, i % 200 <> 7 or i >= {users} as day1
from range({users} + {users} // 200) r(i)
"""
MEMBERS_FILES = {"members": "select user_id from users where day{day} order by place"}
MEMBERS_EXPECTED = {
    "first": "select count(*), count(*), 0, count(*) from users where day0",
    "1%": "select count(*), count(*) filter (day1), 0, count(*) from users where day0 <> day1",
}

#: 200 audiences, each with a tenth of the users; of each, half a percent of the members leave and as many enter.
MANY = """
create table users as
select a, k * 10 + (a * k) % 10 as i0, k * 10 + (a * k + if(k % 200 = a, 1, 0)) % 10 as i1
from range(200) r(a), range({users} // 10) s(k)
"""
MANY_FILES = {
    "audiences": """select {id} as user_id, 'Audience ' || a as audience
        from (select a, i{day} as i from users) order by md5('order' || i), a"""
}

#: Of DuckDB: 50,000,000 members would take half of the machine.
MEMORY = "4GB"
KINDS: dict[str, tuple[str, dict[str, str], dict[str, str]]] = {
    "shop": (SHOP, SHOP_FILES, SHOP_EXPECTED),
    "people": (SHOP, PEOPLE_FILES, PEOPLE_EXPECTED),
    "members": (MEMBERS, MEMBERS_FILES, MEMBERS_EXPECTED),
    "many": (MANY, MANY_FILES, {}),
}
AUDIENCES = {
    "shop": ("newsletter", "buyers"),
    "people": ("newsletter", "buyers"),
    "members": ("members", ""),
    "many": ("", ""),
}


def generate(folder: Path, kind: str, users: int, formats: tuple[str, ...]) -> None:
    """Day 0 and day 1 in folders of their own, and ``expected.json``: what a receiver should be sent at each step."""
    schema, files, queries = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"memory_limit": MEMORY, "temp_directory": str(folder / "spill"), "preserve_insertion_order": True}
    with duckdb.connect(config=settings) as connection:
        connection.execute(schema.format(id=USER_ID, users=users))
        for day in (0, 1):
            for name, query in files.items():
                for form in formats:
                    target = folder / f"day{day}" / f"{name}.{form}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    options = "format csv, header" if form == "csv" else "format parquet"
                    connection.execute(f"copy ({query.format(day=day, id=USER_ID)}) to '{target}' ({options})")
        answer = {step: _expected(connection, kind, query) for step, query in queries.items()}
    (folder / "expected.json").write_text(json.dumps(answer))


def _expected(connection: duckdb.DuckDBPyConnection, kind: str, query: str) -> dict[str, Any]:
    users, *true, values = _one(connection, query)
    named = {name: count for name, count in zip(AUDIENCES[kind], true, strict=True) if name}
    return {"users": users, "true": named, "values": values}


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=KINDS, default="shop")
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--formats", default="csv,parquet")
    chosen = parser.parse_args()
    generate(chosen.folder, chosen.kind, chosen.users, tuple(chosen.formats.split(",")))


if __name__ == "__main__":
    main()
