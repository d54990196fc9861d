"""dlt: slowly changing dimension in DuckDB, then what changed to a custom destination.

python dlt_scd2.py HOST TODAY
"""

import sys
from pathlib import Path

import dlt
import duckdb
import requests

USERS = """
select *, md5(concat_ws('|', user_id, newsletter, buyers, score, city)) as row_hash
from (
    select t.user_id, n.user_id is not null as newsletter, b.user_id is not null as buyers, t.score, t.city
    from read_csv('{folder}/traits.csv', types={{'user_id': 'varchar'}}) t
        left join read_csv('{folder}/newsletter.csv', types={{'user_id': 'varchar'}}) n using (user_id)
        left join read_csv('{folder}/buyers.csv', types={{'user_id': 'varchar'}}) b using (user_id))
"""
CHANGED = """
select user_id, newsletter, buyers, score, city from users
where _dlt_valid_to is null and epoch_us(_dlt_valid_from) = {load}
"""
HOST, TODAY = sys.argv[1], Path(sys.argv[2])
VERSIONS = {"disposition": "merge", "strategy": "scd2", "row_version_column_name": "row_hash"}


@dlt.resource(name="users", write_disposition=VERSIONS)
def users():
    yield duckdb.sql(USERS.format(folder=TODAY)).to_arrow_table()


@dlt.resource(name="changes")
def changes(pipeline, load):
    with pipeline.sql_client() as client, client.execute_query(CHANGED.format(load=load)) as cursor:
        yield from cursor.iter_arrow(chunk_size=50_000)


@dlt.destination(batch_size=2_500, name="segment", skip_dlt_columns_and_tables=True)
def segment(items, table):
    rows = items.to_pylist() if hasattr(items, "to_pylist") else items
    batch = [{"type": "identify", "userId": row.pop("user_id"), "traits": row} for row in rows]
    requests.post(f"{HOST}/v1/batch", json={"batch": batch}, auth=("key", ""), timeout=60).raise_for_status()


def main():
    state = dlt.pipeline("state", destination=dlt.destinations.duckdb("state.duckdb"), dataset_name="audiences")
    load = round(float(state.run(users()).loads_ids[-1]) * 1_000_000)
    dlt.pipeline("send", destination=segment).run(changes(state, load))


if __name__ == "__main__":
    main()
