"""Write the pages as files that open anywhere: with relative links, and without what needs the server."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection

from audience_sync.dashboard.app import dashboard_environment
from audience_sync.dashboard.file_links import for_files
from audience_sync.dashboard.frame import page_context
from audience_sync.dashboard.links import href
from audience_sync.dashboard.overlap import OverlapCache
from audience_sync.dashboard.page import Page, PageFunction, Visit
from audience_sync.dashboard.pages.audience import audience_page
from audience_sync.dashboard.pages.audiences import audiences_page
from audience_sync.dashboard.pages.destinations import destinations_page
from audience_sync.dashboard.pages.home import home_page
from audience_sync.dashboard.pages.run import run_page
from audience_sync.dashboard.pages.runs import runs_page
from audience_sync.dashboard.site import Site
from audience_sync.dashboard.store import PageStore
from audience_sync.errors import AudienceSyncError
from audience_sync.history.view_rows import read
from audience_sync.version import __version__
from audience_sync.web.static_files import static_files
from audience_sync.web.tables import table_text

#: Pages of runs, the newest, and of audiences, the largest: a store of 10,000 runs stays a folder of some megabytes.
MOST_RUNS, MOST_AUDIENCES = 100, 300
#: Rows of a CSV or JSON file.
MOST_ROWS = 10_000
#: Seconds that the count of an audience's overlap may take.
OVERLAP_SECONDS = 20.0
#: The list of our files. Without it a folder is not ours.
MARKER = "audience-sync-dashboard.json"
_PLAIN = re.compile(r"[a-z0-9_]{1,100}")


class FolderError(AudienceSyncError):
    """The folder can't be written, or is not one of ours. Nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenFiles:
    """What was written. ``first_run``: the oldest run with a page, None without runs."""

    folder: Path
    pages: int
    bytes: int
    runs: int
    all_runs: int
    audiences: int
    all_audiences: int


@dataclass(frozen=True, slots=True)
class _FilePage:
    """A page of the server by its path, and its file."""

    path: str
    file: str
    build: PageFunction
    values: Mapping[str, str]


def write_files(site: Site, folder: Path, *, now: datetime | None = None) -> WrittenFiles:
    """Write the pages next to the folder, and move them into its place. Raises FolderError.

    An existing folder is replaced if every file in it is one that this function wrote.
    """
    refuse_foreign(folder)
    moment = now or datetime.now(UTC)
    store = PageStore(site.url)
    overlaps = OverlapCache(partial(store.reading, seconds=OVERLAP_SECONDS))
    try:
        with _new_folder(folder) as target, store.reading() as connection:
            pages, all_runs, all_audiences = _pages(connection, overlaps)
            size = _write(site, connection, pages, target, moment)
    finally:
        store.stop()
    return WrittenFiles(
        folder=folder,
        pages=len(pages),
        bytes=size,
        runs=sum(each.path.startswith("/runs/") for each in pages),
        all_runs=all_runs,
        audiences=sum(each.path.startswith("/audiences/") for each in pages),
        all_audiences=all_audiences,
    )


def refuse_foreign(folder: Path) -> None:
    """Raise FolderError unless the folder is missing, empty, or has our files alone."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderError(f"{folder} is not a folder. Nothing was written. Name a folder that does not exist yet.")
    if not folder.exists():
        return
    there = {
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()
    }
    foreign = sorted(there - _listed(folder / MARKER))
    if foreign:
        more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
        raise FolderError(
            f"{folder} has files that `dashboard --out` did not write: {foreign[0]}{more}. Nothing was written. Name "
            "another folder, or remove these files."
        )


def _listed(marker: Path) -> set[str]:
    try:
        found = json.loads(marker.read_text("utf-8"))
    except (OSError, ValueError):
        return set()
    files = found.get("files") if isinstance(found, dict) else None
    return {MARKER, *files} if isinstance(files, list) and all(isinstance(each, str) for each in files) else set()


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A folder next to the wanted one, which replaces it at the end; removed after an error."""
    final = folder.absolute()
    new, old = (final.with_name(f".{final.name}.{word}-{os.getpid()}") for word in ("new", "old"))
    try:
        new.mkdir(parents=True)
    except OSError as error:
        raise FolderError(f"{new.parent} can't be written: {error.strerror or error}. Nothing was written.") from None
    try:
        yield new
        if final.exists():
            refuse_foreign(folder)  # it may have changed meanwhile
            final.rename(old)
        new.rename(final)
    except OSError as error:
        raise FolderError(f"{folder} can't be written: {error.strerror or error}.") from None
    finally:
        if old.exists() and not final.exists():
            old.rename(final)
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _write(site: Site, connection: Connection, pages: Sequence[_FilePage], target: Path, now: datetime) -> int:
    """Write all files; their size in bytes."""
    environment = dashboard_environment(site, clock=lambda: now, is_served=False)
    writer = _Writer(target)
    files = {each.path: each.file for each in pages}
    for each in pages:
        visit = Visit(connection=connection, site=site, now=now, path=each.values)
        page = each.build(visit)
        data = _Data(visit, page, each.file.removesuffix(".html"), writer)
        context = {**page_context(visit, page), "live": "", "data_href": data.href, "query_href": data.query_href}
        writer.write(each.file, for_files(environment.get_template(page.template).render(context), files))
    for name, static in static_files().items():
        writer.write_bytes(f"static/{name}", static.content)
    writer.finish(now)
    return writer.size


