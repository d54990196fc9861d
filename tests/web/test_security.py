"""Only this machine, or a person with the token, can look; and no other site can make them do anything."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from audience_sync.errors import StoreError
from audience_sync.web.app import create_app
from audience_sync.web.errors import NotFoundError
from audience_sync.web.links import Links
from audience_sync.web.security import POLICY, SESSION_SECONDS, Access, host_name, is_loopback, local_path
from audience_sync.web.static_files import static_address
from audience_sync.web.templating import make_environment

from .asgi import Answer, ask

TOKEN = "a-token-of-24-characters"


def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def broken(request: Request) -> Response:
    raise ValueError("'ada@example.com' with s3cret")


def failing(request: Request) -> Response:
    raise StoreError("The store can't be reached: s3cret")


def missing(request: Request) -> Response:
    raise NotFoundError("There is no run <b>7</b>.", commands=["audience-sync history"])


def an_app(tmp_path: Path, access: Access) -> ASGIApp:
    templates = make_environment(
        tmp_path,
        href=Links({"home": "/"}),
        zone=ZoneInfo("UTC"),
        clock=lambda: datetime(2026, 11, 29, tzinfo=UTC),
        more={"app_name": "Test"},
    )
    routes = [
        Route("/", hello),
        Route("/broken", broken),
        Route("/failing", failing),
        Route("/missing", missing),
        Route("/form", hello, methods=["POST"]),
    ]
    return create_app(routes, access=access, templates=templates, mask=lambda text: text.replace("s3cret", "***"))


@pytest.fixture
def app(tmp_path: Path) -> ASGIApp:
    """On loopback, without a token."""
    return an_app(tmp_path, Access(posts=frozenset({"/form"})))


@pytest.fixture
def guarded(tmp_path: Path) -> ASGIApp:
    """For others, with a token."""
    access = Access(host="0.0.0.0", names=frozenset({"dash.example.com"}), token=TOKEN, token_variable="TOKEN_HERE")
    return an_app(tmp_path, access)


def log_in(app: ASGIApp, token: str, *, scheme: str = "http", target: str = "/") -> Answer:
    body = f"token={token}&next={target}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin"}
    return ask(app, "/login", method="POST", headers=headers, body=body, scheme=scheme)


@pytest.mark.parametrize("path", ["/", "/nothing", "/broken", "/failing", "/login", static_address("style.css")])
def test_every_answer_has_the_headers_of_safety(app: ASGIApp, path: str) -> None:
    headers = ask(app, path).headers
    assert headers["content-security-policy"] == POLICY
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("no-store" if "static" not in path else "public, max-age=31536000, immutable")
    assert "unsafe" not in POLICY


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8789", 200),
        ("localhost:9000", 200),
        ("[::1]:8789", 200),
        ("evil.example:8789", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.168.1.7:8789", 421),
        ("", 421),
        ("a@localhost", 421),
        ("localhost:port", 421),
    ],
)
def test_a_foreign_name_that_leads_to_this_machine_is_refused(app: ASGIApp, host: str, status: int) -> None:
    assert ask(app, "/", host=host).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
def test_a_page_only_answers_who_looks(app: ASGIApp, method: str) -> None:
    answer = ask(app, "/", method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8789"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1:8789"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 200),  # a program
    ],
)
def test_a_form_is_accepted_from_a_page_of_ours_only(app: ASGIApp, headers: dict[str, str], status: int) -> None:
    assert ask(app, "/form", method="POST", headers=headers).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "empty"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),  # a link in a message
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "script"}, 200),
        ({}, 200),  # a program
    ],
)
def test_no_other_site_makes_a_page_work_as_a_part_of_its_own(
    app: ASGIApp, headers: dict[str, str], status: int
) -> None:
    assert ask(app, "/", headers=headers).status == status


def test_without_the_token_nothing_is_shown(guarded: ASGIApp) -> None:
    page = ask(guarded, "/runs?status=held")
    assert (page.status, page.headers["location"]) == (303, "/login?next=%2Fruns%3Fstatus%3Dheld")
    data = ask(guarded, "/", headers={"accept": "text/csv"})
    assert (data.status, data.headers["www-authenticate"]) == (401, 'Bearer realm="audience-sync"')
    assert b"hello" not in page.body + data.body
    assert ask(guarded, static_address("style.css")).status == 200
    form = ask(guarded, "/login?next=/runs")
    assert (form.status, form.headers["referrer-policy"]) == (200, "same-origin")
    assert 'name="next" value="/runs"' in form.text
    assert "TOKEN_HERE" in form.text


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_token_opens_a_session_whose_cookie_no_script_and_no_other_site_gets(guarded: ASGIApp, scheme: str) -> None:
    answer = log_in(guarded, TOKEN, scheme=scheme, target="/runs")
    assert (answer.status, answer.headers["location"]) == (303, "/runs")
    cookie, *attributes = answer.headers["set-cookie"].split("; ")
    expected = {"HttpOnly", "SameSite=strict", "Path=/", f"Max-Age={SESSION_SECONDS}"}
    assert set(attributes) == expected | ({"Secure"} if scheme == "https" else set())
    assert TOKEN not in cookie
    assert ask(guarded, "/", headers={"cookie": cookie}).text == "hello"
    forged = cookie[:-1] + ("1" if cookie.endswith("0") else "0")
    assert ask(guarded, "/", headers={"cookie": forged}).status == 303
    assert ask(guarded, "/", headers={"cookie": "audience_sync_dashboard=1.0"}).status == 303


def test_a_wrong_token_is_refused_and_not_repeated(guarded: ASGIApp) -> None:
    answer = log_in(guarded, "not-the-token-at-all-1")
    assert (answer.status, "set-cookie" in answer.headers) == (403, False)
    assert "not-the-token" not in answer.text
    foreign = ask(
        guarded, "/login", method="POST", headers={"origin": "http://evil.example"}, body=b"token=" + TOKEN.encode()
    )
    assert (foreign.status, "set-cookie" in foreign.headers) == (403, False)


def test_a_form_has_a_limit(guarded: ASGIApp) -> None:
    answer = ask(guarded, "/login", method="POST", body=b"token=" + b"x" * 200_000)
    assert (answer.status, "The form is longer than 100,000 bytes." in answer.text) == (400, True)


def test_a_program_sends_the_token_itself(guarded: ASGIApp) -> None:
    assert ask(guarded, "/", headers={"authorization": f"Bearer {TOKEN}"}).text == "hello"
    assert ask(guarded, "/", headers={"authorization": "Bearer wrong", "accept": "*/*"}).status == 401
    assert ask(guarded, "/", headers={"authorization": f"Basic {TOKEN}", "accept": "*/*"}).status == 401


def test_a_session_ends_and_is_of_one_token_and_one_application() -> None:
    access, other = Access(token=TOKEN), Access(token=TOKEN, cookie="audience_sync_sandbox")
    cookie = access.new_session(now=1000.0)
    assert access.is_session(cookie, now=1000.0 + SESSION_SECONDS)
    assert not access.is_session(cookie, now=1001.0 + SESSION_SECONDS)
    assert not access.is_session(cookie, now=900.0)
    assert not other.is_session(cookie, now=1000.0)
    assert not Access(token=TOKEN + "x").is_session(cookie, now=1000.0)
    for wrong in ("", ".", "1000", "1000.", "²." + "0" * 64, "1000.é"):
        assert not access.is_session(wrong, now=1000.0)


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        (Access(), None),
        (Access(host="127.0.0.2"), None),
        (Access(host="0.0.0.0"), "others can reach 0.0.0.0, so a token is needed"),
        (Access(host="192.168.1.7"), "others can reach 192.168.1.7, so a token is needed"),
        (Access(names=frozenset({"dash.example.com"})), "others can reach dash.example.com, so a token is needed"),
        (Access(host="0.0.0.0", token=TOKEN), None),
        (Access(token="short"), "the token has 5 characters, and it needs 16 or more"),
    ],
)
def test_other_addresses_need_a_token(access: Access, problem: str | None) -> None:
    assert access.problem() == problem


def test_with_a_token_any_address_of_the_machine_is_ours_but_no_other_name(guarded: ASGIApp) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}"}
    assert ask(guarded, "/", host="192.168.1.7:8789", headers=bearer).status == 200
    assert ask(guarded, "/", host="dash.example.com", headers=bearer).status == 200
    assert ask(guarded, "/", host="evil.example", headers=bearer).status == 421


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/runs?status=held", "/runs?status=held"),
        ("//evil.example/", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("", "/"),
    ],
)
def test_a_login_leads_to_our_own_pages_only(text: str, path: str) -> None:
    assert local_path(text) == path


def test_hosts_are_read_strictly() -> None:
    assert host_name("LOCALHOST:80") == "localhost"
    assert host_name("[::1]:80") == "::1"
    assert host_name("example.com.") == "example.com"
    assert [host_name(each) for each in ("", "a/b", "a?b", "u@h", "h:99999999", "[::1")] == [None] * 6
    assert is_loopback("127.8.8.8")
    assert not is_loopback("example.com")


def test_an_error_has_a_page_without_traces_secrets_and_people(app: ASGIApp) -> None:
    unexpected = ask(app, "/broken")
    assert unexpected.status == 500
    for hidden in ("s3cret", "ada@example.com", "Traceback", "test_security.py"):
        assert hidden not in unexpected.text
    store = ask(app, "/failing")
    assert store.status == 503
    assert "can&#39;t be reached: ***" in store.text
    assert "audience-sync check" in store.text


def test_what_is_not_there_is_said_with_the_next_command(app: ASGIApp) -> None:
    missing = ask(app, "/missing")
    assert missing.status == 404
    assert "There is no run &lt;b&gt;7&lt;/b&gt;." in missing.text
    assert "audience-sync history" in missing.text
    assert 'href="//evil.example' not in ask(app, "//evil.example/").text
    nothing = ask(app, "/<script>alert(1)</script>")
    assert nothing.status == 404
    assert "<script>alert" not in nothing.text


def test_a_static_file_is_kept_for_a_year_and_only_those_of_the_folder_are_served(app: ASGIApp) -> None:
    style = ask(app, static_address("style.css"))
    assert (style.status, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert ask(app, "/static/old/style.css").headers["cache-control"] == "no-cache"
    for path in ("/static/x/../app.py", "/static/x/%2e%2e/app.py", "/static/x/nothing.css", "/static/x//etc/passwd"):
        assert ask(app, path).status == 404
