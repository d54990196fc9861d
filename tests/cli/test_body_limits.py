"""The limit that a proxy on the way has for bodies is met a few times in a run, and not with every batch."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from destinations.receiver import Receiver, Reply
from proxies import free_port, nginx

from .conftest import ACCEPTED, Project, calls

FrontOf = Callable[[str], tuple[str, Path]]
USERS = [f"u-{number:04}" for number in range(4_000)]


@pytest.fixture
def front(tmp_path_factory: pytest.TempPathFactory, receiver: Receiver) -> Iterator[FrontOf]:
    """Starts nginx in front of the receiver, with more for its location; gives its address and access log."""
    with ExitStack() as running:

        def start(more: str) -> tuple[str, Path]:
            port = free_port()
            location = f"proxy_pass {receiver.url}; proxy_http_version 1.1; {more}"
            server = f"server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }}"
            folder = tmp_path_factory.mktemp("nginx")
            return f"http://127.0.0.1:{port}", running.enter_context(nginx(folder, port, server))

        yield start


def answers(log: Path, status: int) -> int:
    return len(re.findall(rf'" {status} ', log.read_text()))


@pytest.mark.parametrize("most", ["8k", "20k", "150k"])
def test_all_calls_go_through_nginx_with_few_refusals(
    vip: Project, receiver: Receiver, front: FrontOf, most: str
) -> None:
    url, log = front(f"client_max_body_size {most};")
    vip.write_members("vip.csv", *USERS)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": {"type": "segment", "write_key": "a-key", "url": url}},
    )
    run = vip.sync()
    assert (run.code, run.destination("segment")["delivered"]) == (0, 4_000)
    assert [user for user, _ in calls(receiver)] == USERS
    assert answers(log, 413) < 10


@pytest.mark.parametrize("status", [500, 502])
def test_a_server_that_fails_at_large_bodies_alone_is_sent_smaller_ones(
    vip: Project, receiver: Receiver, status: int
) -> None:
    receiver.will_limit(40_000, Reply(status, b"<html>oops</html>"))
    vip.write_members("vip.csv", *USERS)
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"segment": {"type": "segment", "write_key": "a-key", "url": receiver.url}},
    )
    run = vip.sync()
    assert (run.code, run.destination("segment")["delivered"]) == (0, 4_000)
    assert run.json["seconds"] < 30
    failed = [request for request in receiver.requests if len(request.body) > 40_000]
    assert len(failed) < 30


def test_a_batch_of_a_webhook_is_cut_to_what_its_proxy_takes(vip: Project, receiver: Receiver, front: FrontOf) -> None:
    receiver.will_answer(Reply(204))
    url, log = front("client_max_body_size 5k;")
    vip.write_members("vip.csv", *USERS[:1_000])
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"crm": {"type": "webhook", "url": url, "body": "batch", "batch_size": 100}},
    )
    assert vip.sync().code == 0
    assert answers(log, 413) < 10
    assert answers(log, 204) < 120


def test_a_limit_that_is_gone_is_noticed_in_the_next_run(vip: Project, receiver: Receiver) -> None:
    receiver.will_limit(10_000, Reply(413))
    vip.configure(
        audiences=[
            {"name": "VIP", "source": "shop", "file": "vip.csv"},
            {"name": "Test", "source": "shop", "file": "test.csv"},
        ],
        destinations={"segment": {"type": "segment", "write_key": "a-key", "url": receiver.url}},
    )
    vip.write_members("vip.csv", *USERS[:500])
    vip.write_members("test.csv", "zed")
    assert vip.sync().code == 0
    receiver.requests.clear()
    receiver.will_limit(1_000_000, Reply(413))
    receiver.will_answer(ACCEPTED)
    vip.write_members("test.csv", *USERS[:500])
    assert vip.sync("--accept", "test").code == 0
    assert len(receiver.requests) == 1
