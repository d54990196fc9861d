"""The view `requests` has every attempt, and erase, retention and a copy of the store include them."""

from __future__ import annotations

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import ACCEPTED, Project, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
DOWN = Reply(status=503)
REQUESTS = "select run, request, attempt, status, http_status, users, refused from requests order by run, attempt"


@pytest.fixture
def shop(vip: Project, receiver: Receiver) -> Project:
    vip.configure(audiences=[VIP], destinations={"segment": segment(receiver)})
    return vip


def test_an_outage_and_its_end_are_there(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN, ACCEPTED)
    assert shop.sync().code == 0
    assert shop.query(REQUESTS) == [(1, 1, 1, "sent again", 503, 3, 0), (1, 1, 2, "accepted", 200, 3, 0)]
    assert shop.query("select requests, retries from deliveries") == [(2, 1)]
    assert shop.query("select count(*) from requests where sent_at is not null and seconds >= 0") == [(2,)]


def test_a_request_that_no_run_could_finish_has_no_number(shop: Project, receiver: Receiver) -> None:
    options = segment(receiver, give_up_after="1ms")
    shop.configure(audiences=[VIP], destinations={"segment": options})
    receiver.will_answer(DOWN)
    assert shop.sync().code == 3
    assert shop.query(REQUESTS) == [(1, None, 1, "sent again", 503, 3, 0)]


def test_erase_leaves_no_trace_of_a_user_in_the_attempts(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN, ACCEPTED)
    shop.sync()
    assert shop.query("select after_user, through_user from request_attempts") == [("", "cyd")]
    assert shop.run("erase", "cyd").code == 0
    assert shop.query("select after_user, through_user from request_attempts") == [("", "bob")]
    assert [row[:4] for row in shop.query(REQUESTS)] == [(1, 1, 1, "sent again"), (1, 1, 2, "accepted")]
    assert b"cyd" not in shop.store.read_bytes()


def test_retention_deletes_old_attempts(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN, ACCEPTED)
    shop.sync()
    shop.query("update runs set started_at = '2026-01-01 00:00:00.000000'")
    shop.configure(audiences=[VIP], destinations={"segment": segment(receiver)}, retention={"requests": "1d"})
    shop.write_members("vip.csv", "ada", "bob", "cyd", "dan")
    receiver.will_answer(ACCEPTED)
    assert shop.sync("--accept-clock").code == 0
    assert [row[:3] for row in shop.query(REQUESTS)] == [(2, 2, 1)]
    assert shop.query("select count(*) from request_attempts") == [(0,)]


def test_a_copy_has_the_attempts_and_is_sound(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(DOWN, ACCEPTED)
    shop.sync()
    before = shop.query(REQUESTS)
    assert shop.run("db", "copy", "sqlite:///new.db").code == 0
    shop.configure(store="sqlite:///new.db", audiences=[VIP], destinations={"segment": segment(receiver)})
    assert shop.run("db", "check").code == 0
    shop.store = shop.folder / "new.db"
    assert shop.query(REQUESTS) == before
