"""A run over a source that compares fetches its changes, and little more."""

from __future__ import annotations

from pathlib import Path

from cli.conftest import Project
from sqlalchemy import make_url

from benchmarks.warehouse import counting_proxy

from .conftest import Warehouse

#: What a run asks and is answered in any case: connections, the columns of the query, the list of tables, counts.
FIXED_BYTES = 10_000
BYTES_A_CHANGE = 100
USER_ID = "md5(i::text)::uuid::text"


def test_a_run_fetches_at_most_100_bytes_a_change(tmp_path: Path, warehouse: Warehouse) -> None:
    warehouse.execute(f"create table vip as select {USER_ID} as user_id from generate_series(1, 20000) i")
    url = make_url(warehouse.url)
    project = Project(tmp_path)
    [server] = Path(str(url.query["host"])).glob(".s.PGSQL.*[0-9]")
    with counting_proxy(server) as proxy:
        address = url.set(host="127.0.0.1", port=proxy.port, query={}).render_as_string(hide_password=False)
        project.configure(
            sources={"warehouse": {"database": address, "compare": "in_warehouse"}},
            audiences=[{"name": "VIP", "source": "warehouse", "query": "select user_id from vip"}],
        )
        assert project.run("sync").code == 0
        assert proxy.bytes > 20_000 * 36

        warehouse.execute(
            f"delete from vip where user_id in (select {USER_ID} from generate_series(1, 200) i)",
            f"insert into vip select {USER_ID} from generate_series(30001, 30200) i",
        )
        proxy.bytes = 0
        done = project.sync().audience("vip")

    assert (done["entered"], done["left"]) == (200, 200)
    assert proxy.bytes <= 400 * BYTES_A_CHANGE + FIXED_BYTES
