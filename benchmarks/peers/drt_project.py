"""Write a project for drt-core: one sync, from a DuckDB view over the day's files to its REST destination.

Its incremental strategy ``diff`` needs PostgreSQL or Snowflake, so every run sends every row. It sends a request for
each row, its default, or for each batch. Here it is at its best: in batches of 2,500, each rendered by one call of its
filter ``tojson_safe`` (a template that goes through the rows needs a third more).
"""

from __future__ import annotations

from pathlib import Path

VIEW = """
create view users as
select 'identify' as type, t.user_id as "userId",
    {{'newsletter': n.user_id is not null, 'buyers': b.user_id is not null, 'score': t.score, 'city': t.city}} as traits
from read_csv('{today}/traits.csv', types={{'user_id': 'varchar'}}) t
    left join read_csv('{today}/newsletter.csv', types={{'user_id': 'varchar'}}) n using (user_id)
    left join read_csv('{today}/buyers.csv', types={{'user_id': 'varchar'}}) b using (user_id)
"""
PROFILES = "default: {{type: duckdb, database: {home}/warehouse.duckdb}}\n"
PROJECT = "name: benchmark\nprofile: default\n"
SYNC = """
name: users
model: ref('users')
destination:
  type: rest_api
  url: "{url}/v1/batch"
  method: POST
  headers: {{Content-Type: application/json, Authorization: "Basic a2V5Og=="}}
  body_mode: batch
  batch_template: |
    {{"batch": {{{{ rows | tojson_safe }}}}}}
sync: {{mode: full, batch_size: 2500, rate_limit: {{requests_per_second: 1000000}}}}
"""


def write(home: Path, url: str) -> str:
    """Lay the project out in ``home``. Returns the SQL of the view that its warehouse has."""
    (home / ".drt").mkdir()
    (home / ".drt" / "profiles.yml").write_text(PROFILES.format(home=home))
    (home / "drt_project.yml").write_text(PROJECT)
    (home / "syncs").mkdir()
    (home / "syncs" / "users.yml").write_text(SYNC.format(url=url))
    return VIEW.format(today=home / "today")
