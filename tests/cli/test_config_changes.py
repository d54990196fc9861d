"""The history says in which run an audience's config had changed, and how."""

from __future__ import annotations

from typing import Any

from .conftest import Project


def vip_is(project: Project, **parts: Any) -> None:
    project.configure(audiences=[{"name": "VIP", "key": "vip", "source": "shop", "file": "vip.csv", **parts}])


def changes(project: Project) -> list[tuple[Any, ...]]:
    return project.query("select run, config_changes from audience_syncs order by run")


def test_each_run_names_what_is_new_in_the_config(vip: Project) -> None:
    vip_is(vip)
    vip.sync()
    vip_is(vip, name="Very Important", min_stay="2 runs")
    vip.sync()
    vip_is(vip, name="Very Important", min_stay="2 runs", query="select user_id from 'vip.csv' where true", file=None)
    vip.sync()
    vip_is(
        vip,
        name="Very Important",
        min_stay="2 runs",
        query="select user_id from 'vip.csv' where true",
        file=None,
        holdout="5%",
    )
    vip.sync()
    vip.sync()
    assert changes(vip) == [
        (1, None),
        (2, "name: Very Important (was VIP); min_stay: 2 runs (was none)"),
        (3, "another source, file, query or user_id"),
        (4, "holdout: 5% (was none)"),
        (5, None),
    ]


def test_a_held_snapshot_leaves_the_config_as_new_until_it_is_approved(vip: Project) -> None:
    vip_is(vip, guard={"max_removed": 0, "at_least": 0})
    vip.sync()
    vip.write_members("other.csv", "ada")
    vip_is(vip, guard={"max_removed": 0, "at_least": 0}, file="other.csv")
    vip.sync()
    assert changes(vip) == [(1, None), (2, None)]
    vip.run("approve", "2", "vip")
    assert changes(vip)[-1] == (3, "another source, file, query or user_id")


def test_a_guard_of_its_own_or_of_the_whole_config_is_named_by_the_options_that_differ(vip: Project) -> None:
    vip_is(vip)
    vip.sync()
    vip_is(vip, guard={"max_removed": "20%", "at_least": 5})
    vip.sync()  # over an unchanged source
    vip.write_members("vip.csv", "ada", "bob", "eve")
    vip_is(vip, guard={"max_removed": 3, "at_least": 5, "tolerance": "2.5%"})
    vip.sync()
    vip.configure(
        audiences=[{"name": "VIP", "key": "vip", "source": "shop", "file": "vip.csv"}], guard={"max_added": "50%"}
    )
    vip.sync()
    vip.sync()
    assert changes(vip) == [
        (1, None),
        (2, "max_removed: 20% (was 30%); at_least: 5 (was 100)"),
        (3, "max_removed: 3 (was 20%); tolerance: 2.5% (was 5%)"),
        (4, "max_removed: 30% (was 3); max_added: 50% (was 100%); at_least: 100 (was 5); tolerance: 5% (was 2.5%)"),
        (5, None),
    ]


def test_a_guard_that_holds_the_snapshot_is_named_in_that_run_alone(vip: Project) -> None:
    vip_is(vip)
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip_is(vip, guard={"max_removed": 0, "at_least": 0})
    vip.sync()
    vip.sync()
    assert changes(vip) == [(1, None), (2, "max_removed: 0 (was 30%); at_least: 0 (was 100)"), (3, None)]
