"""A held snapshot is approved, rejected or superseded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from conftest import PostgreSQL

from .conftest import Project

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TEST = {"name": "Test", "source": "shop", "file": "test.csv"}
#: A tenth may leave, however few they are.
STRICT = {"max_removed": "10%", "at_least": 1}
#: Users of a hundred, in the order of their names.
ALL = tuple(f"u{number:03}" for number in range(100))
STATUSES = 'select run, last_run, key, status, entered, "left", ended_run from holds order by run, key'


def left(*users: str, key: str = "vip") -> list[tuple[str, dict[str, bool]]]:
    return [(user, {key: False}) for user in users]


@pytest.fixture(scope="module")
def two_held(shared_vip: Project) -> Project:
    """VIP and Test had a hundred members each, who were sent; run 2 held that 40 leave VIP, and everyone Test."""
    vip = shared_vip
    vip.configure(audiences=[VIP, TEST], guard=STRICT)
    vip.write_members("vip.csv", *ALL)
    vip.write_members("test.csv", *ALL)
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv", *ALL[40:])
    vip.write_members("test.csv")
    assert vip.sync().code == 4
    assert vip.sent() == []
    return vip


@pytest.fixture
def held(two_held: Project, tmp_path: Path) -> Project:
    return two_held.copy_to(tmp_path)


class TestAHold:
    def test_keeps_counts_and_a_sample_and_changes_nothing(self, held: Project) -> None:
        assert held.query(STATUSES) == [(2, 2, "test", "held", 0, 100, None), (2, 2, "vip", "held", 0, 40, None)]
        assert held.query("select count(*), min(user_id), max(user_id) from hold_samples where hold_id = 1") == [
            (40, "u000", "u039")
        ]
        assert held.query("select count(*) from changes") == [(0,)]
        assert held.query("select members_after from sync_runs join audience_syncs using (run) where run = 2") == [
            (100,),
            (100,),
        ]

    def test_stands_as_long_as_the_source_says_the_same(self, held: Project) -> None:
        again = held.sync()
        assert (again.code, again.audience("vip")["held"]) == (4, {"since_run": 2, "entered": 0, "left": 40})
        assert "It is held since run 2. If this is right: audience-sync approve 3 vip" in again.audience("vip")["error"]
        assert held.query(STATUSES) == [(2, 3, "test", "held", 0, 100, None), (2, 3, "vip", "held", 0, 40, None)]

    def test_is_in_show_and_its_users_are_in_no_other_answer(self, held: Project) -> None:
        shown = held.run("show", "2", "--json").json["holds"]
        assert [(each["key"], each["sample"]["left"][0], len(each["sample"]["left"])) for each in shown] == [
            ("test", "u000", 100),
            ("vip", "u000", 40),
        ]
        assert "  Leaving   u000, u001, u002, u003, u004 and 35 more\n" in held.run("show", "2").stdout
        assert "u000" not in held.sync().stdout

    def test_forgets_a_user_who_is_erased(self, held: Project) -> None:
        assert held.run("erase", "u000").code == 0
        assert held.query("select count(*) from hold_samples where user_id = 'u000'") == [(0,)]
        assert held.run("approve", "2").code == 0
        assert "u000" not in [user for user, _ in held.sent()]

    def test_makes_a_plan_say_what_to_type_and_is_not_changed_by_it(self, held: Project) -> None:
        before = held.query(STATUSES)
        plan = held.run("plan")
        assert plan.code == 4
        assert "\nIf the held change is right:\n  audience-sync approve 2 vip test\n" in plan.stdout
        assert held.query(STATUSES) == before

    def test_survives_that_its_audience_gets_another_name(self, held: Project) -> None:
        held.configure(audiences=[{**VIP, "name": "Very Important"}, TEST], guard=STRICT)
        assert held.run("approve", "2", "vip").code == 0
        assert held.sent() == left(*ALL[:40])


class TestApprove:
    def test_lets_all_through_that_a_run_held_and_says_so_once(self, held: Project) -> None:
        approved = held.run("approve", "2", "--json")
        assert (approved.code, approved.json["status"]) == (0, "succeeded")
        assert [(each["key"], each["status"], each["left"]) for each in approved.json["audiences"]] == [
            ("vip", "synced", 40),
            ("test", "synced", 100),
        ]
        assert [user for user, _ in held.sent()] == [*ALL]
        assert held.query(STATUSES) == [(2, 2, "test", "approved", 0, 100, 3), (2, 2, "vip", "approved", 0, 40, 3)]
        assert (held.sync().code, held.sent()) == (0, [])

    def test_lets_only_those_through_that_are_named(self, held: Project) -> None:
        approved = held.run("approve", "2", "vip", "--json")
        assert (approved.code, [each["key"] for each in approved.json["audiences"]]) == (0, ["vip"])
        assert held.sent() == left(*ALL[:40])
        assert held.sync().audience("test")["status"] == "held"
        assert held.sent() == []
        assert held.run("approve", "2").code == 0
        assert held.sent() == left(*ALL, key="test")

    def test_takes_a_snapshot_for_the_same_within_the_tolerance(self, held: Project) -> None:
        held.write_members("vip.csv", *ALL[42:])
        approved = held.run("approve", "2", "vip", "--json")
        assert (approved.code, approved.audience("vip")["left"]) == (0, 42)

    @pytest.mark.parametrize(
        ("now", "difference"),
        [
            pytest.param(ALL[43:], "0 would enter, 43 would leave", id="more than a twentieth more"),
            pytest.param(ALL[:60], "0 would enter, 40 would leave, but for other users", id="as many, but others"),
            pytest.param((), "0 would enter, 100 would leave", id="nobody is left"),
        ],
    )
    def test_shows_another_difference_and_asks_again(
        self, held: Project, now: tuple[str, ...], difference: str
    ) -> None:
        held.write_members("vip.csv", *now)
        asked = held.run("approve", "2", "vip")
        assert (asked.code, held.sent()) == (4, [])
        assert asked.stdout.startswith(
            "Nothing was approved: the source has changed since run 2.\n"
            "  Then  0 would enter, 40 would leave\n"
            f"  Now   {difference}\n"
            "  The change is held again.\n\n"
        )
        assert "\n    audience-sync approve 3 vip\n" in asked.stdout
        assert held.query(STATUSES)[1] == (2, 2, "vip", "superseded", 0, 40, 3)
        assert held.run("approve", "2", "vip").code == 2
        assert held.run("approve", "3", "vip").code == 0
        assert [user for user, _ in held.sent()] == sorted(set(ALL) - set(now))

    def test_names_each_key_where_several_differ(self, held: Project) -> None:
        held.write_members("vip.csv", *ALL[43:])
        held.write_members("test.csv", *ALL[50:])
        asked = held.run("approve", "2")
        assert asked.code == 4
        assert (
            "\n  test  then 0 would enter, 100 would leave; now 0 would enter, 50 would leave\n"
            "  vip   then 0 would enter, 40 would leave; now 0 would enter, 43 would leave\n"
        ) in asked.stdout

    def test_takes_a_tolerance_of_the_audiences_own(self, held: Project) -> None:
        held.configure(audiences=[{**VIP, "guard": {"tolerance": 0}}, TEST], guard=STRICT)
        held.write_members("vip.csv", *ALL[41:])
        assert held.run("approve", "2").code == 4
        assert held.sent() == left(*ALL, key="test")

    def test_of_a_snapshot_that_is_whole_again_is_like_any_run(self, held: Project) -> None:
        held.write_members("vip.csv", *ALL[1:])
        approved = held.run("approve", "2", "vip")
        assert approved.code == 0
        assert "the hold of run 2 has ended. The new snapshot is within the limits." in approved.stdout
        assert held.sent() == left("u000")

    def test_of_a_source_that_fails_leaves_the_hold_as_it_is(self, held: Project) -> None:
        (held.folder / "vip.csv").unlink()
        assert held.run("approve", "2", "vip").code == 3
        held.write_members("vip.csv", *ALL[40:])
        assert held.run("approve", "2", "vip").code == 0
        assert held.sent() == left(*ALL[:40])

    @pytest.mark.parametrize(
        ("words", "answer"),
        [
            (
                ("1",),
                "run 1 held nothing.\n  To decide: audience-sync approve 2 vip\n"
                "  To decide: audience-sync approve 2 test\n",
            ),
            (("2", "vipp"), "run 2 held no vipp. It held: test, vip"),
            (("9", "vip"), "run 9 held nothing."),
        ],
        ids=["a run that held nothing", "a wrong key", "no run"],
    )
    def test_of_what_is_not_held_says_what_there_is(self, held: Project, words: tuple[str, ...], answer: str) -> None:
        refused = held.run("approve", *words)
        assert (refused.code, refused.stdout) == (2, "")
        assert answer in refused.stderr
        assert held.query("select max(run) from sync_runs") == [(2,)]

    def test_of_what_was_approved_already_does_nothing(self, held: Project) -> None:
        held.run("approve", "2")
        again = held.run("approve", "2")
        assert again.code == 2
        assert "vip was approved already, by run 3. Nothing was done. No run is waiting for a decision." in again.stderr

    def test_of_an_audience_that_the_config_has_no_more_is_a_wrong_use(self, held: Project) -> None:
        held.configure(audiences=[TEST], guard=STRICT)
        gone = held.run("approve", "2", "vip")
        assert (gone.code, held.sent()) == (2, [])
        assert "there is no audience 'vip'." in gone.stderr


class TestReject:
    def test_drops_what_was_held_and_sends_nothing(self, held: Project) -> None:
        (held.folder / "vip.csv").unlink()  # no source is asked
        rejected = held.run("reject", "2", "vip", "--json")
        assert (rejected.code, held.sent()) == (0, [])
        assert rejected.json == {
            "run": 2,
            "rejected": [{"kind": "audience", "key": "vip", "entered": 0, "left": 40}],
        }
        assert held.query(STATUSES)[1] == (2, 2, "vip", "rejected", 0, 40, None)
        assert held.query("select max(run) from sync_runs") == [(2,)]

    def test_can_be_taken_back_only_by_another_run(self, held: Project) -> None:
        held.run("reject", "2")
        assert "vip was rejected already" in held.run("approve", "2", "vip").stderr
        assert held.run("approve", "2").code == 2
        again = held.sync()
        assert (again.code, held.sent()) == (4, [])
        assert (
            "Run 2 held the same, and a person rejected it. If this is right: audience-sync approve 3 vip."
            in (again.audience("vip")["error"])
        )
        assert "vip was rejected already (run 3 held it again)" in held.run("reject", "2", "vip").stderr
        assert held.run("approve", "3", "vip").code == 0
        assert held.sent() == left(*ALL[:40])

    def test_says_no_more_once_the_source_is_right(self, held: Project) -> None:
        held.run("reject", "2")
        held.write_members("vip.csv", *ALL)
        held.write_members("test.csv", *ALL[:99])
        healthy = held.sync()
        assert (healthy.code, healthy.json["warnings"]) == (0, [])
        assert held.sent() == left("u099", key="test")


class TestASnapshotThatIsHealthyAgain:
    def test_supersedes_the_hold_and_says_so(self, held: Project) -> None:
        held.write_members("vip.csv", *ALL[1:])
        healthy = held.sync()
        assert healthy.json["warnings"] == [
            "audience 'vip': the hold of run 2 has ended. The new snapshot is within the limits."
        ]
        assert held.sent() == left("u000")
        assert held.query(STATUSES)[1] == (2, 2, "vip", "superseded", 0, 40, 3)
        superseded = held.run("approve", "2", "vip")
        assert (superseded.code, held.sent()) == (2, [])
        assert "vip was superseded: run 3 met another snapshot. Nothing was done." in superseded.stderr
        assert held.sync("vip").json["warnings"] == []

    def test_supersedes_it_also_where_its_file_need_not_be_read(self, held: Project) -> None:
        held.write_members("vip.csv", *ALL)
        held.sync()
        os.utime(held.folder / "vip.csv", (1, 1))
        held.sync("vip")
        (held.folder / "vip.csv").rename(held.folder / "whole.csv")
        held.write_members("vip.csv")
        assert held.sync("vip").code == 4
        (held.folder / "whole.csv").rename(held.folder / "vip.csv")
        assert "the hold of run 5 has ended" in held.sync("vip").json["warnings"][0]

    def test_has_nothing_to_do_with_an_audience_that_is_taken_out_of_the_config(self, held: Project) -> None:
        held.configure(audiences=[VIP], guard=STRICT)
        assert held.sync("vip").json["warnings"] == []
        assert (
            "audience 'test': the hold of run 2 has ended. It is no longer in the config."
            in (held.sync().json["warnings"])
        )
        assert held.query(STATUSES)[0] == (2, 2, "test", "superseded", 0, 100, 4)


class TestAccept:
    def test_lifts_the_guard_for_one_run_and_ends_what_was_held(self, held: Project) -> None:
        assert held.sync("--accept", "vip").code == 4
        assert held.sent() == left(*ALL[:40])
        assert held.query(STATUSES)[1] == (2, 2, "vip", "approved", 0, 40, 3)
        held.write_members("vip.csv", *ALL[90:])
        assert held.sync("vip").code == 4

    def test_of_an_unknown_key_does_nothing(self, held: Project) -> None:
        unknown = held.sync("--accept", "vipp")
        assert (unknown.code, held.sent()) == (2, [])
        assert "there is no audience or computed trait 'vipp'. Did you mean 'vip'?" in unknown.stderr


class TestAudiencesHeldTogether:
    """Three of 50 members, who all leave but a few: none alone is over `at_least`."""

    KEYS = ("a", "b", "c")

    @pytest.fixture
    def three(self, vip: Project) -> Project:
        vip.configure(audiences=[{"name": key, "source": "shop", "file": f"{key}.csv"} for key in self.KEYS])
        for key in self.KEYS:
            vip.write_members(f"{key}.csv", *ALL[:50])
        vip.sync()
        vip.sent()
        for key in self.KEYS:
            vip.write_members(f"{key}.csv", *ALL[:5])
        return vip

    def test_are_reported_once(self, three: Project) -> None:
        held = three.run("sync")
        assert (held.code, three.sent()) == (4, [])
        assert held.stdout.count("Held: ") == 1
        assert (
            "\nHeld: 3 audiences\n"
            "  Reason     3 small audiences together: the new snapshots remove 135 of 150 members (90%), and their "
            "limits allow 45\n"
            "  Audiences  a, b, c\n"
        ) in held.stdout
        assert "\n    audience-sync approve 2\n" in held.stdout

    def test_stay_held_one_by_one(self, three: Project) -> None:
        three.sync()
        assert [three.sync(key).code for key in self.KEYS] == [4, 4, 4]
        assert three.sent() == []

    def test_are_approved_by_key_or_at_once(self, three: Project) -> None:
        three.sync()
        assert three.run("approve", "2", "b").code == 0
        assert three.sent() == left(*ALL[5:50], key="b")
        assert three.run("approve", "2").code == 0
        assert [traits for _, traits in three.sent()] == [{"a": False, "c": False}] * 45

    def test_are_asked_about_again_where_one_says_something_else(self, three: Project) -> None:
        three.sync()
        three.write_members("a.csv", *ALL[:20])
        asked = three.run("approve", "2", "a")
        assert (asked.code, three.sent()) == (4, [])
        assert "\n  Then  0 would enter, 45 would leave\n  Now   0 would enter, 30 would leave\n" in asked.stdout


def test_a_longer_difference_of_a_list_is_asked_about_again_in_its_own_words(vip: Project) -> None:
    vip.configure(
        audiences=[VIP],
        suppressed=[{"source": "shop", "file": "quiet.csv"}],
        guard={"max_removed": "10%", "at_least": 1},
    )
    vip.write_members("quiet.csv", *ALL[:10])
    vip.sync()
    vip.write_members("quiet.csv", *ALL[2:10])
    assert vip.sync().code == 4
    vip.write_members("quiet.csv", *ALL[5:10])
    asked = vip.run("approve", "2")
    assert asked.code == 4
    assert (
        "\n  Then  2 users would be removed from the lists\n  Now   5 users would be removed from the lists\n"
        in asked.stdout
    )


def test_a_list_of_suppressed_users_is_decided_likewise(vip: Project) -> None:
    vip.configure(audiences=[VIP], suppressed=[{"source": "shop", "file": "quiet.csv"}])
    vip.write_members("quiet.csv", "bob")
    vip.sync()
    vip.write_members("quiet.csv")
    assert vip.sync().code == 4
    assert vip.run("reject", "2").stdout == (
        "Rejected for the lists of suppressed users: 1 user removed from the lists.\n"
        "Nothing was changed or sent. If the source is still the same, the next run holds it again.\n"
    )
    assert vip.sync().code == 4
    vip.sent()
    assert vip.run("approve", "3", "suppressed").code == 0
    assert vip.sent() == [("bob", {"vip": True})]


def test_a_vanished_name_is_approved(vip: Project) -> None:
    vip.configure(audiences=[{"names_from": "audience", "source": "shop", "file": "all.csv"}])
    vip.write("all.csv", "user_id,audience\nada,One\nbob,Two\n")
    vip.sync()
    vip.write("all.csv", "user_id,audience\nada,One\n")
    assert vip.sync().code == 4
    vip.sent()
    assert vip.run("approve", "2").code == 0
    assert vip.sent() == [("bob", {"two": False})]


def test_the_same_on_postgresql(held: Project, postgresql: PostgreSQL) -> None:
    held.environment["STORE"] = postgresql.create()
    assert held.run("db", "copy", "${STORE}").code == 0
    held.configure(store="${STORE}", audiences=[VIP, TEST], guard=STRICT)
    assert held.run("reject", "2", "test").code == 0
    assert held.run("approve", "2").code == 0
    assert held.sent() == left(*ALL[:40])
    again = held.sync()
    assert (again.code, held.sent()) == (4, [])
    assert "Run 2 held the same, and a person rejected it." in again.audience("test")["error"]
    assert [hold["status"] for hold in held.run("show", "4", "--json").json["holds"]] == ["held"]
