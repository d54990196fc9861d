"""Every page can be read by everyone: light, dark, wide, narrow, by keyboard, on paper, and without JavaScript."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from .accessibility import findings
from .conftest import Week, keep_screenshot, opened
from .week import HOSTILE, RUNS

DASHBOARD = {
    "home": "/",
    "runs": "/runs",
    "run": f"/runs/{RUNS}",
    "run_with_an_outage": "/runs/3",
    "destinations": "/destinations",
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
EXPECTED = {"not_found": "404"}
PAGES = [
    *(("dashboard", *each) for each in DASHBOARD.items()),
    *(("full_sandbox", *each) for each in SANDBOX.items()),
    ("sandbox", "sandbox_empty", "/"),
]
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


@pytest.mark.parametrize("path", ["/", f"/runs/{RUNS}"])
def test_on_paper_there_is_the_content_without_bar_forms_and_buttons(chromium: Browser, week: Week, path: str) -> None:
    with opened(chromium, week.url, color_scheme="dark") as page:
        page.goto(week.url + path)
        page.emulate_media(media="print", color_scheme="dark")
        expect(page.locator("h1")).to_be_visible()
        for hidden in ("header.bar", "form:visible", "button:visible"):
            assert [each for each in page.locator(hidden).all() if each.is_visible()] == []
        keep_screenshot(page, f"print-{path.strip('/').replace('/', '-') or 'home'}")
