"""An audience is backfilled share by share, until too many calls are refused."""

from __future__ import annotations

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment

AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv", "initial": "manual"}
EVERYONE = [f"user-{number:02}" for number in range(1, 41)]
REFUSED, DOWN = Reply(400, body=b"no such user"), Reply(401)


@pytest.fixture
def forty(vip: Project, receiver: Receiver) -> Project:
    """`vip` has forty members, and waits for a person."""
    vip.configure(audiences=[AUDIENCE], destinations={"segment": segment(receiver)})
    vip.write_members("vip.csv", *EVERYONE)
    return vip


def sent(receiver: Receiver) -> list[int]:
    """The identify calls in each request."""
    found = [len(request.body) and request.body.count(b'"messageId"') for request in receiver.requests]
    receiver.requests.clear()
    return found


def test_each_share_is_a_run_and_every_member_is_sent_once(forty: Project, receiver: Receiver) -> None:
    ramp = forty.run("seed", "vip", "--ramp", "5%,50%,100%")
    assert ramp.code == 0, ramp.stdout
    assert ramp.stdout.startswith("Seeding vip in 3 steps: 5%, 50%, 100% of 40 members.\n\nrun  step  delivered  ")
    assert ramp.stdout.endswith("\n\nvip is seeded at segment. No call was refused.\n")
    assert calls(receiver) == [(user, {"vip": True}) for user in EVERYONE]
    assert sent(receiver) == [2, 18, 20]
    assert forty.query("select command, status from sync_runs") == [
        ("seed", "partial"),
        ("seed", "partial"),
        ("seed", "succeeded"),
    ]
    assert forty.run("seed", "vip", "--ramp", "5%,50%,100%").code == 0
    assert sent(receiver) == []


def test_a_ramp_goes_on_where_it_was(forty: Project, receiver: Receiver) -> None:
    first = forty.run("seed", "vip", "--ramp", "50%")
    assert first.code == 0
    assert (
        "50% of vip is seeded at segment. No call was refused. To send to all other members:\n"
        "  audience-sync seed vip\n"
    ) in first.stdout
    assert sent(receiver) == [20]
    again = forty.run("seed", "vip", "--ramp", "5%,50%,75%,100%", "--json")
    assert sent(receiver) == [10, 10]
    assert [(each["share"], each["run"], each["stopped"]) for each in again.json["ramp"]] == [
        (0.05, 2, None),
        (0.5, 3, None),
        (0.75, 4, None),
        (1.0, 5, None),
    ]
    assert (again.json["run"], again.json["status"]) == (5, "succeeded")


def test_it_ends_where_too_many_are_refused_until_the_reason_is_gone(forty: Project, receiver: Receiver) -> None:
    receiver.will_answer(REFUSED)
    stopped = forty.run("seed", "vip", "--ramp", "10%,100%")
    assert stopped.code == 1
    assert "\nStopped after 10% of vip: segment refused 4 of 4 calls (100%; limit 5%).\n" in stopped.stdout
    assert stopped.stdout.endswith(
        "\n  The reasons:\n    audience-sync show 1\n  After correcting the data:\n"
        "    audience-sync retry --destination segment\n    audience-sync seed vip --ramp 10%,100%\n"
    )
    receiver.requests.clear()

    receiver.will_answer(ACCEPTED)
    assert forty.run("seed", "vip", "--ramp", "10%,100%").code == 1
    assert sent(receiver) == []

    forty.run("retry")
    assert sum(sent(receiver)) == 4
    assert forty.run("seed", "vip", "--ramp", "10%,100%").code == 0
    assert sum(sent(receiver)) == 36


def test_a_greater_limit_of_refused_calls_lets_it_go_on(forty: Project, receiver: Receiver) -> None:
    receiver.will_answer(REFUSED)
    forty.run("seed", "vip", "--ramp", "10%,100%")
    receiver.will_answer(ACCEPTED)
    receiver.requests.clear()
    went_on = forty.run("seed", "vip", "--ramp", "10%,100%", "--max-refused", "100%")
    assert went_on.code == 1
    assert "vip is seeded at segment. 4 calls are refused.\n" in went_on.stdout
    assert sum(sent(receiver)) == 36


def test_it_ends_where_a_destination_does_not_answer(forty: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN)
    stopped = forty.run("seed", "vip", "--ramp", "10%,100%")
    assert stopped.code == 3
    assert "Stopped after 10% of vip: segment did not answer everything" in stopped.stdout


def test_it_ends_where_the_source_fails(forty: Project, receiver: Receiver) -> None:
    (forty.folder / "vip.csv").unlink()
    stopped = forty.run("seed", "vip", "--ramp", "10%,100%")
    assert stopped.code == 3
    assert stopped.stdout.startswith("Run 1 failed in ")
    assert "\nFailed: vip\n" in stopped.stdout
    assert sent(receiver) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ramp", "10%,5%"], "write rising shares of the members, such as 1%,10%,100%"),
        (["--ramp", "ten"], "a share is a percentage such as 20%"),
        (["--ramp", "1%,200%"], "write rising shares"),
        (["--ramp", ""], "a share is a percentage such as 20%"),
        (["--ramp", "1%", "--limit", "5"], "give it without --limit and --no-send"),
        (["--max-refused", "5%"], "--max-refused is the limit of a --ramp"),
    ],
    ids=["falling", "no shares", "more than all", "nothing", "with a limit", "no ramp"],
)
def test_a_wrong_use_ends_with_2_and_says_so(forty: Project, arguments: list[str], words: str) -> None:
    wrong = forty.run("seed", "vip", *arguments)
    assert wrong.code == 2
    assert words in wrong.stderr
