"""Some keys are refused, and a stored key never changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project

VIP = {"source": "shop", "file": "vip.csv"}
IMPOSSIBLE = [
    {"name": "Big Spender"},
    {"name": "big-spender"},
    {"name": "Email"},
    {"name": "First Name"},
    {"name": "Новые клиенты"},
    {"name": "!!!"},
    {"name": "Plan"},
    {"name": "VIP", "key": "V I P"},
]


@pytest.fixture(scope="module")
def impossible(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with many keys that can't be; each test looks at what is said of one."""
    project = Project(tmp_path_factory.mktemp("impossible"))
    project.configure(audiences=[{**each, **VIP} for each in IMPOSSIBLE], computed_traits=[{**VIP, "traits": ["plan"]}])
    project.write_members("vip.csv", "ada")
    return project


@pytest.mark.parametrize("command", ["check", "sync"])
def test_keys_that_cannot_be_are_refused_together_before_anything_is_done(impossible: Project, command: str) -> None:
    refused = impossible.run(command)
    said = refused.stdout + refused.stderr
    assert refused.code == 2
    for words in (
        "audiences[1].name: its key `big_spender` is already that of audiences[0]",
        "audiences[2].name: the key `email` is reserved. It would replace each user's e-mail address with true",
        "audiences[3].name: the key `first_name` is reserved. It would replace each user's first name with true",
        "audiences[4].name: no key can be derived from ",
        "audiences[5].name: ",
        "audiences[7].key: ",
        "computed_traits[0].traits[0]: its key `plan` is already that of audiences[6]",
    ):
        assert words in said
    assert sorted(path.name for path in impossible.folder.iterdir()) == ["config.yaml", "vip.csv"]


def test_an_entry_with_a_retired_key_is_skipped_and_nothing_is_changed_or_sent(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.query("update properties set retired_at = '2026-01-01 00:00:00'")
    vip.write_members("vip.csv", "ada")
    before = vip.store.read_bytes()
    checked = vip.run("check")
    assert checked.code == 0
    assert "the key 'vip' is retired" in checked.stdout
    assert vip.store.read_bytes() == before
    skipped = vip.sync()
    assert skipped.code == 0
    assert "the key 'vip' is retired" in skipped.json["warnings"][0]
    assert vip.query("select count(*) from audience_members") == [(3,)]
    assert vip.query("select count(*) from membership_changes where run = 2") == [(0,)]
    assert vip.sent() == []


def test_an_audience_keeps_its_key_when_it_is_renamed_and_nothing_is_sent(vip: Project) -> None:
    vip.configure(audiences=[{"name": "Новые клиенты", "key": "new_customers", **VIP}, {"name": "Big Spender", **VIP}])
    assert vip.sync().audience("new_customers")["name"] == "Новые клиенты"
    vip.sent()
    vip.configure(audiences=[{"name": "Erste", "key": "new_customers", **VIP}, {"name": "Best Customers", **VIP}])
    renamed = vip.sync()
    assert [each["key"] for each in renamed.json["audiences"]] == ["new_customers", "big_spender"]
    assert renamed.json["warnings"] == [
        "audience 'Новые клиенты' has the new name 'Erste'; its key stays 'new_customers'.",
        "audience 'Big Spender' has the new name 'Best Customers'; its key stays 'big_spender'.",
    ]
    assert vip.sent() == []


def test_all_problems_of_a_config_are_said_at_once(vip: Project) -> None:
    vip.configure(
        audiences=[{"name": "VIP", "source": "shopp", "fle": "vip.csv"}], guard={"at_least": -1}, destination={}
    )
    refused = vip.run("sync")
    assert refused.code == 2
    for words in ("audiences[0].source", "audiences[0].fle", "guard.at_least", "Did you mean `shop`", "`destinations`"):
        assert words in refused.stderr


def test_a_config_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    missing = Project(tmp_path).run("sync")
    assert missing.code == 2
    assert "config.yaml" in missing.stderr
    assert "audience-sync init" in missing.stderr
