"""`ca_file` and `proxy` of a config hold for destinations and alerts; what is wrong with them is an error at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from destinations.receiver import Receiver, Reply
from proxies import Tinyproxy, free_port, nginx_tls, private_ca, tinyproxy

from .conftest import ACCEPTED, Project, calls, segment

VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
VARIABLES = {"http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "ssl_cert_file"}


@pytest.fixture
def shop(project: Project) -> Project:
    project.environment = {name: value for name, value in project.environment.items() if name.lower() not in VARIABLES}
    project.write_members("vip.csv", "ada")
    return project


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tinyproxy]:
    with tinyproxy(tmp_path_factory.mktemp("proxy"), "BasicAuth ana secret-password") as running:
        yield running


def with_log_in(proxy: Tinyproxy) -> str:
    return f"http://ana:secret-password@{proxy.host}"


@pytest.fixture
def behind_tls(ca: Path, receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    receiver.will_answer(ACCEPTED)
    with nginx_tls(tmp_path_factory.mktemp("nginx"), ca, receiver.url) as url:
        yield url


def to(url: str, **options: Any) -> dict[str, Any]:
    return {"type": "segment", "write_key": "a-write-key", "url": url, "give_up_after": "2s", **options}


def test_every_destination_is_reached_by_the_configs_proxy_and_ca_file(
    shop: Project, receiver: Receiver, behind_tls: str, ca: Path, proxy: Tinyproxy
) -> None:
    shop.write("company.pem", ca.read_bytes())
    destinations = {"private": to(behind_tls), "outside": to(receiver.url), "log": {"type": "file", "path": "c.jsonl"}}
    shop.configure(audiences=[VIP], destinations=destinations, ca_file="company.pem", proxy=with_log_in(proxy))
    assert shop.sync().code == 0
    assert calls(receiver) == [("ada", {"vip": True}), ("ada", {"vip": True})]
    assert sorted(line.split()[0] for line in proxy.requested) == ["CONNECT", "POST"]
    checked = shop.run("check")
    assert f"through the proxy {proxy.url}" in " ".join(checked.stdout.split())
    tried = shop.run("test-destination", "private", "--user", "ada")
    assert tried.code == 0
    assert "secret-password" not in checked.stdout + checked.stderr + tried.stdout + tried.stderr


def test_a_destinations_own_options_come_before_the_configs(
    shop: Project, receiver: Receiver, behind_tls: str, ca: Path, proxy: Tinyproxy
) -> None:
    destinations = {
        "private": to(behind_tls, ca_file=str(ca), proxy=with_log_in(proxy)),
        "inside": to(receiver.url, proxy="none"),
    }
    shop.configure(audiences=[VIP], destinations=destinations, proxy=f"http://127.0.0.1:{free_port()}")
    assert shop.sync().code == 0
    assert [line.split()[0] for line in proxy.requested] == ["CONNECT"]


def test_the_environment_is_read_where_the_config_asks_for_it(
    shop: Project, receiver: Receiver, behind_tls: str, ca: Path, proxy: Tinyproxy
) -> None:
    shop.environment |= {"HTTPS_PROXY": with_log_in(proxy), "HTTP_PROXY": with_log_in(proxy), "SSL_CERT_FILE": str(ca)}
    destinations = {"private": to(behind_tls), "outside": to(receiver.url)}
    shop.configure(audiences=[VIP], destinations=destinations)
    assert shop.sync().destination("private")["pending"] == 1
    assert proxy.requested == []
    shop.configure(audiences=[VIP], destinations=destinations, proxy="environment")
    assert shop.sync().code == 0
    assert [line.split()[0] for line in proxy.requested] == ["CONNECT"]  # the other one had its call before


def test_a_proxy_that_refuses_stops_the_destination_by_its_name_without_the_password(
    shop: Project, receiver: Receiver, behind_tls: str, ca: Path, proxy: Tinyproxy
) -> None:
    shop.environment |= {"HTTPS_PROXY": f"ana:other-password@{proxy.host}", "HTTP_PROXY": "http://127.0.0.1:1"}
    destinations = {"private": to(behind_tls, ca_file=str(ca)), "outside": to(receiver.url)}
    shop.configure(audiences=[VIP], destinations=destinations, proxy="environment")
    ended = shop.run("sync")
    assert ended.code == 3
    said = " ".join(ended.stdout.split())
    assert f"the proxy {proxy.url} does not accept the user and password (HTTP 401)" in said
    assert "the proxy http://127.0.0.1:1 can't be used: connection refused" in said
    assert "other-password" not in ended.stdout + ended.stderr
    assert "other-password" not in str(shop.query("select error from deliveries"))


@pytest.mark.parametrize("command", ["check", "sync"])
def test_a_ca_file_that_can_not_be_used_is_an_error_of_the_config(shop: Project, ca: Path, command: str) -> None:
    shop.write("notes.pem", "no certificate")
    shop.write("empty.pem", "")
    (shop.folder / "folder").mkdir()
    destinations = {
        "a": to("https://a.invalid", ca_file="notes.pem"),
        "b": to("https://b.invalid", ca_file="empty.pem"),
        "c": to("https://c.invalid", ca_file="folder"),
        "d": to("https://d.invalid", ca_file=str(ca)),
    }
    shop.configure(audiences=[VIP], destinations=destinations, ca_file="missing.pem")
    ended = shop.run(command)
    assert ended.code == 2
    said = " ".join((ended.stdout + ended.stderr).replace(f"{shop.folder}/", "").split())
    form = "has no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)."
    assert "ca_file: missing.pem does not exist" in said
    assert f"destinations.a.ca_file: notes.pem {form}" in said
    assert f"destinations.b.ca_file: empty.pem {form}" in said
    assert "destinations.c.ca_file: folder is a folder. Name the file with the certificates in it" in said
    assert "destinations.d" not in said


def test_a_ca_file_of_the_environment_that_is_missing_is_an_error_by_its_variable(shop: Project) -> None:
    shop.environment |= {"REQUESTS_CA_BUNDLE": "/nowhere/ca.pem"}
    shop.configure(audiences=[VIP], proxy="environment")
    ended = shop.run("sync")
    assert ended.code == 2
    assert "the environment variable REQUESTS_CA_BUNDLE: /nowhere/ca.pem does not exist" in " ".join(
        ended.stderr.split()
    )


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("proxy.example:3128", "an address begins with `http://` or `https://`"),
        ("socks5://proxy.example:1080", "SOCKS proxies are not supported: use an HTTP proxy"),
        ("http://proxy.example:port", "it is not the address of a proxy"),
        ("http://ana:secret-pass/word@proxy.example:3128", "it is not the address of a proxy"),
        ("http://ana:secret-p@ss@proxy.example:3128", "the password in it has an `@`"),
        ("http://proxy.example:3128/path", "it is not the address of a proxy"),
        ("http://", "it is not the address of a proxy"),
        (True, "it must be `http://proxy.example.com:3128`, `environment` or `none`"),
        (3128, "it must be `http://proxy.example.com:3128`, `environment` or `none`"),
    ],
)
def test_what_is_not_the_address_of_a_proxy_is_refused_without_its_password(
    shop: Project, proxy: object, words: str
) -> None:
    shop.configure(audiences=[VIP], proxy=proxy)
    ended = shop.run("sync")
    assert ended.code == 2
    assert words in " ".join(ended.stderr.split())
    assert "secret" not in ended.stderr


@pytest.fixture
def alerted(shop: Project, behind_tls: str) -> dict[str, Any]:
    """A config whose alerts go to a server with a certificate of the company's CA."""
    address = behind_tls.replace("https", "jsons")
    return {"audiences": [VIP], "notify": {"to": [f"{address}/a-token"], "ping": f"{behind_tls}/ping-token"}}


