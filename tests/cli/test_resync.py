"""A destination is sent everything again, and a damaged store is repaired."""

from __future__ import annotations

from .conftest import NEW_PROJECT, Project


def test_resync_sends_true_to_the_members_and_false_to_former_members(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    vip.sent()
    assert vip.run("resync", "--json").destination("log")["delivered"] == 3
    assert vip.sent() == [("ada", {"vip": True}), ("bob", {"vip": True}), ("cyd", {"vip": False})]
    assert len({each["messageId"] for each in vip.messages()}) == len(vip.messages()) == 7
    assert vip.sync().destination("log")["calls"] == 0
    unknown = vip.run("resync", "--destination", "lag")
    assert unknown.code == 2
    assert "unknown destination `lag`. Did you mean `log`?" in unknown.stderr


def test_resync_sends_no_false_to_users_who_left_before_the_first_call(vip: Project) -> None:
    vip.sync()
    vip.write_members("vip.csv", "ada", "bob")
    vip.sync()
    late = {"type": "file", "path": "late.jsonl"}
    audiences = [{"name": "VIP", "source": "shop", "file": "vip.csv"}]
    vip.configure(audiences=audiences, destinations={**NEW_PROJECT["destinations"], "late": late})
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip.sync()
    vip.sent("late.jsonl")
    vip.run("resync", "--destination", "late")
    assert vip.sent("late.jsonl") == [("ada", {"vip": True}), ("bob", {"vip": False})]


def test_a_damaged_snapshot_file_stops_the_run_and_resync_repairs_it(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.query("update snapshot_file_chunks set content = zeroblob(length(content))")
    vip.write_members("vip.csv", "ada", "dan")
    damaged = vip.run("sync")
    assert damaged.code == 3
    assert "the store is damaged: the checksum of snapshot file 1 of audience vip does not match" in damaged.stderr
    assert "audience-sync resync vip" in damaged.stderr
    assert vip.sent() == []

    repaired = vip.run("resync", "vip", "--json")
    assert (repaired.code, repaired.audience("vip")["members"]) == (0, 2)
    assert vip.sent() == [
        ("ada", {"vip": True}),
        ("bob", {"vip": False}),
        ("cyd", {"vip": False}),
        ("dan", {"vip": True}),
    ]
    vip.write_members("vip.csv", "ada", "dan", "eve")
    assert vip.sync().code == 0
    assert vip.sent() == [("eve", {"vip": True})]


def test_a_store_of_a_newer_program_is_refused_and_left_alone(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.query("update alembic_version set version_num = '9999'")
    vip.write_members("vip.csv", "ada")
    before = vip.store.read_bytes()
    for command in ("sync", "plan", "check"):
        refused = vip.run(command)
        assert refused.code == 3
        assert "was made by a newer version of audience-sync (schema 9999" in refused.stdout + refused.stderr
    assert vip.store.read_bytes() == before
    assert vip.sent() == []
