"""Pages are right in every state of a store, and show nothing that they should not."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

import pytest
from cli.conftest import Project
from sqlalchemy import create_engine, make_url
from starlette.types import ASGIApp
from web.asgi import ask

from audience_sync.dashboard.app import dashboard_app
from audience_sync.dashboard.links import href
from audience_sync.dashboard.live import home_part, run_part
from audience_sync.dashboard.page import Dataset, Visit
from audience_sync.dashboard.pages.home import well
from audience_sync.dashboard.site import Site
from audience_sync.dashboard.store import EmptyStoreError, PageStore
from audience_sync.history.concerns import Attention, LastRun
from audience_sync.web.errors import TookTooLongError

from .conftest import Get
from .html import read
from .week import Week, move_into_the_past

PAGES = [
    "/",
    "/runs",
    "/runs/1",
    "/runs/6",
    "/runs/8",
    "/runs/9",
    "/runs/11",
    "/destinations",
    "/destinations?range=24h",
]
HOSTILE = (
    "<script>alert(1)</script>",
    "'; drop table runs; --",
    "\U0001f468‍\U0001f469‍\U0001f467" * 138,
    "evil‮gpj.exe",
    "{{ 7 * 7 }}",
    'a" onmouseover="alert(1)',
)


def site_of(path: Path) -> Site:
    return Site(url=f"sqlite:///{path}", label=path.name)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_well_formed_and_leads_to_pages_that_exist(get: Get, path: str) -> None:
    page = read(get(path).text)
    assert page.text.count("None") == page.text.count("None.")
    starts = tuple({each.split("{")[0] for each in href.paths.values()})
    for link in page.links:
        assert link.startswith(("#", *starts)), link


def test_a_page_without_a_store_names_the_two_first_commands(tmp_path: Path) -> None:
    for path in ("/", "/runs", "/destinations", "/runs/1"):
        page = ask(dashboard_app(site_of(tmp_path / "none.db")), path)
        assert page.status == 200
        assert "audience-sync plan" in page.text
        assert "audience-sync sync" in page.text
    assert not (tmp_path / "none.db").exists()


def test_a_store_without_a_run_has_the_same_page(tmp_path: Path, sqlite_schema: Path) -> None:
    shutil.copy(sqlite_schema, tmp_path / "store.db")
    app = dashboard_app(site_of(tmp_path / "store.db"))
    assert "No run yet" in ask(app, "/").text
    assert ask(app, "/runs").status == ask(app, "/destinations").status == 200
    assert ask(app, "/runs/1").status == 404


def test_a_store_of_another_version_has_a_page_with_the_command(tmp_path: Path, week: Week) -> None:
    shutil.copy(week.project.store, tmp_path / "store.db")
    for number, words in (("0022", "db upgrade"), ("9999", "newer version")):
        with closing(sqlite3.connect(tmp_path / "store.db")) as connection, connection:
            connection.execute("update alembic_version set version_num = ?", [number])
        page = ask(dashboard_app(site_of(tmp_path / "store.db")), "/")
        assert (page.status, words in page.text) == (503, True)


def test_a_store_that_is_replaced_is_read_at_the_next_page(tmp_path: Path, week: Week, sqlite_schema: Path) -> None:
    store = tmp_path / "store.db"
    shutil.copy(sqlite_schema, store)
    app = dashboard_app(site_of(store))
    assert "No run yet" in ask(app, "/").text
    (tmp_path / "new.db").write_bytes(week.project.store.read_bytes())
    (tmp_path / "new.db").replace(store)
    assert "1 audience is held" in ask(app, "/").text
    store.unlink()
    assert "No run yet" in ask(app, "/").text


def test_a_damaged_store_has_a_page_that_says_so(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database at all" * 100)
    page = ask(dashboard_app(site_of(tmp_path / "store.db")), "/")
    assert (page.status, "restore a backup" in page.text) == (503, True)


def test_a_store_that_can_not_be_reached_has_a_page_without_its_password() -> None:
    url = "postgresql://ada:s3cret@127.0.0.1:1/shop"
    app = dashboard_app(Site(url=url, label="postgresql://ada@127.0.0.1:1/shop"))
    page = ask(app, "/")
    assert (page.status, "s3cret" in page.text) == (503, False)
    assert "audience-sync check" in page.text


def test_reading_changes_nothing_and_is_ended_at_its_limit(site: Site) -> None:
    store = PageStore(site.url)
    prefix = "" if site.url.startswith("sqlite") else "audience_sync."
    with pytest.raises(Exception, match=r"readonly|read-only"), store.reading() as connection:
        connection.exec_driver_sql("delete from runs")
    endless = (
        f"with recursive n as (select 1 as i union all select i + 1 from n) select count(*) from n, {prefix}sync_runs"
    )
    with pytest.raises(TookTooLongError, match=r"longer than 0\.3 s"), store.reading(seconds=0.3) as connection:
        connection.exec_driver_sql(endless)
    with store.reading() as connection:
        assert connection.exec_driver_sql(f"select count(*) from {prefix}sync_runs").scalar() == 11
    store.stop()


def test_no_file_is_open_between_two_pages(tmp_path: Path, week: Week) -> None:
    """So a command that needs the file alone does not wait for a dashboard."""
    shutil.copy(week.project.store, tmp_path / "store.db")
    app = dashboard_app(site_of(tmp_path / "store.db"))
    assert ask(app, "/").status == 200
    assert sorted(each.name for each in tmp_path.iterdir()) == ["store.db"]
    open_files = [Path(f"/proc/self/fd/{each.name}").resolve() for each in Path("/proc/self/fd").iterdir()]
    assert tmp_path / "store.db" not in open_files


def test_a_role_that_may_read_the_views_alone_sees_every_page(postgresql_week: str) -> None:
    engine = create_engine(make_url(postgresql_week), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("create role looker login")
        connection.exec_driver_sql("grant usage on schema audience_sync to looker")
        connection.exec_driver_sql("grant select on all tables in schema audience_sync to looker")
    engine.dispose()
    url = make_url(postgresql_week).set(username="looker").render_as_string(hide_password=False)
    app = dashboard_app(Site(url=url, label="the store"))
    for path in PAGES:
        assert ask(app, path).status == 200
    held = ask(app, "/runs/11").text
    assert "is held." in held
    assert "A sample of who would leave and enter" in held


def test_a_missing_store_is_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(EmptyStoreError), PageStore(f"sqlite:///{tmp_path}/none.db").reading():
        pass


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/runs/999", 404, "There is no run 999"),
        ("/runs/0", 400, "a whole number from 1 on"),
        ("/runs/x", 404, "There is no page at /runs/x."),
        ("/runs/99999999999", 400, "is not valid for `run`"),
        ("/runs?status=told", 400, "is not valid for `status`"),
        ("/runs?from=yesterday", 400, "is not a day for `from`"),
        ("/runs?before=-1", 400, "is not valid for `before`"),
        ("/runs?format=xml", 400, "csv, json"),
        ("/runs?format=csv&table=users", 400, "Its tables: runs."),
        ("/destinations?range=99y", 400, "24h, 7d, 30d"),
    ],
)
def test_a_wrong_address_is_explained(app: ASGIApp, path: str, status: int, words: str) -> None:
    page = ask(app, path)
    assert (page.status, words in page.text) == (status, True), page.text[-1500:]


def test_a_run_shows_why_it_was_held_and_what_was_decided(get: Get) -> None:
    held, decided = read(get("/runs/11").text), read(get("/runs/6").text)
    assert "Order Completed Last 30days is held." in held.text
    assert "audience-sync approve 11 order_completed_last_30days" in held.text
    assert "A sample of who would leave and enter" in held.text
    assert "A person approved it; run 7 used it." in decided.text
    assert "audience-sync approve 6" not in decided.text


def test_a_killed_run_and_a_failed_one_say_what_happened(get: Get) -> None:
    assert "The process ended before the run did." in get("/runs/8").text
    assert "Run 9 continued from there." in get("/runs/8").text
    failed = get("/runs/9").text
    assert "Churn Risk could not be loaded." in failed
    assert "audience-sync check" in failed


def test_with_masked_ids_no_page_and_no_file_has_one(masked_app: ASGIApp, week: Week) -> None:
    users = {
        user
        for (user,) in week.project.query(
            "select distinct user_id from refusals union select user_id from hold_samples"
        )
    }
    assert users
    for path in [
        *PAGES,
        *(f"/runs/{run}?format={kind}&table=refusals" for run in range(1, 12) for kind in ("csv", "json")),
    ]:
        text = ask(masked_app, path).text
        assert [user for user in users if f">{user}<" in text or f"id={user}" in text or f'"{user}"' in text] == []
    assert "user-" in ask(masked_app, "/runs/2").text


def hostile_project(tmp_path: Path, user: str) -> Project:
    project = Project(tmp_path)
    project.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv", "guard": {"max_removed": "10%", "at_least": 1}}]
    )
    quoted = '"' + user.replace('"', '""') + '"'
    project.write_members("vip.csv", quoted, "ada")
    assert project.run("sync").code == 0
    project.write_members("vip.csv", "ada")
    assert project.run("sync").code == 4
    return project


@pytest.mark.parametrize("user", HOSTILE)
def test_a_hostile_id_is_only_text(tmp_path: Path, user: str) -> None:
    project = hostile_project(tmp_path, user)
    app = dashboard_app(site_of(project.store))
    page = read(ask(app, "/runs/2").text)
    assert "<script>alert" not in ask(app, "/runs/2").text
    assert href("user", id=user) in page.links
    shown = user if len(user) <= 80 else user[:24]
    assert shown.replace("‮", r"\u202e")[:20] in page.text
    assert ask(app, "/").status == 200


def test_a_query_with_its_values_can_be_pasted(site: Site) -> None:
    dataset = Dataset(
        "x",
        "select run from {views}sync_runs\n    where command = :command and run > :run and started_at > :at "
        "and 'a:b' = 'a:b'",
        {"command": "it's", "run": 3, "at": datetime(2026, 11, 1, 6, tzinfo=UTC)},
    )
    store = PageStore(site.url)
    with store.reading() as connection:
        text = dataset.text(connection)
        connection.exec_driver_sql(text.replace("%", "%%"))
    assert "command = 'it''s' and run > 3 and started_at > '2026-11-01 06:00:00" in text
    store.stop()


def test_a_stream_ends_with_a_reload_when_the_run_has_ended(sqlite_site: Site) -> None:
    """A page that shows a run as running is loaded again as soon as it isn't."""
    with PageStore(sqlite_site.url).reading() as connection:
        visit = Visit(connection=connection, site=sqlite_site, now=datetime.now(UTC), path={"run": "11"})
        assert home_part(visit).state == (11, "held")
        assert run_part(visit).state == (11, "held")
        assert (home_part(visit).progress, home_part(visit).pause) == (None, 5.0)


