"""A receiver that answers 429 without Retry-After gets the pace back that it accepts, soon."""

from __future__ import annotations

from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, calls, segment

USERS = [f"user-{number:03}" for number in range(300)]
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}


def test_single_refusals_without_retry_after_do_not_keep_the_pace_low(project: Project, receiver: Receiver) -> None:
    project.write_members("vip.csv", *USERS)
    project.configure(audiences=[VIP], destinations={"seg": segment(receiver, batch_size=1)})
    replies = [ACCEPTED] * 400
    for number in (5, 30, 60):
        replies[number] = Reply(429)
    receiver.will_answer(*replies)
    done = project.sync()
    assert done.code == 0
    assert sorted(user for user, _ in calls(receiver) if user) == sorted([*USERS, *refused(receiver)])
    [(seconds,)] = project.query("select seconds from deliveries")
    assert seconds < 20  # it was 29 s


def refused(receiver: Receiver) -> list[str]:
    """Whose call came a second time."""
    seen = [user for user, _ in calls(receiver)]
    return [user for user in USERS if seen.count(user) == 2]