def test_alerts_go_by_the_configs_proxy_and_trust_its_ca_file(
    shop: Project, alerted: dict[str, Any], receiver: Receiver, ca: Path, proxy: Tinyproxy
) -> None:
    shop.configure(**alerted, proxy=with_log_in(proxy), ca_file=str(ca))
    assert shop.run("check", "--notify").code == 0
    assert [each.path for each in receiver.requests] == ["/a-token", "/ping-token"]
    assert [line.split()[0] for line in proxy.requested] == ["CONNECT", "CONNECT"]


def test_alerts_go_by_the_environments_way_where_the_config_asks_for_it_alone(
    shop: Project, alerted: dict[str, Any], receiver: Receiver, ca: Path, proxy: Tinyproxy
) -> None:
    shop.environment |= {"HTTPS_PROXY": with_log_in(proxy), "REQUESTS_CA_BUNDLE": str(ca)}
    shop.configure(**alerted)
    assert shop.run("check", "--notify").code == 3
    assert (receiver.requests, proxy.requested) == ([], [])
    shop.configure(**alerted, proxy="environment")
    assert shop.run("check", "--notify").code == 0
    assert [each.path for each in receiver.requests] == ["/a-token", "/ping-token"]
    assert [line.split()[0] for line in proxy.requested] == ["CONNECT", "CONNECT"]


def test_an_alert_that_a_proxy_keeps_back_says_so_by_its_name(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply())
    nobody = f"http://127.0.0.1:{free_port()}"
    notify = {"to": [f"{receiver.url.replace('http', 'json')}/a-secret-token"], "ping": f"{receiver.url}/ping-token"}
    shop.configure(audiences=[VIP], notify=notify, proxy=nobody.replace("127", "ana:secret-password@127"))
    said = shop.run("check", "--notify", "--json")
    lines = {each["name"]: each["message"] for each in json.loads(said.stdout)["checks"] if each["part"] == "notify"}
    assert lines == {
        "first address": f"did not accept the message (through the proxy {nobody})",
        "ping": f"could not be called: the proxy {nobody} can't be used: connection refused",
    }
    assert receiver.requests == []


def test_without_the_options_a_project_is_synced_directly(shop: Project, receiver: Receiver) -> None:
    receiver.will_answer(ACCEPTED)
    shop.environment |= {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
    shop.configure(audiences=[VIP], destinations={"seg": segment(receiver)})
    assert shop.sync().code == 0
