"""People are notified when something begins to need attention and when that is over, not in between."""

from __future__ import annotations

import json
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
BUG = """
import audience_sync.sync.plan_run as planning

def look(*parts, **options):
    raise RuntimeError("no 'ada'")

planning.plan_run = look
"""
MANY = [f"user-{number}" for number in range(300)]


class People:
    """What was said to them at an address of theirs."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._seen = 0
        self.address = f"{receiver.url.replace('http://', 'json://')}/a-secret-token"

    def messages(self) -> list[tuple[str, list[str]]]:
        """Titles and lines since this was last asked."""
        found = [json.loads(request.body) for request in self._receiver.requests[self._seen :]]
        self._seen = len(self._receiver.requests)
        return [(each["title"], each["message"].splitlines()) for each in found]


@pytest.fixture
def people(other_receiver: Receiver) -> People:
    other_receiver.will_answer(Reply())
    return People(other_receiver)


@pytest.fixture
def others(receiver: Receiver) -> People:
    receiver.will_answer(Reply())
    return People(receiver)


def configure(project: Project, people: People, **parts: Any) -> None:
    notify = {"to": [people.address], **parts.pop("notify", {})}
    project.configure(**{"audiences": [VIP], "notify": notify, **parts})


def test_a_hold_is_notified_when_it_begins_and_when_it_ends(vip: Project, people: People) -> None:
    configure(vip, people, guard={"at_least": 0})
    assert vip.sync().code == 0
    assert people.messages() == []
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    ((title, (line,)),) = people.messages()
    assert title == "audience-sync run 2: 1 held"
    assert line.startswith("HELD vip: ")
    assert "audience-sync approve 2 vip" in line
    assert vip.sync().code == 4
    assert people.messages() == []
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    assert vip.sync().code == 0
    assert people.messages() == [("audience-sync run 4: 1 recovered", ["RECOVERED vip (was: held)"])]
    assert vip.query("select kind, subject, began_run, ended_run from alerts") == [("held", "vip", 2, 4)]


def test_failures_and_other_alerts_are_in_one_message(vip: Project, people: People) -> None:
    others = [{"name": f"Other {number}", "source": "shop", "file": "others.csv"} for number in range(25)]
    configure(vip, people, audiences=[VIP, *others])
    assert vip.sync().code == 3
    ((title, lines),) = people.messages()
    assert title == "audience-sync run 1: 25 failed"
    assert len(lines) == 21
    assert lines[-1] == "... and 5 more: audience-sync history"
    vip.write_members("others.csv", "ada")
    assert vip.sync().code == 0
    assert [title for title, _ in people.messages()] == ["audience-sync run 2: 25 recovered"]


def test_a_run_over_some_says_nothing_of_the_others(vip: Project, people: People) -> None:
    configure(vip, people, audiences=[VIP, {"name": "Gone", "source": "shop", "file": "gone.csv"}])
    vip.sync()
    people.messages()
    assert vip.sync("vip").code == 0
    assert people.messages() == []


@pytest.mark.parametrize(("most", "is_notified"), [("10%", True), ("50%", False)])
def test_too_many_refusals_are_notified(
    vip: Project, people: People, receiver: Receiver, most: str, is_notified: bool
) -> None:
    configure(vip, people, destinations={"seg": segment(receiver, batch_size=1)}, notify={"max_refused": most})
    receiver.will_answer(Reply(400), Reply(body=b'{"success": true}'), Reply(body=b'{"success": true}'))
    assert vip.sync().destination("seg")["refused"] == 1
    assert bool(people.messages()) == is_notified
    receiver.will_answer(Reply(body=b'{"success": true}'))
    assert vip.sync().code == 1
    assert people.messages() == []  # it is still refused
    assert vip.run("retry").code == 0
    assert [lines for _, lines in people.messages()] == ([["RECOVERED seg (was: refused)"]] if is_notified else [])


def test_a_destination_that_is_down_is_notified(vip: Project, people: People) -> None:
    down = {"type": "webhook", "url": "http://127.0.0.1:1", "give_up_after": "200ms"}
    configure(vip, people, destinations={"hook": down})
    vip.sync()
    ((title, (line,)),) = people.messages()
    assert title == "audience-sync run 1: 1 failed"
    assert line.startswith("FAILED hook: ")
    assert "3 calls pending; the next run sends them" in line


def test_an_unusual_size_is_notified(vip: Project, people: People) -> None:
    configure(vip, people, guard={"max_added": "1000%"})
    for number in range(5):
        vip.write_members("vip.csv", *MANY[: 100 + number])
        vip.sync()
    vip.write_members("vip.csv", *MANY[:140])
    vip.sync()
    assert people.messages() == []
    vip.write_members("vip.csv", *MANY[:250])
    vip.sync()
    ((title, lines),) = people.messages()
    assert title == "audience-sync run 7: 1 unusual size"
    assert lines == ["UNUSUAL SIZE vip: 250 members; usually there are about 102"]
    vip.write_members("vip.csv", *MANY[:120])
    vip.sync("--accept", "vip")
    assert [lines for _, lines in people.messages()] == [["RECOVERED vip (was: unusual size)"]]


def test_only_the_wanted_kinds_are_notified(vip: Project, people: People) -> None:
    configure(vip, people, guard={"at_least": 0}, notify={"of": ["failed"]})
    vip.sync()
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    assert people.messages() == []
    assert vip.query("select kind, subject, told_at from alerts") == [("held", "vip", None)]  # it is known all the same


def test_an_address_that_is_down_does_not_keep_the_switch_from_being_called(
    vip: Project, people: People, receiver: Receiver, other_receiver: Receiver
) -> None:
    receiver.will_answer(Reply())
    configure(vip, people, guard={"at_least": 0}, notify={"ping": receiver.url})
    vip.sync()
    vip.write_members("vip.csv")
    other_receiver.will_answer(Reply(500))
    assert vip.sync().code == 4
    assert len(receiver.requests) == 2


def test_an_address_that_missed_a_message_gets_it_after_the_next_run(
    vip: Project, people: People, other_receiver: Receiver
) -> None:
    configure(vip, people, guard={"at_least": 0})
    vip.sync()
    vip.write_members("vip.csv")
    other_receiver.will_answer(Reply(500))
    ended = vip.sync()
    assert ended.code == 4
    assert "an alert of this run was not sent" in ended.stderr
    assert "a-secret-token" not in ended.stderr
    people.messages()
    other_receiver.will_answer(Reply())
    vip.sync()
    assert [title for title, _ in people.messages()] == ["audience-sync run 3: 1 held"]


def held_while_others_are_away(vip: Project, people: People, others: People, receiver: Receiver) -> None:
    """Until the next run."""
    configure(vip, people, guard={"at_least": 0}, notify={"to": [people.address, others.address]})
    vip.sync()
    vip.write_members("vip.csv")
    receiver.will_answer(Reply(500))


def test_an_address_that_got_a_message_does_not_get_it_again_when_another_missed_it(
    vip: Project, people: People, others: People, receiver: Receiver
) -> None:
    held_while_others_are_away(vip, people, others, receiver)
    ended = vip.sync()
    assert "of `notify.to` the second address did not accept the message" in ended.stderr
    assert [title for title, _ in people.messages()] == ["audience-sync run 2: 1 held"]
    vip.sync()
    assert people.messages() == []
    others.messages()
    receiver.will_answer(Reply())
    vip.sync()
    assert (people.messages(), [title for title, _ in others.messages()]) == ([], ["audience-sync run 4: 1 held"])
    receiver.will_answer(Reply(500))
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    vip.sync()
    assert [title for title, _ in people.messages()] == ["audience-sync run 5: 1 recovered"]
    others.messages()
    receiver.will_answer(Reply())
    vip.sync()
    assert (people.messages(), [title for title, _ in others.messages()]) == ([], ["audience-sync run 6: 1 recovered"])
    assert vip.query("select * from missed_notifications") == []


def test_an_address_that_missed_the_start_does_not_get_the_end(
    vip: Project, people: People, others: People, receiver: Receiver
) -> None:
    held_while_others_are_away(vip, people, others, receiver)
    vip.sync()
    receiver.will_answer(Reply())
    others.messages()
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    assert vip.sync().code == 0
    assert len(people.messages()) == 2
    assert others.messages() == []


def test_a_run_that_breaks_off_is_notified_once_and_so_is_the_recovery(vip: Project, people: People) -> None:
    configure(vip, people)
    vip.sync()
    vip.write("sitecustomize.py", BUG)
    vip.environment["PYTHONPATH"] = str(vip.folder)
    assert vip.run_afresh("sync").code == 3
    ((title, lines),) = people.messages()
    assert title == "audience-sync run 2: 1 failed"
    assert lines[0].startswith("FAILED run: an unexpected error: RuntimeError")
    assert "ada" not in lines[0]
    assert vip.run_afresh("sync").code == 3
    assert people.messages() == []
    assert vip.sync().code == 0
    assert people.messages() == [("audience-sync run 4: 1 recovered", ["RECOVERED run (was: failed)"])]


def test_an_unreachable_store_is_notified_once_and_so_is_its_return(
    new_vip: Project, people: People, other_receiver: Receiver
) -> None:
    configure(new_vip, people, store="postgresql+psycopg://robot:pass-word@127.0.0.1:1/store")
    other_receiver.will_answer(Reply(500))
    assert new_vip.run("sync").code == 3
    people.messages()
    other_receiver.will_answer(Reply())
    for _ in range(2):  # nobody has heard of it yet, the first time
        assert new_vip.run("sync").code == 3
    ((title, (line, *_)),) = people.messages()
    assert title == "audience-sync: 1 failed"
    assert line.startswith("FAILED run: The store postgresql://robot:***@127.0.0.1:1/store can't be reached: ")


def test_the_return_of_a_store_is_notified(new_vip: Project, people: People, other_receiver: Receiver) -> None:
    configure(new_vip, people)
    new_vip.store.write_bytes(b"this is no database" * 100)
    for _ in range(2):
        assert new_vip.run("sync").code == 3
    assert [title for title, _ in people.messages()] == ["audience-sync: 1 failed"]
    new_vip.store.unlink()
    other_receiver.will_answer(Reply(500))
    assert new_vip.run("sync").code == 0
    people.messages()
    other_receiver.will_answer(Reply())
    assert new_vip.run("sync").code == 0
    assert people.messages() == [("audience-sync: 1 recovered", ["RECOVERED run (was: failed)"])]
    assert new_vip.run("sync").code == 0
    assert people.messages() == []


def test_what_there_is_no_more_has_nothing_wrong_with_it(vip: Project, people: People) -> None:
    down = {"type": "webhook", "url": "http://127.0.0.1:1", "give_up_after": "200ms"}
    log = {"type": "file", "path": "calls.jsonl"}
    gone = {"name": "Gone", "source": "shop", "file": "gone.csv"}
    configure(vip, people, audiences=[VIP, gone], destinations={"hook": down, "log": log})
    vip.sync()
    people.messages()
    configure(vip, people, destinations={"log": log})
    vip.sync("vip")
    ((_, lines),) = people.messages()
    assert sorted(lines) == ["RECOVERED gone (was: failed)", "RECOVERED hook (was: failed)"]


def test_only_a_run_over_all_can_end_alerts_of_names_from(vip: Project, people: People) -> None:
    named = {"names_from": "audience", "source": "shop", "query": "select user_id, audience from 'named.csv'"}
    vip.write("named.csv", "user_id,audience\nada,Email\nada,Good\n")  # one may not be called so
    configure(vip, people, audiences=[VIP, named])
    vip.sync()
    assert len(people.messages()) == 1
    vip.write("named.csv", "user_id,audience\nada,Good\n")
    vip.sync("vip")
    assert people.messages() == []
    vip.sync()
    ((title, _),) = people.messages()
    assert title == "audience-sync run 3: 1 recovered"


def test_a_hold_with_other_numbers_is_recorded_and_not_notified_again(vip: Project, people: People) -> None:
    configure(vip, people, guard={"at_least": 0})
    vip.sync()
    vip.write_members("vip.csv", "ada")
    vip.sync()
    people.messages()
    vip.write_members("vip.csv")
    vip.sync()
    assert people.messages() == []
    ((words,),) = vip.query("select words from alerts")
    assert "audience-sync approve 3 vip" in words


def test_a_wrong_command_is_nobodys_alarm(vip: Project, people: People) -> None:
    configure(vip, people)
    assert vip.run("sync", "no_such_audience").code == 2
    assert vip.run("seed", "no_such_audience").code == 2
    assert people.messages() == []


def test_a_dead_mans_switch_is_called_after_every_run_that_has_not_failed(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply())
    vip.configure(audiences=[VIP], notify={"ping": f"{receiver.url}/a-secret-check"}, guard={"at_least": 0})
    vip.sync()
    vip.write_members("vip.csv")
    assert vip.sync().code == 4
    assert [request.path for request in receiver.requests] == ["/a-secret-check"] * 2
    (vip.folder / "vip.csv").unlink()
    assert vip.sync().code == 3
    assert len(receiver.requests) == 2
    receiver.will_answer(Reply(404))
    vip.write_members("vip.csv", "ada", "bob", "cyd")
    ended = vip.sync()
    assert ended.code == 0
    assert "`notify.ping` answered 404" in ended.stderr
    assert "a-secret-check" not in ended.stderr


def test_check_tries_everyone(vip: Project, people: People, receiver: Receiver) -> None:
    receiver.will_answer(Reply(503))
    notify = {"to": [people.address, "nowhere://x"], "ping": receiver.url}
    configure(vip, people, notify=notify)
    ended = vip.run("check", "--notify", "--json")
    assert ended.code == 3
    found = [(each["name"], each["good"]) for each in ended.json["checks"] if each["part"] == "notify"]
    assert found == [("first address", True), ("second address", False), ("ping", False)]
    assert [title for title, _ in people.messages()] == ["audience-sync: a test"]
    vip.configure(audiences=[VIP])
    assert "no alerts are configured" in vip.run("check", "--notify").stdout
    assert vip.run("check").code == 0
