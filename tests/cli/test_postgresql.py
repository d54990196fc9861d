"""Commands do the same on PostgreSQL."""

from __future__ import annotations

from conftest import PostgreSQL

from .conftest import Project


def give_traits_and_a_store(vip: Project, postgresql: PostgreSQL) -> None:
    vip.configure(
        store="${STORE}",
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
    )
    vip.write("traits.csv", "user_id,plan\nada,pro\nzoé,free\n")
    vip.environment["STORE"] = postgresql.create()


def test_a_run_on_postgresql_is_the_run_on_sqlite(new_vip: Project, postgresql: PostgreSQL) -> None:
    give_traits_and_a_store(new_vip, postgresql)

    without_schema = new_vip.sync()
    assert without_schema.code == 3
    assert "Run: audience-sync db upgrade" in without_schema.stderr
    assert new_vip.sync("--upgrade").destination("log")["delivered"] == 4
    assert new_vip.sent() == [
        ("ada", {"plan": "pro", "vip": True}),
        ("bob", {"vip": True}),
        ("cyd", {"vip": True}),
        ("zoé", {"plan": "free"}),
    ]

    new_vip.write_members("vip.csv", "ada", "bob", "zoé")
    assert new_vip.run("plan", "--json").destination("log")["calls"] == 2
    assert new_vip.sync().code == 0
    assert new_vip.sent() == [("cyd", {"vip": False}), ("zoé", {"vip": True})]
    assert new_vip.sync().destination("log")["calls"] == 0
    assert [run["run"] for run in new_vip.run("history", "--json").json["runs"]] == [3, 2, 1]

    zoe = new_vip.run("explain", "zoé", "--json").json
    assert [(each["key"], each["value"], each["run"]) for each in zoe["audiences"]] == [("vip", True, 2)]
    assert [(each["run"], each["properties"]) for each in zoe["destinations"][0]["calls"]] == [
        (1, {"plan": "free"}),
        (2, {"vip": True}),
    ]


def test_suppressed_and_erased_users_on_postgresql(new_vip: Project, postgresql: PostgreSQL) -> None:
    new_vip.configure(
        store="${STORE}",
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        guard={"max_removed": "100%"},
        suppressed=[{"source": "shop", "file": "quiet.csv"}],
    )
    new_vip.write_members("quiet.csv", "cyd")
    new_vip.environment["STORE"] = postgresql.create()
    assert new_vip.run("db", "upgrade").code == 0
    assert new_vip.run("suppress", "ada", "bob").code == 0
    assert new_vip.sync().destination("log")["withheld"] == 3
    assert new_vip.sent() == []
    new_vip.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    new_vip.sync()
    assert new_vip.sent() == [("dan", {"vip": True})]

    assert new_vip.run("erase", "ada", "dan").code == 0
    assert new_vip.run("unsuppress", "bob").code == 0
    assert new_vip.sync().code == 0
    assert new_vip.sent() == [("bob", {"vip": True})]
    members = new_vip.run("members", "vip").stdout
    assert "bob" in members
    assert "ada" not in members
    assert "dan" not in members


def test_what_is_retired_on_postgresql_is_taken_back(new_vip: Project, postgresql: PostgreSQL) -> None:
    vip = {"name": "VIP", "source": "shop", "file": "vip.csv", "initial": "manual"}
    traits = {"source": "shop", "file": "traits.csv", "traits": ["plan", "city"]}
    new_vip.configure(store="${STORE}", audiences=[vip], computed_traits=[traits])
    new_vip.write("traits.csv", "user_id,plan,city\nada,pro,Oslo\nzoé,free,\n")
    new_vip.environment["STORE"] = postgresql.create()
    new_vip.sync("--upgrade")
    new_vip.run("seed", "vip", "--limit", "2")
    new_vip.sent()
    assert new_vip.run("retire", "vip", "--yes").code == 0
    assert [user for user, _ in new_vip.sent()][:2] == ["ada", "bob"]
    new_vip.configure(store="${STORE}", computed_traits=[traits])
    assert new_vip.run("retire", "plan", "--yes").code == 0
    assert new_vip.sent() == [("ada", {"plan": None}), ("zoé", {"plan": None})]
    skipped = new_vip.sync()
    assert skipped.code == 0
    assert "the key 'plan' is retired" in skipped.json["warnings"][0]
    assert new_vip.sent() == []
    new_vip.configure(store="${STORE}", computed_traits=[{**traits, "traits": ["city"]}])
    assert new_vip.sync().code == 0
    assert new_vip.sent() == []


def test_a_run_is_undone_on_postgresql(new_vip: Project, postgresql: PostgreSQL) -> None:
    give_traits_and_a_store(new_vip, postgresql)
    assert new_vip.sync("--upgrade").code == 0
    new_vip.write_members("vip.csv", "ada", "bob", "zoé")
    new_vip.write("traits.csv", "user_id,plan\nada,free\nzoé,free\n")
    assert new_vip.sync().code == 0
    new_vip.sent()
    assert new_vip.run("undo", "2", "--yes").code == 0
    assert new_vip.sent() == [("ada", {"plan": "pro"}), ("cyd", {"vip": True}), ("zoé", {"vip": False})]
    held = new_vip.sync()
    assert (held.code, [each["key"] for each in held.json["traits"]["held"]]) == (4, ["plan"])
    assert (held.audience("vip")["status"], new_vip.sent()) == ("held", [])


def test_a_user_who_gets_another_id_stays_one_user_on_postgresql(new_vip: Project, postgresql: PostgreSQL) -> None:
    new_vip.configure(
        store="${STORE}",
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        aliases=[{"source": "shop", "file": "aliases.csv"}],
    )
    new_vip.write("aliases.csv", "previous_id,user_id\n")
    new_vip.environment["STORE"] = postgresql.create()
    assert new_vip.sync("--upgrade").code == 0
    new_vip.write("aliases.csv", "previous_id,user_id\nada,zoé\n")
    assert new_vip.sync().code == 0
    alias, identify = new_vip.messages()[-2:]
    assert (alias["type"], alias["previousId"], alias["userId"]) == ("alias", "ada", "zoé")
    assert (identify["userId"], identify["traits"]) == ("zoé", {"vip": True})
    assert new_vip.sync().destination("log")["calls"] == 0
