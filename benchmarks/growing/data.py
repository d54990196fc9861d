"""Make two snapshots of audiences of one size; so many of their members change from the one to the other.

    python benchmarks/growing/data.py FOLDER --audiences 10 --members 100000 --changes 1000

``a.parquet`` and ``b.parquet`` with the columns ``user_id`` and ``audience``: half of the changes of an audience leave,
half of them enter. In a process of its own, so that whoever measures stays small.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb

#: Audiences begin at different places of a million users (or as many as one of them needs), and overlap.
ROWS = """
select md5('user' || (a * 104729 + i) % {users})::uuid::varchar as user_id, 'Audience ' || a as audience
from range({audiences}) r(a), range({first}, {first} + {members}) s(i)
order by md5('order' || i), a
"""


def generate(folder: Path, audiences: int, members: int, changes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    users = max(1_000_000, members + changes // 2)
    with duckdb.connect() as connection:
        for name, first in (("a", 0), ("b", changes // 2)):
            rows = ROWS.format(users=users, audiences=audiences, first=first, members=members)
            connection.execute(f"copy ({rows}) to '{folder / name}.parquet' (format parquet)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("audiences", "members", "changes"):
        parser.add_argument(f"--{name}", type=int, required=True)
    chosen = parser.parse_args()
    generate(chosen.folder, chosen.audiences, chosen.members, chosen.changes)


if __name__ == "__main__":
    main()
