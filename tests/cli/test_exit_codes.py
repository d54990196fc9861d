"""The exit code shows a scheduler what to do."""

from __future__ import annotations

from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, SILENCE, Project, calls, received, segment, until

REFUSED = Reply(400, b'{"success": false}')
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
TEST = {"name": "Test", "source": "shop", "file": "test.csv"}
NEW = {"name": "New", "source": "shop", "file": "new.csv"}


def test_where_several_apply_a_failure_counts_most_then_a_hold_then_a_refusal(vip: Project, receiver: Receiver) -> None:
    vip.configure(audiences=[VIP, TEST, NEW], destinations={"segment": segment(receiver)})
    vip.write_members("test.csv", "ada")
    vip.write_members("new.csv", "ada")
    assert vip.sync().code == 0

    receiver.will_answer(REFUSED)
    vip.write_members("vip.csv")
    vip.write_members("test.csv", "bob", "ada")
    (vip.folder / "new.csv").unlink()
    assert vip.sync().code == 3

    vip.write_members("new.csv", "ada")
    vip.write_members("test.csv", "cyd", "bob", "ada")
    assert vip.sync().code == 4

    vip.write_members("vip.csv", "ada", "bob", "cyd")
    vip.write_members("test.csv", "dan", "cyd", "bob", "ada")
    assert vip.sync().code == 1


def test_a_second_run_says_who_is_at_work_and_a_killed_one_is_taken_over(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(SILENCE)
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver)})
    first = vip.start("sync")
    until(lambda: len(receiver.requests) == 1)
    second = vip.run("sync")
    assert (second.code, second.stdout) == (5, "")
    assert f"Another run is in progress (process {first.pid} on " in second.stderr
    assert "Nothing was done" in second.stderr

    first.kill()
    first.wait()
    receiver.will_answer(ACCEPTED)
    assert vip.sync().destination("segment")["delivered"] == 3
    assert calls(receiver) == [(user, {"vip": True}) for user in ("ada", "ada", "bob", "bob", "cyd", "cyd")]
    assert len({each["messageId"] for each in received(receiver)}) == 3
    assert vip.query(
        "select status, error like 'The process ended before the run did%' from sync_runs where run = 1"
    ) == [("interrupted", 1)]


def test_a_wrong_use_ends_with_2(vip: Project) -> None:
    for arguments in (["sink"], ["sync", "--no-such-option"], ["sync", "vap"], ["history", "--limit", "many"]):
        wrong = vip.run(*arguments)
        assert (wrong.code, wrong.stdout) == (2, "")
        assert wrong.stderr != ""


def test_an_unknown_run_or_audience_is_said_with_what_there_is(vip: Project) -> None:
    vip.sync()
    assert "error: there is no run 7. The last ones: audience-sync history" in vip.run("show", "7").stderr
    unknown = vip.run("members", "vap")
    assert unknown.code != 0
    assert "error: there is no audience 'vap'. Did you mean 'vip'?" in unknown.stderr


def test_the_history_of_an_interrupted_run_counts_what_was_answered_until_then(
    vip: Project, receiver: Receiver
) -> None:
    receiver.will_answer(ACCEPTED, SILENCE)
    vip.configure(audiences=[VIP], destinations={"a": segment(receiver, batch_size=1, concurrency=1)})
    process = vip.start("sync")
    until(lambda: len(receiver.requests) == 2)
    process.kill()
    process.wait()
    receiver.will_answer(ACCEPTED)
    assert vip.sync().destination("a")["delivered"] == 2
    assert vip.query("select run, destination, calls, delivered, pending from deliveries where run = 1") == [
        (1, "a", 3, 1, 2)
    ]
