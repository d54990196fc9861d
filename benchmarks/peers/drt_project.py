"""drt-core: one sync, from a DuckDB view over the day's files to its REST destination.

Its incremental strategy ``diff`` needs PostgreSQL or Snowflake, so every run sends every row. It has two ways of
sending: a request for each row, its default, and a request for each batch.
"""

from __future__ import annotations

from pathlib import Path

VIEW = """
create view users as
select t.user_id, n.user_id is not null as newsletter, b.user_id is not null as buyers, t.score, t.city
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
  url: "{url}/v1/{endpoint}"
  method: POST
  headers: {{Content-Type: application/json, Authorization: "Basic a2V5Og=="}}
{template}
sync: {{mode: full, batch_size: 2500, rate_limit: {{requests_per_second: 1000000}}}}
"""
MESSAGE = (
    '{"type": "identify", "userId": "{{ row.user_id }}", "traits": {"newsletter": {{ row.newsletter | tojson }}, '
    '"buyers": {{ row.buyers | tojson }}, "score": {{ row.score }}, "city": {{ row.city | tojson }}}}'
)
BY_ROW = f"  body_template: |\n    {MESSAGE}"
BY_BATCH = (
    "  body_mode: batch\n  batch_template: |\n"
    f'    {{"batch": [{{% for row in rows %}}{MESSAGE}{{% if not loop.last %}},{{% endif %}}{{% endfor %}}]}}'
)


def write(home: Path, url: str, *, batches: bool) -> str:
    """Lay the project out in ``home``; the SQL of the view that its warehouse has."""
    (home / ".drt").mkdir()
    (home / ".drt" / "profiles.yml").write_text(PROFILES.format(home=home))
    (home / "drt_project.yml").write_text(PROJECT)
    (home / "syncs").mkdir()
    endpoint, template = ("batch", BY_BATCH) if batches else ("identify", BY_ROW)
    (home / "syncs" / "users.yml").write_text(SYNC.format(url=url, endpoint=endpoint, template=template))
    return VIEW.format(today=home / "today")
