"""`db upgrade --rehearse` answers with a receipt, and says what it could not compare."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from .conftest import Project


@pytest.fixture
def shop(project: Project) -> Project:
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        computed_traits=[{"source": "shop", "file": "traits.csv", "traits": ["plan"]}],
        guard={"at_least": 1000},
    )
    project.write_members("vip.csv", "ada", "bob")
    project.write("traits.csv", "user_id,plan\nada,gold\n")
    assert project.sync().code == 0
    return project


def test_a_current_store_is_verified(shop: Project) -> None:
    shop.write_members("vip.csv", "ada", "cyd")
    before = shop.store.read_bytes()
    ended = shop.run("db", "upgrade", "--rehearse")
    assert ended.code == 0
    assert "with schema 0100, which is up to date. All contents are as before." in ended.stdout
    assert "Members        2, the same after the upgrade" in ended.stdout
    assert "Trait values   1, the same after the upgrade" in ended.stdout
    assert "The next run sends 2 calls, with the upgrade or without." in ended.stdout
    assert "members                          2           2  same" in ended.stdout
    assert shop.store.read_bytes() == before
    assert len(shop.messages()) == 2


def test_sources_that_cannot_be_read_are_named_and_the_rest_is_compared(shop: Project) -> None:
    (shop.folder / "vip.csv").unlink()
    ended = shop.run("db", "upgrade", "--rehearse", "--json")
    assert ended.code == 0
    plan = ended.json["plan"]
    assert (plan["compared"], plan["new_calls"]) == (True, 0)
    assert len(plan["not_loaded"]) == 1
    assert "vip.csv" in plan["not_loaded"][0]
    (shop.folder / "traits.csv").unlink()
    plan = shop.run("db", "upgrade", "--rehearse", "--json").json["plan"]
    assert (plan["compared"], plan["new_calls"]) == (False, None)
    assert plan["reason"].startswith("no source could be read: ")


def test_a_config_that_lacks_its_secrets_leaves_the_plan_out(shop: Project) -> None:
    shop.write("config.yaml", (shop.folder / "config.yaml").read_text().replace("path: calls.jsonl", "path: ${CALLS}"))
    ended = shop.run("db", "upgrade", "--rehearse")
    assert ended.code == 0
    assert "not compared: the config can't be used: " in ended.stdout
    assert "CALLS" in ended.stdout


def test_a_damaged_copy_is_an_error_with_its_exit_code(shop: Project) -> None:
    with closing(sqlite3.connect(shop.store)) as connection, connection:
        connection.execute("delete from members where user_id = 'ada'")
    ended = shop.run("db", "upgrade", "--rehearse")
    assert ended.code == 3
    assert "These would differ: db check: members." in ended.stdout


def test_options_that_do_not_belong_together_are_refused(shop: Project) -> None:
    for options, message in (
        (("--plan", "plan.json"), "--plan is for --rehearse"),
        (("--rehearse", "--reason", "because"), "--rehearse records nothing"),
        (("--rehearse", "--plan", "config.yaml"), "config.yaml can't be used: it is not a plan"),
    ):
        ended = shop.run("db", "upgrade", *options)
        assert ended.code == 2
        assert message in ended.stderr


def test_a_project_without_a_store_has_nothing_to_rehearse(project: Project) -> None:
    project.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}])
    ended = project.run("db", "upgrade", "--rehearse")
    assert ended.code == 3
    assert "has no schema yet, so there is nothing to rehearse. Nothing was done." in ended.stderr
    assert ended.stderr.splitlines()[-1] == "  To create it: audience-sync db upgrade"
    assert not project.store.exists()
