"""Serve the dashboard of a week of runs and an empty sandbox, and open them in one Chromium that reaches them alone."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cli.conftest import Project, until
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, FloatRect, Page, sync_playwright

from .vendor import Vendor
from .week import HOSTILE, vip_members, week_of_runs

#: Screenshots go here, if it is set.
SCREENSHOTS = "AUDIENCE_SYNC_SCREENSHOTS"
#: Pixels of a screenshot; a longer page is cut.
HIGHEST = 2_000
#: Seconds for a server to start, and for a page to show something.
STARTS_WITHIN, SHOWS_WITHIN = 30, 10
_ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class Week:
    """The project, its vendor, and the address of its dashboard."""

    project: Project
    vendor: Vendor
    url: str


@dataclass
class Watched:
    """What a page did that no page may do. ``allowed``: part of a message of the console that is expected."""

    allowed: str = ""
    faults: list[str] = field(default_factory=list)

    def watch(self, context: BrowserContext, url: str) -> None:
        context.on("request", lambda request: self._check(request.url, url))
        context.on("console", self._note)
        context.on("weberror", lambda error: self.faults.append(f"error: {error.error}"))

    def _check(self, address: str, url: str) -> None:
        if not address.startswith((url, "data:", "blob:")):
            self.faults.append(f"request to {address}")

    def _note(self, message: ConsoleMessage) -> None:
        is_expected = self.allowed and self.allowed in message.text
        if message.type in ("error", "warning") and not is_expected:
            self.faults.append(f"console: {message.text}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser for the session. It finds no host by name."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed", pytrace=False)
        pytest.skip("chromium is not installed")
    arguments = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@contextmanager
def served(folder: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[str]:
    """Serve pages by a command until the end of the block; the address that it announces."""
    log = folder / f"{arguments[0]}.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "audience_sync", *arguments, "--port", "0"],
            cwd=folder,
            env={**environment},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    try:
        yield _address(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=STARTS_WITHIN)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    until(lambda: process.poll() is not None or _ADDRESS.search(log.read_bytes()))
    found = _ADDRESS.search(log.read_bytes())
    assert found, log.read_text("utf-8")
    return found[0].decode()


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    folder = tmp_path_factory.mktemp("week")
    with (
        week_of_runs(folder) as (project, vendor),
        served(folder, project.environment, "dashboard") as url,
    ):
        yield Week(project, vendor, url)


@pytest.fixture(scope="session")
def sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("sandbox")
    with served(folder, Project(folder).environment, "sandbox") as url:
        yield url


@pytest.fixture(scope="session")
def full_sandbox_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A sandbox that has received calls, of which some are wrong."""
    folder = tmp_path_factory.mktemp("full")
    project = Project(folder)
    with served(folder, project.environment, "sandbox") as url:
        segment = {"type": "segment", "write_key": "a-write-key", "url": url, "events": True}
        project.configure(
            audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
            destinations={"segment": segment, "connect": {"type": "zendesk_connect", "private_key": "0", "url": url}},
        )
        for users in (vip_members(1, 20), [*vip_members(5, 20), HOSTILE]):
            project.write_members("vip.csv", *users)
            project.run("sync")
        yield url


@contextmanager
def opened(browser: Browser, url: str, *, allowed: str = "", **options: object) -> Iterator[Page]:
    """A page that may ask this address alone. What it does beyond that fails the test, as does an error in it.

    ``allowed``: part of a message of the console that is no fault.
    """
    watched = Watched(allowed)
    settings = {"locale": "en-GB", "timezone_id": "UTC", "viewport": {"width": 1440, "height": 900}, **options}
    context = browser.new_context(**settings)  # type: ignore[arg-type]  # options of one type each
    context.set_default_timeout(SHOWS_WITHIN * 1000)
    if url.startswith("http"):  # a page that is a file may use the clipboard by itself
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
    watched.watch(context, url)
    try:
        yield context.new_page()
    finally:
        context.close()
    assert watched.faults == []


@pytest.fixture
def dashboard(chromium: Browser, week: Week) -> Iterator[Page]:
    """The home page of the dashboard."""
    with opened(chromium, week.url) as page:
        page.goto(week.url)
        yield page


@pytest.fixture
def sandbox(chromium: Browser, sandbox_url: str) -> Iterator[Page]:
    """The feed of the sandbox."""
    with opened(chromium, sandbox_url) as page:
        page.goto(sandbox_url)
        yield page


def keep_screenshot(page: Page, name: str) -> None:
    """Keep a picture of the page for people, if a folder is named for them."""
    if folder := os.environ.get(SCREENSHOTS):
        Path(folder).mkdir(parents=True, exist_ok=True)
        width, height = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
        part: FloatRect = {"x": 0, "y": 0, "width": width, "height": min(height, HIGHEST)}
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, clip=part)