def test_the_config_may_be_missing_in_part(sqlite_site: Site) -> None:
    site = replace(
        sqlite_site, settings=None, config_problem="destinations.segment.write_key: SEGMENT_WRITE_KEY is not set"
    )
    page = ask(dashboard_app(site), "/")
    assert page.status == 200
    assert "its schedules are not known: destinations.segment.write_key" in page.text


@pytest.mark.parametrize(
    ("status", "delivered", "pending", "words"),
    [
        ("succeeded", 5, 0, "Nothing needs a person: run 7 succeeded, and every call was accepted."),
        ("succeeded", 0, 0, "Nothing needs a person: run 7 succeeded, and nothing had changed."),
        ("partial", 5, 1, "Nothing needs a person: run 7 partial, and 1 call is pending."),
        ("partial", 0, 1_200, "Nothing needs a person: run 7 partial, and 1,200 calls are pending."),
        ("interrupted", 5, 1, "Nothing needs a person."),
    ],
)
def test_home_claims_no_more_than_the_last_run_did(status: str, delivered: int, pending: int, words: str) -> None:
    at = datetime(2026, 3, 8, tzinfo=UTC)
    last = LastRun(
        run=7,
        command="sync",
        status=status,
        started_at=at,
        finished_at=at,
        seconds=1.0,
        delivered=delivered,
        refused=0,
        pending=pending,
    )
    assert well(Attention(last_run=last)) == words


