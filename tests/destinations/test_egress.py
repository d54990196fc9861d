"""A destination behind a company's CA or an egress proxy is reached, and each failure on the way has its message."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from proxies import Tinyproxy, free_port, nginx_tls, private_ca, tinyproxy

from audience_sync.destinations.base import Judgement, Meaning
from audience_sync.destinations.http.deadline import Deadline, DeadlineAdapter
from audience_sync.destinations.http.egress import Egress, shown_proxy

from .examples import a_call, segment
from .receiver import Receiver, Reply

OK = Reply(200, b'{"success": true}')
DELIVERED = Judgement(Meaning.DELIVERED, status=200)
UNTRUSTED = (
    "the server's TLS certificate is not trusted: if a CA of your company signed it, name the CA's file in `ca_file`"
)


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def behind_tls(ca: Path, receiver: Receiver, tmp_path: Path) -> Iterator[str]:
    """The address of a receiver behind TLS, with a certificate of the company's CA."""
    receiver.will_answer(OK)
    (tmp_path / "nginx").mkdir()
    with nginx_tls(tmp_path / "nginx", ca, receiver.url) as url:
        yield url


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Tinyproxy]:
    with tinyproxy(tmp_path) as running:
        yield running


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """A proxy that answers each connection so, whatever it is asked, and then closes it; `b""`: it never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                connection.recv(65536)
                if answer:
                    connection.sendall(answer)
                    connection.close()
                else:
                    silent.append(connection)

        silent: list[socket.socket] = []
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        for connection in silent:
            connection.close()


def sent(url: str, times: int = 1, **options: Any) -> Judgement:
    """What the last of so many requests over one transport means."""
    destination = segment(url=url, **{"timeout": "5s", **options})
    transport = destination.open()
    try:
        return [transport.send(destination.encode(a_call())) for _ in range(times)][-1]
    finally:
        transport.close()


def test_a_server_with_a_certificate_of_the_companys_ca_is_reached_with_its_ca_file(
    behind_tls: str, ca: Path, receiver: Receiver
) -> None:
    assert sent(behind_tls) == Judgement(Meaning.RETRY, UNTRUSTED)
    assert receiver.requests == []
    assert sent(behind_tls, ca_file=str(ca)) == DELIVERED
    assert len(receiver.requests) == 1


def test_a_certificate_for_another_host_is_refused_with_a_ca_file_too(
    behind_tls: str, ca: Path, tmp_path: Path
) -> None:
    judgement = sent(behind_tls.replace("localhost", "127.0.0.1"), ca_file=str(ca))
    assert judgement.reason == (
        "the server's TLS certificate is not trusted (IP address mismatch, certificate is not valid for '127.0.0.1')"
    )


def test_over_tls_one_tunnel_serves_all_requests(behind_tls: str, ca: Path, proxy: Tinyproxy) -> None:
    assert sent(behind_tls, times=3, ca_file=str(ca), proxy=proxy.url) == DELIVERED
    assert proxy.requested == [f"CONNECT {behind_tls.removeprefix('https://')} HTTP/1.0"]


def test_without_tls_the_proxy_is_asked_for_the_whole_address(receiver: Receiver, proxy: Tinyproxy) -> None:
    receiver.will_answer(OK)
    assert sent(receiver.url, proxy=proxy.url) == DELIVERED
    assert proxy.requested == [f"POST {receiver.url}/v1/batch HTTP/1.1"]


def test_the_proxy_is_given_the_user_and_the_password(
    behind_tls: str, ca: Path, receiver: Receiver, tmp_path: Path
) -> None:
    with tinyproxy(tmp_path, "BasicAuth ana password-1") as proxy:
        address = f"http://ana:pass%77ord-1@{proxy.host}"
        assert sent(behind_tls, ca_file=str(ca), proxy=address) == DELIVERED
        assert sent(receiver.url, proxy=address) == DELIVERED


@pytest.mark.parametrize(
    ("proxy", "header"),
    [
        ("http://ana:p%40ss%3Aw%2Frd@proxy:3128", "Basic YW5hOnBAc3M6dy9yZA=="),  # ana:p@ss:w/rd
        ("http://ana:%E2%82%AC@proxy:3128", "Basic YW5hOuKCrA=="),  # ana:€
        ("http://ana@proxy:3128", "Basic YW5hOg=="),  # ana:
    ],
)
def test_a_log_in_is_decoded_and_sent_in_utf_8(proxy: str, header: str) -> None:
    adapter = DeadlineAdapter(Deadline(time.monotonic))
    assert adapter.proxy_headers(proxy) == {"Proxy-Authorization": header}


WRONG = "does not accept the user and password (HTTP 401). Correct them in `proxy`: `http://user:password@host:port`"
MISSING = "needs a user and a password (HTTP 407). Correct them in `proxy`: `http://user:password@host:port`"


@pytest.mark.parametrize(("log_in", "words"), [("ana:wrong-password@", WRONG), ("", MISSING)], ids=["wrong", "none"])
def test_a_proxy_that_wants_another_log_in_stops_the_destination_by_the_proxys_name(
    behind_tls: str, ca: Path, receiver: Receiver, tmp_path: Path, log_in: str, words: str
) -> None:
    with tinyproxy(tmp_path, "BasicAuth ana password") as proxy:
        stopped = Judgement(Meaning.STOP, f"the proxy {proxy.url} {words}")
        assert sent(behind_tls, ca_file=str(ca), proxy=f"http://{log_in}{proxy.host}") == stopped
        if not log_in:  # the status of this proxy for a wrong one is 401, which a destination may mean too
            assert sent(receiver.url, proxy=f"http://{proxy.host}") == stopped
    assert receiver.requests == []


def test_a_proxy_that_forbids_the_address_stops_the_destination_by_the_proxys_name(
    behind_tls: str, ca: Path, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "filter").write_text("localhost\n127.0.0.1\n")
    with tinyproxy(tmp_path, f'Filter "{tmp_path}/filter"') as proxy:
        there = behind_tls.removeprefix("https://")
        assert sent(behind_tls, ca_file=str(ca), proxy=proxy.url) == Judgement(
            Meaning.STOP,
            f"the proxy {proxy.url} does not allow a connection to {there} (HTTP 403). "
            "Have it allowed there, or set another `proxy`",
        )
        plain = sent(receiver.url, proxy=proxy.url)
        assert plain.meaning is Meaning.STOP
        assert plain.reason.endswith(
            f"The answer came through the proxy {proxy.url}, which may be the one that refuses"
        )


@pytest.mark.parametrize(
    ("status", "meaning", "words"),
    [
        (502, Meaning.RETRY, "could not connect to segment.invalid:443 (HTTP 502)"),
        (429, Meaning.RETRY, "could not connect to segment.invalid:443 (HTTP 429)"),
        (405, Meaning.STOP, "does not open a tunnel to segment.invalid:443 (HTTP 405). Check `proxy`"),
    ],
)
def test_other_answers_to_connect_are_the_proxys_too(status: int, meaning: Meaning, words: str) -> None:
    with saying(f"HTTP/1.1 {status} Said\r\n\r\n".encode()) as proxy:
        assert sent("https://segment.invalid", proxy=proxy) == Judgement(meaning, f"the proxy {proxy} {words}")


def test_a_proxy_without_a_way_to_the_destination_is_tried_again(proxy: Tinyproxy) -> None:
    judgement = sent("https://segment.invalid", proxy=proxy.url)
    assert judgement.meaning is Meaning.RETRY
    assert judgement.reason.startswith(f"the proxy {proxy.url} could not connect to segment.invalid:443 (HTTP 5")


@pytest.mark.parametrize("url", ["https://segment.invalid", "http://segment.invalid"])
def test_a_proxy_that_does_not_listen_is_named_and_tried_again(url: str) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    words = f"the proxy {proxy} can't be used: connection refused"
    assert sent(url, proxy=proxy.replace("127", "ana:secret-password@127")) == Judgement(Meaning.RETRY, words)


def test_a_proxy_whose_name_is_unknown_is_named() -> None:
    words = "the proxy http://proxy.invalid:3128 can't be used: the host's name can't be resolved"
    assert sent("https://segment.invalid", proxy="http://proxy.invalid:3128") == Judgement(Meaning.RETRY, words)


def test_the_time_out_holds_for_a_proxy_that_never_answers() -> None:
    with saying(b"") as proxy:
        words = f"the proxy {proxy} can't be used: no complete answer within the time-out"
        assert sent("https://segment.invalid", proxy=proxy, timeout="200ms") == Judgement(Meaning.RETRY, words)


def test_a_proxy_that_speaks_something_else_is_named() -> None:
    with saying(b"SSH-2.0-OpenSSH_9.6\r\n") as proxy:
        words = f"the proxy {proxy} can't be used: the answer is not HTTP"
        assert sent("https://segment.invalid", proxy=proxy) == Judgement(Meaning.RETRY, words)


def test_interim_answers_of_a_proxy_are_not_its_answer() -> None:
    with saying(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 503 Full\r\n\r\n") as proxy:
        words = f"the proxy {proxy} could not connect to segment.invalid:443 (HTTP 503)"
        assert sent("https://segment.invalid", proxy=proxy) == Judgement(Meaning.RETRY, words)


def test_interim_answers_through_a_proxy_are_skipped(receiver: Receiver, proxy: Tinyproxy) -> None:
    body = b'{"success": true}'
    final = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with saying(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + final) as forwarding:
        assert sent("http://segment.invalid", proxy=forwarding) == DELIVERED


def test_a_limit_for_bodies_is_seen_through_a_tunnel(
    ca: Path, receiver: Receiver, proxy: Tinyproxy, tmp_path: Path
) -> None:
    receiver.will_answer(OK)
    (tmp_path / "small").mkdir()
    with nginx_tls(tmp_path / "small", ca, receiver.url, "client_max_body_size 1k;") as url:
        destination = segment(url=url, ca_file=str(ca), proxy=proxy.url)
        transport = destination.open()
        answers = [transport.send(destination.encode(a_call(traits={"bio": "x" * size}))) for size in (5000, 10)]
        transport.close()
    assert [(each.meaning, each.status) for each in answers] == [(Meaning.REFUSED, 413), (Meaning.DELIVERED, 200)]


VARIABLES = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*VARIABLES, "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_environment_is_read_where_the_option_asks_for_it_alone(
    environment: pytest.MonkeyPatch, behind_tls: str, ca: Path, receiver: Receiver, proxy: Tinyproxy
) -> None:
    environment.setenv("HTTPS_PROXY", proxy.url)
    environment.setenv("HTTP_PROXY", proxy.url)
    environment.setenv("REQUESTS_CA_BUNDLE", str(ca))
    assert sent(behind_tls) == Judgement(Meaning.RETRY, UNTRUSTED)
    assert sent(receiver.url) == DELIVERED
    assert proxy.requested == []
    assert sent(behind_tls, proxy="environment") == DELIVERED
    assert sent(receiver.url, proxy="environment") == DELIVERED
    assert [line.split()[0] for line in proxy.requested] == ["CONNECT", "POST"]


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({"HTTPS_PROXY": "http://a:1"}, "https://x.example", "http://a:1"),
        ({"HTTPS_PROXY": "http://a:1"}, "http://x.example", None),
        ({"http_proxy": "b:2"}, "http://x.example", "http://b:2"),
        ({"ALL_PROXY": "http://c:3"}, "https://x.example", "http://c:3"),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": ".example,10.0.0.0/8"}, "https://x.example", None),
        ({"HTTPS_PROXY": "http://a:1", "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3", None),
        ({"HTTPS_PROXY": "http://a:1", "no_proxy": "*"}, "https://x.example", None),
        ({}, "https://x.example", None),
    ],
)
def test_proxies_of_the_environment_are_chosen_as_other_programs_do(
    environment: pytest.MonkeyPatch, variables: dict[str, str], url: str, expected: str | None
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    assert Egress.of(None, "environment").proxy_for(url) == expected


def test_of_the_environments_files_the_first_is_used_unless_the_config_names_one() -> None:
    both = {"SSL_CERT_FILE": "/b.pem", "REQUESTS_CA_BUNDLE": "/a.pem"}
    assert Egress.of(None, "environment", both).ca_file == "/a.pem"
    assert Egress.of(None, "environment", {"SSL_CERT_FILE": "/b.pem"}).ca_file == "/b.pem"
    assert Egress.of("/own.pem", "environment", both).ca_file == "/own.pem"
    assert Egress.of(None, "http://a:1", both).ca_file is None
    assert Egress.of(None, None, both).ca_file is None


def test_a_socks_proxy_of_the_environment_is_refused_by_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", "socks5://ana:secret-password@proxy.example:1080")
    words = "the proxy socks5://proxy.example:1080 is not supported: use an HTTP proxy"
    assert sent("https://segment.invalid", proxy="environment") == Judgement(Meaning.STOP, words)


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://ana:secret@proxy.example:3128", "http://proxy.example:3128"),
        ("https://ana@proxy.example", "https://proxy.example"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://ana:sec/ret@proxy:x", "of the environment"),
        ("://ana:secret", "of the environment"),
        ("http://", "of the environment"),
    ],
)
def test_a_proxy_is_shown_without_its_user_and_password(proxy: str, shown: str) -> None:
    assert shown_proxy(proxy) == shown