def _pages(connection: Connection, overlaps: OverlapCache) -> tuple[list[_FilePage], int, int]:
    """The pages to write, the number of all runs, and of all audiences."""
    runs = [
        row["run"]
        for row in read(connection, f"select run from {{views}}sync_runs order by run desc limit {MOST_RUNS}")
    ]
    query = "select key from {views}audiences order by coalesce(members, 0) desc, key"
    keys = [row["key"] for row in read(connection, query)]
    count = read(connection, "select count(*) as count from {views}sync_runs")[0]["count"]
    build_run = partial(run_page, rows=MOST_AUDIENCES)
    build_audience = partial(audience_page, overlaps=overlaps, patience=OVERLAP_SECONDS)
    found = [
        _FilePage("/", "index.html", home_page, {}),
        _FilePage("/audiences", "audiences.html", partial(audiences_page, rows=MOST_AUDIENCES), {}),
        _FilePage("/runs", "runs.html", partial(runs_page, rows=MOST_RUNS), {}),
        _FilePage("/destinations", "destinations.html", destinations_page, {}),
        *(_FilePage(href("run", run=run), f"run-{run}.html", build_run, {"run": str(run)}) for run in runs),
        *(
            _FilePage(
                href("audience", key=key), f"audience-{_file_name(key, number)}.html", build_audience, {"key": key}
            )
            for number, key in enumerate(keys[:MOST_AUDIENCES])
        ),
    ]
    return found, count, len(keys)


def _file_name(key: str, number: int) -> str:
    """The key, which is a file's name too; an unusual one has a number."""
    return key if _PLAIN.fullmatch(key) else f"no-{number}"


class _Writer:
    """Writes files below a folder, and the list of them at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.names = set[str]()
        self.size = 0

    def write(self, name: str, text: str) -> None:
        self.write_bytes(name, text.encode("utf-8", "backslashreplace"))

    def write_bytes(self, name: str, content: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.names.add(name)
        self.size += len(content)

    def finish(self, now: datetime) -> None:
        listed = {
            "program": f"audience-sync {__version__}",
            "written_at": now.isoformat(),
            "files": sorted(self.names),
        }
        self.write(MARKER, json.dumps(listed, indent=1))


class _Data:
    """The tables and queries of one page, each written when the page links to it for the first time."""

    def __init__(self, visit: Visit, page: Page, prefix: str, writer: _Writer) -> None:
        self._visit, self._page, self._prefix, self._writer = visit, page, prefix, writer

    def href(self, name: str, kind: str) -> str:
        """The address of a table as CSV or JSON."""
        file = f"data/{self._prefix}-{name}.{kind}"
        if file not in self._writer.names:
            columns, rows = self._page.dataset(name).table(self._visit, MOST_ROWS)
            self._writer.write(file, table_text(columns, rows, kind=kind))
        return file

    def query_href(self, name: str) -> str:
        """The address of a table's query."""
        file = f"data/{self._prefix}-{name}.sql"
        if file not in self._writer.names:
            self._writer.write(file, f"{self._page.dataset(name).text(self._visit.connection)}\n")
        return file
