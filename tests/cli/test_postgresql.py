"""Does the command do the same on PostgreSQL?"""

from __future__ import annotations

from conftest import PostgreSQL

from .conftest import Project


def test_a_run_on_postgresql_is_the_run_on_sqlite(vip: Project, postgresql: PostgreSQL) -> None:
    vip.configure(
        store="${STORE}",
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
    )
    vip.write("traits.csv", "user_id,plan\nada,pro\nzoé,free\n")
    vip.environment["STORE"] = postgresql.create()

    without_schema = vip.sync()
    assert without_schema.code == 3
    assert "Run: audience-sync db upgrade" in without_schema.stderr
    assert vip.sync("--upgrade").destination("log")["delivered"] == 4
    assert vip.sent() == [
        ("ada", {"plan": "pro", "vip": True}),
        ("bob", {"vip": True}),
        ("cyd", {"vip": True}),
        ("zoé", {"plan": "free"}),
    ]

    vip.write_members("vip.csv", "ada", "bob", "zoé")
    assert vip.run("plan", "--json").destination("log")["calls"] == 2
    assert vip.sync().code == 0
    assert vip.sent() == [("cyd", {"vip": False}), ("zoé", {"vip": True})]
    assert vip.sync().destination("log")["calls"] == 0
    assert [run["run"] for run in vip.run("history", "--json").json["runs"]] == [3, 2, 1]
