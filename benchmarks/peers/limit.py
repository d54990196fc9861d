"""The limit: DuckDB reads both days' Parquet and joins them fully; nothing is written, nothing is sent.

python limit.py KIND DAY0 DAY1
"""

import json
import sys
import time

import duckdb

MEMBERS = """
select count(*) filter (where old.user_id is null), count(*) filter (where new.user_id is null)
from '{old}/{file}.parquet' old full join '{new}/{file}.parquet' new using (user_id)
"""
TRAITS = """
select count(*) filter (where old.score is distinct from new.score),
    count(*) filter (where old.city is distinct from new.city)
from '{old}/{file}.parquet' old full join '{new}/{file}.parquet' new using (user_id)
"""
MANY = """
select count(*) filter (where old.user_id is null), count(*) filter (where new.user_id is null)
from '{old}/{file}.parquet' old full join '{new}/{file}.parquet' new using (user_id, audience)
"""
QUERIES = {
    "shop": [(MEMBERS, "newsletter"), (MEMBERS, "buyers"), (TRAITS, "traits")],
    "members": [(MEMBERS, "members")],
    "many": [(MANY, "audiences")],
}


def main():
    kind, old, new = sys.argv[1:]
    started = time.perf_counter()
    for query, file in QUERIES[kind]:
        duckdb.sql(query.format(old=old, new=new, file=file)).fetchall()
    print(json.dumps({"seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
