"""Every page can be read by everyone: light, dark, wide, narrow, by keyboard, on paper, and without JavaScript."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from .accessibility import findings
from .conftest import Week, keep_screenshot, opened
from .week import HOSTILE, LEFT, RUNS, VIP

QUERY = "select run, status, delivered from sync_runs order by run desc"
DASHBOARD = {
    "home": "/",
    "audiences": "/audiences",
    "audience": f"/audiences/{VIP}",
    "runs": "/runs",
    "run": f"/runs/{RUNS}",
    "run_with_an_outage": "/runs/3",
    "users": "/users",
    "user": f"/users?id={LEFT}",
    "user_with_a_hostile_id": f"/users?id={quote(HOSTILE)}",
    "user_unknown": "/users?id=nobody",
    "destinations": "/destinations",
    "query": "/query",
    "query_result": f"/query?sql={quote(QUERY)}",
    "query_wrong": "/query?sql=select+nothing+from+nowhere",
    "not_found": "/nowhere",
}
SANDBOX = {
    "sandbox": "/",
    "sandbox_call": "/?open=1",
    "sandbox_users": "/users?property=vip&value=true",
    "sandbox_user": f"/user?id={quote(HOSTILE)}",
    "sandbox_events": "/events",
    "sandbox_setup": "/setup",
}
#: What the console may have on a page: Chromium reports the status of an error page.
EXPECTED = {"not_found": "404", "query_wrong": "400", "user_unknown": "404"}
PAGES = [
    *(("dashboard", *each) for each in DASHBOARD.items()),
    *(("full_sandbox", *each) for each in SANDBOX.items()),
    ("sandbox", "sandbox_empty", "/"),
]
#: The addresses of links, without their part of the page; those of a drawing have none of their own.
ADDRESSES = "links => links.map(link => new URL(link.getAttribute('href'), location.href).href.split('#')[0])"
#: Widths of a page in pixels: a small phone, a phone, a tablet, a laptop, a desk.
WIDTHS = (320, 390, 768, 1024, 1440, 2560)
each_page = pytest.mark.parametrize(("which", "name", "path"), PAGES, ids=[name for _, name, _ in PAGES])


@pytest.fixture
def base(request: pytest.FixtureRequest, which: str) -> str:
    """The address of the application that has the page."""
    if which != "dashboard":
        return str(request.getfixturevalue(f"{which}_url"))
    week: Week = request.getfixturevalue("week")
    return week.url


def kind_of(address: str) -> tuple[str, ...]:
    """The page that a link leads to, and the names of its parameters."""
    parts = urlsplit(address)
    return (re.sub(r"/(runs|audiences)/.+", r"/\1/...", parts.path), *sorted(parse_qs(parts.query)))


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@each_page
def test_a_page_has_no_barrier_and_fits_every_width(chromium: Browser, base: str, name: str, path: str) -> None:
    with opened(chromium, base, allowed=EXPECTED.get(name, "")) as page:
        page.goto(base + path)
        expect(page.locator("h1")).to_have_count(1)
        expect(page.locator("h1")).not_to_be_empty()
        found = {"light, 1440": findings(page)}
        keep_screenshot(page, f"{name}-light")
        page.emulate_media(color_scheme="dark")
        found["dark, 1440"] = findings(page, rule="color-contrast")
        keep_screenshot(page, f"{name}-dark")
        page.emulate_media(color_scheme="light")
        too_wide = {}
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            too_wide[width] = overflow(page)
        page.set_viewport_size({"width": 390, "height": 844})
        found["light, 390"] = findings(page)
        keep_screenshot(page, f"{name}-390")
        assert (too_wide, found) == (dict.fromkeys(WIDTHS, 0), {each: [] for each in found})


#: How many pixels the first label of what needs a person runs into the text next to it, with other words in it.
RUNS_INTO = """([label, words]) => {
  label.lastChild.textContent = words
  const text = label.parentElement.nextElementSibling
  const isBelow = text.getBoundingClientRect().top >= label.getBoundingClientRect().bottom
  return isBelow ? 0 : Math.max(0, label.getBoundingClientRect().right - text.getBoundingClientRect().left)
}"""


@pytest.mark.parametrize("words", ["9 refused", "33,333 refused", "33,333,333 refused"])
def test_a_label_of_any_length_leaves_the_text_next_to_it_free(chromium: Browser, week: Week, words: str) -> None:
    with opened(chromium, week.url) as page:
        page.goto(week.url)
        overlaps = {}
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            label = page.locator(".todo .st").first.element_handle()
            overlaps[width] = page.evaluate(RUNS_INTO, [label, words])
        assert overlaps == dict.fromkeys(WIDTHS, 0)


@each_page
def test_a_page_reads_without_javascript(chromium: Browser, base: str, name: str, path: str) -> None:
    with opened(chromium, base, java_script_enabled=False, allowed=EXPECTED.get(name, "")) as page:
        page.goto(base + path)
        expect(page.locator("h1")).not_to_be_empty()
        expect(page.get_by_role("button", name="Copy")).to_have_count(0)
        assert page.locator("nav a").count() >= 2


@pytest.mark.parametrize("which", ["dashboard", "sandbox"])
def test_the_keyboard_reaches_the_content_the_search_and_every_page(chromium: Browser, base: str, which: str) -> None:
    with opened(chromium, base) as page:
        page.goto(base)
        page.keyboard.press("Tab")
        skip = page.locator(".skip")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.keyboard.press("/")
        expect(page.locator("#find")).to_be_focused()
        page.keyboard.type("/")
        expect(page.locator("#find")).to_have_value("/")
        links = page.locator("nav a")
        links.first.focus()
        for _ in range(links.count() - 1):
            page.keyboard.press("Tab")
        expect(links.last).to_be_focused()


@pytest.mark.parametrize("path", ["/", f"/runs/{RUNS}", f"/audiences/{VIP}"])
def test_on_paper_there_is_the_content_without_bar_forms_and_buttons(chromium: Browser, week: Week, path: str) -> None:
    with opened(chromium, week.url, color_scheme="dark") as page:
        page.goto(week.url + path)
        page.emulate_media(media="print", color_scheme="dark")
        expect(page.locator("h1")).to_be_visible()
        for hidden in ("header.bar", "form:visible", "button:visible"):
            assert [each for each in page.locator(hidden).all() if each.is_visible()] == []
        keep_screenshot(page, f"print-{path.strip('/').replace('/', '-') or 'home'}")


def test_a_hostile_id_is_shown_as_text(chromium: Browser, week: Week) -> None:
    with opened(chromium, week.url) as page:
        page.goto(f"{week.url}/users?id={quote(HOSTILE)}")
        expect(page.locator("h1")).to_contain_text(HOSTILE)


def test_a_link_of_each_kind_leads_to_a_page(chromium: Browser, week: Week) -> None:
    with opened(chromium, week.url) as page:
        found = set[str]()
        for path in ("/", "/audiences", f"/audiences/{VIP}", "/runs", f"/runs/{RUNS}", "/destinations", "/query"):
            page.goto(week.url + path)
            found.update(page.eval_on_selector_all("a[href]", ADDRESSES))
        one_each = {kind_of(each): each for each in sorted(found) if each.startswith(week.url)}
        answers = {each: page.request.get(each).status for each in one_each.values()}
        assert {each: status for each, status in answers.items() if status != 200} == {}
        assert len(answers) > 15
