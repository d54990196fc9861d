"""List members with DuckDB's COPY: the ids of a day in order, with a time, from Parquet to CSV.

python copy_members.py --prepare DATA
python copy_members.py DAY.parquet TARGET
"""

import sys
from pathlib import Path

import duckdb

SORTED = """
copy (select user_id, '2026-01-01T00:00:00Z' as member_since from '{source}' order by user_id)
to '{target}' (format parquet)
"""


def main():
    first, second = sys.argv[1:]
    if first == "--prepare":
        for day in ("day0", "day1"):
            duckdb.sql(SORTED.format(source=Path(second) / day / "members.parquet", target=f"{day}.parquet"))
        return
    duckdb.sql(f"copy (from '{first}') to '{second}' (format csv, header)")


if __name__ == "__main__":
    main()
