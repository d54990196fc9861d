"""The built documentation works from its files, without a network: search, one click to each page, no barriers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import build_site
import pytest
from playwright.sync_api import Browser, Page, expect

from .accessibility import findings
from .conftest import keep_screenshot, opened

READ = ("index", "guards", "errors", "switching/hightouch", "design")


@pytest.fixture
def site() -> str:
    """The address of the built site. `.ci/run` builds it before the tests."""
    if not (build_site.SITE / "index.html").is_file():
        if os.environ.get("CI"):
            pytest.fail("the site is not built: nox -s site", pytrace=False)
        pytest.skip("the site is not built: nox -s site")
    return build_site.SITE.as_uri()


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["light-wide", "dark-narrow"])
def page(request: pytest.FixtureRequest, chromium: Browser, site: str) -> Iterator[Page]:
    scheme, width = request.param
    size = {"width": width, "height": 900}
    with opened(chromium, site, color_scheme=scheme, viewport=size, offline=True) as page:
        yield page


@pytest.mark.parametrize("name", READ)
def test_a_page_has_no_barriers_and_does_not_scroll_sideways(page: Page, site: str, name: str) -> None:
    page.goto(f"{site}/{name}.html")
    assert findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    scheme = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'")
    keep_screenshot(page, f"site_{name.replace('/', '_')}-{page.evaluate('innerWidth')}-{scheme}")


def test_search_finds_pages_without_a_network(chromium: Browser, site: str) -> None:
    with opened(chromium, site, offline=True) as page:
        page.goto(f"{site}/destinations/braze.html")
        page.keyboard.press("Control+k")
        page.keyboard.type("hold")
        expect(page.get_by_text("results").first).to_be_visible()
        page.keyboard.type("out")  # a person types on while results are there
        expect(page.get_by_role("combobox", name="Search")).to_have_value("holdout")
        expect(page.get_by_text("results").first).to_be_visible()
        page.keyboard.press("Enter")
        page.wait_for_url("**/holdout.html*")


def test_every_page_is_one_click_away(chromium: Browser, site: str) -> None:
    with opened(chromium, site, offline=True) as page:
        page.goto(f"{site}/commands/seed.html")
        links = page.locator(".site-nav a")
        addresses = set(links.evaluate_all("links => links.map(link => link.href)"))
        pages = {name.removesuffix("md") + "html" for _, name in build_site.nav_pages(build_site.navigation())}
        assert addresses == {f"{site}/{name}" for name in pages}
        assert all(Path(address.removeprefix("file://")).is_file() for address in addresses)
