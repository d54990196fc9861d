"""Which keys are refused, and does a key stay what it was?"""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Project

BIG = {"source": "shop", "file": "vip.csv"}


@pytest.mark.parametrize(
    ("audiences", "traits", "path", "words"),
    [
        ([{"name": "Big Spender"}, {"name": "big-spender"}], [], "audiences[1].name", "already that of audiences[0]"),
        ([{"name": "Plan"}], ["plan"], "computed_traits[0].traits[0]", "already that of audiences[0]"),
        ([{"name": "Email"}], [], "audiences[0].name", "email"),
        ([{"name": "First Name"}], [], "audiences[0].name", "first_name"),
        ([{"name": "Новые клиенты"}], [], "audiences[0].name", "key"),
        ([{"name": "!!!"}], [], "audiences[0].name", "key"),
        ([{"name": "VIP", "key": "Big Spender"}], [], "audiences[0].key", "a-z"),
    ],
    ids=["two audiences", "an audience and a trait", "Email", "First Name", "non-Latin", "nothing left", "explicit"],
)
def test_a_key_that_cannot_be_is_refused_by_check_and_by_sync_before_anything_is_done(
    vip: Project, audiences: list[dict[str, Any]], traits: list[str], path: str, words: str
) -> None:
    entries = [{**BIG, "traits": traits}] if traits else []
    vip.configure(audiences=[{**each, **BIG} for each in audiences], computed_traits=entries)
    for command in ("check", "sync"):
        refused = vip.run(command)
        assert refused.code == 2
        assert path in refused.stdout + refused.stderr
        assert words in refused.stdout + refused.stderr
    assert not vip.store.exists()
    assert vip.sent() == []


def test_a_name_of_another_script_is_an_audience_with_a_key_of_its_own(vip: Project) -> None:
    vip.configure(audiences=[{"name": "Новые клиенты", "key": "new_customers", **BIG}])
    assert vip.sync().audience("new_customers")["name"] == "Новые клиенты"


def test_a_retired_key_is_refused_and_nothing_is_written_or_sent(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.query("update properties set retired_at = '2026-01-01 00:00:00'")
    vip.write_members("vip.csv", "ada")
    before = vip.store.read_bytes()
    for command in ("check", "plan", "sync"):
        refused = vip.run(command)
        assert refused.code == 2
        assert "the key 'vip' is retired" in refused.stdout + refused.stderr
    assert vip.store.read_bytes() == before
    assert vip.sent() == []


def test_renaming_an_audience_keeps_its_key_and_tells_nobody(vip: Project) -> None:
    vip.sync()
    vip.sent()
    vip.configure(audiences=[{"name": "Best Customers", **BIG}])
    renamed = vip.sync()
    assert [each["key"] for each in renamed.json["audiences"]] == ["vip"]
    assert renamed.json["warnings"] == ["audience 'VIP' is now called 'Best Customers'; its key stays 'vip'"]
    vip.write_members("vip.csv", "ada", "bob")
    assert vip.sync().audience("vip")["name"] == "Best Customers"
    assert vip.sent() == [("cyd", {"vip": False})]


def test_all_problems_of_a_config_are_said_at_once(vip: Project) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shopp", "fle": "vip.csv"}], destination={}, guard={"at_least": -1})
    refused = vip.run("sync")
    assert refused.code == 2
    for path in ("audiences[0].source", "audiences[0].fle", "destination:", "guard.at_least"):
        assert path in refused.stderr
    assert "did you mean `shop`" in refused.stderr
    assert "did you mean `file`" in refused.stderr
