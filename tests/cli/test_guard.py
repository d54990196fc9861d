"""A snapshot that would change too much is held until a person decides."""

from __future__ import annotations

import pytest

from .conftest import Project


def test_an_empty_snapshot_is_held_until_it_is_accepted_and_other_audiences_go_on(vip: Project) -> None:
    vip.configure(
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Test", "source": "shop", "file": "test.csv"},
        ]
    )
    vip.write_members("test.csv", "ada")
    vip.sync()
    vip.sent()
    vip.write_members("vip.csv")
    vip.write_members("test.csv", "ada", "bob")
    held = vip.run("sync")
    assert held.code == 4
    assert (
        "\nHeld: vip\n"
        "  Change   3 of 3 members (100%) would leave\n"
        "  Reason   the new snapshot is empty\n"
        "  Source   vip.csv of shop\n"
        "  Leaving  ada, bob, cyd\n"
    ) in held.stdout
    assert "\n  If the change is right:\n    audience-sync approve 2 vip\n" in held.stdout
    assert vip.sent() == [("bob", {"test": True})]
    assert vip.query("select members_after, status from audience_syncs where audience_key = 'vip' and run = 2") == [
        (3, "held")
    ]

    accepted = vip.sync("--accept", "vip")
    assert (accepted.code, accepted.audience("vip")["left"]) == (0, 3)
    assert vip.sent() == [("ada", {"vip": False}), ("bob", {"vip": False}), ("cyd", {"vip": False})]


@pytest.mark.parametrize(
    ("guard", "code", "status"),
    [({"max_removed": "50%", "at_least": 1}, 4, "held"), ({"max_removed": 2, "at_least": 1}, 0, "synced")],
    ids=["over a share", "not over a count"],
)
def test_an_audience_may_have_limits_of_its_own(vip: Project, guard: dict[str, object], code: int, status: str) -> None:
    vip.configure(audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "guard": guard}])
    vip.sync()
    vip.write_members("vip.csv", "ada")
    result = vip.sync()
    assert (result.code, result.audience("vip")["status"]) == (code, status)
