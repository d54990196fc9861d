"""Computed traits that too many users would lose are held, and decided like any hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from audience_sync.cli.base.layout import Screen
from audience_sync.cli.views.history import history_lines

from .conftest import Project

#: A tenth may lose a value, however few they are.
STRICT = {"max_removed": "10%", "at_least": 1}
USERS = tuple(f"u{number}" for number in range(10))
TRAITS = {"source": "shop", "file": "traits.csv", "traits": ["plan", "city"]}
Rows = Mapping[str, tuple[str, str]]
WHOLE = dict.fromkeys(USERS, ("pro", "Oslo"))


def write(project: Project, rows: Rows) -> None:
    lines = [f"{user},{plan},{city}" for user, (plan, city) in rows.items()]
    project.write("traits.csv", "\n".join(["user_id,plan,city", *lines, ""]))


@pytest.fixture
def traits(vip: Project) -> Project:
    """Ten users with two traits, who were sent."""
    vip.configure(computed_traits=[TRAITS], guard=STRICT)
    write(vip, WHOLE)
    vip.sync()
    vip.sent()
    return vip


def held(project: Project) -> list[tuple[str, int]]:
    result = project.sync()
    assert (result.code, result.json["status"]) == (4, "held")
    return [(each["key"], each["left"]) for each in result.json["traits"]["held"]]


class TestATraitThatTooManyWouldLose:
    ROWS = dict.fromkeys(USERS[:2], ("", "Rome")) | dict.fromkeys(USERS[2:], ("free", "Oslo"))

    @pytest.fixture(autouse=True)
    def lost(self, traits: Project) -> None:
        write(traits, self.ROWS)

    def test_is_held_with_every_value_it_has_and_the_others_go_on(self, traits: Project) -> None:
        assert held(traits) == [("plan", 2)]
        assert traits.sent() == [("u0", {"city": "Rome"}), ("u1", {"city": "Rome"})]
        assert held(traits) == [("plan", 2)]
        assert traits.sent() == []
        assert traits.query('select kind, key, status, members_before, "left", last_run from holds') == [
            ("computed_trait", "plan", "held", 10, 2, 3)
        ]

    def test_is_counted_in_the_history(self, traits: Project) -> None:
        held(traits)
        runs = traits.run("history", "--json").json["runs"]
        assert [each["traits_held"] for each in runs] == [1, 0]
        shown = history_lines([{**each, "started_at": datetime(2026, 5, 1, tzinfo=UTC)} for each in runs], Screen(80))
        assert shown[2] == "     1 computed trait held; 2 users with changed traits"

    def test_says_what_it_saw_and_what_to_type(self, traits: Project) -> None:
        said = traits.run("sync").stdout
        assert said.startswith("Run 2 held 1 computed trait in ")
        assert " s. Nothing of it was changed or sent. Others: 2 users with changed traits, 2 calls" in said
        assert (
            "\nHeld: plan\n"
            "  Change     2 of 10 users (20%) would lose their value\n"
            "  Limit      10% may lose their value in one run (guard.max_removed)\n"
            "  Losing it  u0, u1\n"
            "\n"
            "  If the change is right:\n"
            "    audience-sync approve 2 plan\n"
            "  If it is wrong, correct the source; the next good snapshot ends the hold.\n"
            "  To drop this snapshot now:\n"
            "    audience-sync reject 2 plan\n"
        ) in said

    def test_is_approved(self, traits: Project) -> None:
        held(traits)
        traits.sent()
        assert traits.run("approve", "2", "plan").code == 0
        assert traits.sent() == [
            *((user, {"plan": None}) for user in USERS[:2]),
            *((user, {"plan": "free"}) for user in USERS[2:]),
        ]
        assert (traits.sync().code, traits.sent()) == (0, [])

    def test_is_asked_about_again_where_more_would_lose_it(self, traits: Project) -> None:
        held(traits)
        write(traits, self.ROWS | {"u2": ("", "Oslo")})
        asked = traits.run("approve", "2")
        assert asked.code == 4
        assert asked.stdout.startswith("Nothing was approved: the source has changed since run 2.\n")
        assert "\n  Change     3 of 10 users (30%) would lose their value\n" in asked.stdout
        assert "\n  Then  2 users would lose their value\n  Now   3 users would lose their value\n" in asked.stdout
        assert "would enter" not in asked.stdout

    def test_is_rejected_and_healthy_again(self, traits: Project) -> None:
        held(traits)
        traits.sent()
        assert traits.run("reject", "2").code == 0
        assert held(traits) == [("plan", 2)]
        write(traits, WHOLE)
        healthy = traits.sync()
        assert healthy.json["warnings"] == [
            "computed trait 'plan': the hold of run 3 has ended. The new snapshot is within the limits."
        ]
        assert traits.sent() == [("u0", {"city": "Oslo"}), ("u1", {"city": "Oslo"})]

    def test_is_accepted_in_one_run(self, traits: Project) -> None:
        assert traits.sync("--accept", "plan").code == 0
        assert len(traits.sent()) == 10

    def test_has_limits_of_its_entry(self, traits: Project) -> None:
        traits.configure(computed_traits=[{**TRAITS, "guard": {"max_removed": "20%"}}], guard=STRICT)
        assert traits.sync().code == 0


@pytest.mark.parametrize("config", [TRAITS, {**TRAITS, "traits": ["plan"]}], ids=["two traits", "one trait"])
def test_of_a_few_users_any_may_lose_a_value_but_an_empty_snapshot_is_held(
    traits: Project, config: dict[str, object]
) -> None:
    traits.configure(computed_traits=[config])
    write(traits, {})
    result = traits.run("sync")
    assert (result.code, traits.sent()) == (4, [])
    assert "  the new snapshot is empty, and the last one had values of 10 users\n" in result.stdout
    write(traits, dict.fromkeys(USERS, ("", "")))
    assert traits.sync().code == 0
    assert len(traits.sent()) == 10


class TestUsersWhoLoseAllTheirTraits:
    """Of a file that is cut off, all is held, also what few users had."""

    HALF = dict.fromkeys(USERS[:5], ("pro", "Rome"))

    @pytest.mark.parametrize("rows", [HALF, {}], ids=["half a file", "only a header"])
    def test_are_reported_once_and_nothing_is_sent(self, traits: Project, rows: Rows) -> None:
        write(traits, rows)
        result = traits.run("sync")
        assert (result.code, traits.sent()) == (4, [])
        assert result.stdout.count("Held: ") == 1
        assert "\nHeld: 2 computed traits of traits.csv of shop\n  Reason  " in result.stdout
        assert "\n  Traits  plan, city\n" in result.stdout
        assert "\n    audience-sync approve 2\n" in result.stdout

    def test_hold_a_trait_that_nobody_would_lose(self, traits: Project) -> None:
        write(traits, WHOLE | dict.fromkeys(USERS[5:], ("pro", "")))
        assert traits.sync("--accept", "city").code == 0
        traits.sent()
        write(traits, self.HALF)
        assert held(traits) == [("plan", 5), ("city", 0)]
        assert traits.sent() == []

    def test_are_approved_by_key_or_at_once(self, traits: Project) -> None:
        write(traits, self.HALF)
        held(traits)
        assert traits.run("approve", "2", "city").code == 0
        assert [each["city"] for _, each in traits.sent()] == ["Rome"] * 5 + [None] * 5
        assert traits.run("approve", "2").code == 0
        assert traits.sent() == [(user, {"plan": None}) for user in USERS[5:]]
        assert (traits.sync().code, traits.sent()) == (0, [])

    def test_stay_held_one_by_one_where_others_would_lose_them(self, traits: Project) -> None:
        write(traits, self.HALF)
        held(traits)
        write(traits, dict(list(WHOLE.items())[1:]))
        assert traits.run("approve", "2", "city").code == 4
        assert traits.sent() == []
        assert traits.sync().code == 0
        assert traits.sent() == [("u0", {"city": None, "plan": None})]


def test_what_is_held_of_a_trait_that_the_config_has_no_more_is_over(traits: Project) -> None:
    write(traits, dict.fromkeys(USERS, ("", "Oslo")))
    assert held(traits) == [("plan", 10)]
    traits.configure(computed_traits=[{**TRAITS, "traits": ["city"]}], guard=STRICT)
    gone = traits.run("approve", "2")
    assert (gone.code, "there is no computed trait 'plan'" in gone.stderr) == (2, True)
    assert "the hold of run 2 has ended. It is no longer in the config." in traits.sync().json["warnings"][0]


def test_a_new_trait_is_not_guarded_and_no_user_who_was_erased_is_counted(traits: Project) -> None:
    assert traits.run("erase", "u0").code == 0
    traits.configure(computed_traits=[{**TRAITS, "traits": ["plan", "city", "age"]}], guard=STRICT)
    lines = "".join(f"{user},pro,{'Oslo' if user == 'u0' else ''},1\n" for user in USERS)
    traits.write("traits.csv", f"user_id,plan,city,age\n{lines}")
    assert held(traits) == [("city", 9)]
    assert traits.query("select members_before from holds") == [(9,)]
    assert traits.sent() == [(user, {"age": 1}) for user in USERS[1:]]