def test_a_run_whose_results_were_deleted_says_so_and_claims_nothing(tmp_path: Path, week: Week) -> None:
    store = tmp_path / "store.db"
    shutil.copy(week.project.store, store)
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("insert into pruned_history values ('runs', 3, 0, '')")
        for table in ("run_audiences", "run_destinations"):
            connection.execute(f"delete from {table} where run_id <= 3")
    app = dashboard_app(site_of(store))
    page = read(ask(app, "/runs/3").text)
    assert "retention deleted the results of this run." in page.text
    assert "Nothing was to be sent." not in page.text
    results = page.table("Timeline").column("Result")
    assert results["load, compare order_completed_last_30days"] == ""
    runs = read(ask(app, "/runs").text).tables[0]
    assert runs.column("Delivered")["3"] == runs.column("Entered")["3"] == "–"
    assert ask(app, "/").status == ask(app, "/destinations").status == 200


def questions_without_rows(app: ASGIApp) -> set[str]:
    found = re.findall(r'<a href="(/query[?]sql=[^"]+)"[^>]*>([^<]*[?])</a>', ask(app, "/query").text)
    assert len(found) == 26
    answers = {unescape(title): json.loads(ask(app, f"{unescape(link)}&format=json").text) for link, title in found}
    return {title for title, rows in answers.items() if not rows}


#: No user is in both audiences, no trait changed, and no request had to be sent again in the run that is asked about.
QUESTIONS_WITHOUT_ROWS = {
    "Who is in both audiences?",
    "How did a user's computed traits change?",
    "Which requests had to be sent again, and how long did they take?",
}


def test_the_questions_of_the_query_page_have_answers_here(app: ASGIApp, masked_app: ASGIApp) -> None:
    """They are about this store's audiences, traits, destinations and users; only what never happened has no rows."""
    assert questions_without_rows(app) | questions_without_rows(masked_app) <= QUESTIONS_WITHOUT_ROWS


@pytest.mark.parametrize("hours", [6, 12, 18])
def test_the_questions_have_answers_however_the_runs_lie_in_their_days(tmp_path: Path, week: Week, hours: int) -> None:
    store = tmp_path / "store.db"
    shutil.copy(week.project.store, store)
    move_into_the_past(store, hours)
    assert questions_without_rows(dashboard_app(site_of(store))) <= QUESTIONS_WITHOUT_ROWS
