"""Home and a run in progress stay up to date while someone looks at them, and never move what is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli.conftest import Project, segment, until
from playwright.sync_api import Browser, Page, expect

from .conftest import Week, opened, served
from .vendor import Vendor

ASK = "htmx.trigger('#main', 'reload')"
#: Of a page: a mark that a reload would remove, what has the focus, whether details are open, and its place.
PLACE = """() => [window.mark, document.activeElement.textContent, document.querySelector('details').open,
    Math.round(document.activeElement.getBoundingClientRect().top)]"""


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as found:
        yield found


@pytest.fixture
def project(tmp_path: Path, vendor: Vendor) -> Project:
    """Two audiences that were synced once. The vendor keeps the next run waiting, and VIP will be held."""
    project = Project(tmp_path)
    project.configure(
        audiences=[{"name": each, "source": "shop", "file": f"{each}.csv"} for each in ("VIP", "News")],
        destinations={"segment": segment(vendor)},
        guard={"at_least": 1},
    )
    for name in ("VIP", "News"):
        project.write_members(f"{name}.csv", "ada", "bob", "cyd", "dan")
    assert project.run("sync").code == 0
    project.write_members("VIP.csv", "ada")
    project.write_members("News.csv", "ada", "bob", "cyd", "dan", "eve")
    vendor.slow_down()
    return project


def test_a_run_that_begins_and_ends_leaves_readers_in_their_place(
    chromium: Browser, project: Project, vendor: Vendor
) -> None:
    with (
        served(project.folder, project.environment, "dashboard") as url,
        opened(chromium, url, viewport={"width": 1440, "height": 500}) as page,
    ):
        page.goto(url)
        page.evaluate("window.mark = 1")
        process = project.start("sync")
        expect(page.locator("#now")).to_contain_text("run 2", timeout=30_000)
        expect(page.locator(".head")).to_contain_text("2 running", timeout=30_000)
        until(lambda: bool(project.query("select 1 from holds")))
        home = page.context.new_page()
        home.goto(url)

        page.goto(f"{url}/runs/2")
        page.evaluate("window.mark = 1")
        page.get_by_text("A sample of who would leave and enter").click()
        page.locator("summary").first.focus()
        page.evaluate("scrollBy(0, document.activeElement.getBoundingClientRect().top - 60)")  # below the bar
        before = page.evaluate(PLACE)
        assert before == [1, "A sample of who would leave and enter", True, 60]
        vendor.hurry()
        assert process.wait(timeout=60) == 4
        expect(page.locator(".head .st")).to_have_text("held", timeout=30_000)
        expect(page.locator("#now")).to_have_count(0)
        # Although the box above it is gone. The browser scrolls in its next frame.
        page.wait_for_function(f"() => Math.abs(({PLACE})()[3] - {before[3]}) <= 2")
        assert page.evaluate(PLACE)[:3] == before[:3]
        expect(home.locator("h1")).to_contain_text("1 audience is held", timeout=30_000)
        expect(home.locator("#pages b")).to_contain_text("1")
        expect(home.locator("#foot")).to_contain_text("up to run 2, finished")
        assert home.title().startswith("1 audience is held")


@pytest.fixture
def home(chromium: Browser, week: Week) -> Iterator[Page]:
    """The home page, whose test decides whether it is visible and what the server answers."""
    with opened(chromium, week.url, allowed="Failed to") as page:
        page.add_init_script("Object.defineProperty(document, 'hidden', {get: () => window.away || false})")
        page.goto(week.url)
        yield page


def test_a_page_that_nobody_looks_at_asks_for_nothing(home: Page, week: Week) -> None:
    asked = list[str]()
    home.on("request", lambda request: asked.append(request.url))
    home.evaluate(f"window.away = true; {ASK}")
    home.wait_for_timeout(300)
    assert f"{week.url}/" not in asked
    with home.expect_request(f"{week.url}/"):
        home.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")


@pytest.mark.parametrize("status", [0, 503])
def test_a_lost_connection_is_named_and_nothing_is_replaced(home: Page, week: Week, status: int) -> None:
    lost, headline = home.get_by_text("Connection lost, trying again."), home.locator("h1").inner_text()
    expect(lost).to_be_hidden()
    home.route(
        f"{week.url}/",
        lambda route: route.fulfill(status=status, body='<main id="main">down</main>') if status else route.abort(),
    )
    home.evaluate(ASK)
    expect(lost).to_be_visible()
    expect(home.locator("h1")).to_have_text(headline)
    home.unroute(f"{week.url}/")
    home.evaluate(ASK)
    expect(lost).to_be_hidden()


def test_a_new_row_has_a_tint_and_a_changed_one_has_none(home: Page) -> None:
    home.evaluate("document.querySelector('#main tbody').insertRow().insertCell().textContent = 'new'")
    expect(home.locator("tr.fresh")).to_have_text("new")
    home.evaluate(ASK)
    expect(home.get_by_role("cell", name="new", exact=True)).to_have_count(0)
    expect(home.locator(".fresh")).to_have_count(0)
