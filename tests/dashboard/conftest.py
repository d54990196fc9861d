"""Play the week once, and open the dashboard on its store in SQLite and in PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from cli.conftest import Project
from conftest import PostgreSQL
from starlette.types import ASGIApp
from web.asgi import Answer, ask

from audience_sync.dashboard.app import dashboard_app
from audience_sync.dashboard.masks import IdMask
from audience_sync.dashboard.site import Site
from audience_sync.project.opening import load_settings

from .small_week import play_odd_ids, play_small_week
from .week import Service, Week, play_week

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def project(tmp_path: Path, sqlite_schema: Path) -> Project:
    """A folder with an empty store, which is copied, because creating one takes a second."""
    found = Project(tmp_path)
    shutil.copy(sqlite_schema, found.store)
    return found


@pytest.fixture(scope="session")
def small_week(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Project:
    """Two audiences over five days, which tests only read."""
    found = Project(tmp_path_factory.mktemp("small"))
    shutil.copy(sqlite_schema, found.store)
    return play_small_week(found)


@pytest.fixture(scope="session")
def odd_ids(tmp_path_factory: pytest.TempPathFactory, sqlite_schema: Path) -> Project:
    """Users whose ids a page must show as text, which tests only read."""
    found = Project(tmp_path_factory.mktemp("odd"))
    shutil.copy(sqlite_schema, found.store)
    return play_odd_ids(found)


@pytest.fixture(scope="session")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    with Service() as segment, Service() as connect:
        yield play_week(tmp_path_factory.mktemp("week") / "shop", segment, connect)


@pytest.fixture(scope="session")
def postgresql_week(week: Week, postgresql: PostgreSQL) -> str:
    """The same store in PostgreSQL: its URL."""
    url = postgresql.create()
    copied = week.project.run("db", "copy", url)
    assert copied.code == 0, copied.stderr
    return url


@pytest.fixture
def sqlite_site(week: Week) -> Site:
    settings = load_settings(week.project.folder / "config.yaml")
    return Site(url=f"sqlite:///{week.project.store}", label="the store", zone=BERLIN, settings=settings)


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, sqlite_site: Site) -> Site:
    """The project, once with each database."""
    if request.param == "sqlite":
        return sqlite_site
    return replace(sqlite_site, url=request.getfixturevalue("postgresql_week"))


@pytest.fixture
def app(site: Site) -> ASGIApp:
    return dashboard_app(site)


@pytest.fixture
def masked_app(sqlite_site: Site) -> ASGIApp:
    """The dashboard with `--mask-ids`."""
    return dashboard_app(replace(sqlite_site, id_mask=IdMask()))


Get = Callable[[str], Answer]


@pytest.fixture
def get(app: ASGIApp) -> Get:
    """``get("/runs")``: the page, which must be well."""

    def page(path: str) -> Answer:
        answer = ask(app, path)
        assert answer.status == 200, answer.text[-2000:]
        return answer

    return page
