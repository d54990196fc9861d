"""Run SQL on a Spark Connect server, and read its answers as Arrow tables."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

from audience_sync.errors import SourceError, mask_values
from audience_sync.redaction.secrets import collect_secrets, mask_secrets, passwords_in_url
from audience_sync.sql import Query, TableName
from audience_sync.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.session import SparkSession

#: Attempts to reach a server: the first, and four more within 4 s. Later ones wait for a network that comes back, 30 s.
CONNECTING: Mapping[str, Any] = {"max_retries": 4, "initial_backoff": 100, "backoff_multiplier": 3.0, "jitter": 0}
CONNECTED: Mapping[str, Any] = {**CONNECTING, "max_retries": 7, "max_backoff": 10_000}
#: Requests to interrupt a query before its channel is closed. One may come between two statements.
MOST_INTERRUPTS = 10
#: The client logs each failed query, with values of its rows.
_LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")
_STATUS = re.compile(r"status = StatusCode\.(\w+)\s+details = \"(.*?)\"\s+debug_error_string", re.DOTALL)
#: gRPC's answers to a client that it does not know, or that may not do this.
_MAY_NOT = ("UNAUTHENTICATED", "PERMISSION_DENIED")
#: The condition of a session that the server has ended, or does not know after a restart.
ENDED = "INVALID_HANDLE"
#: The class of SQLSTATEs about the text of the query.
_QUERY_ERRORS = "42"
#: Functions whose message is a person's, and may have values of rows.
_RAISES = re.compile(r"\b(raise_error|assert_true)\b", re.IGNORECASE)
#: DuckDB's message about a text from Spark.
_NOT_UTF_8 = re.compile(r"^Invalid Input Error: Invalid unicode")
_SQLSTATE = re.compile(r"\.? SQLSTATE: \w{5}.*", re.DOTALL)


class SparkError(Exception):
    """An error of Spark or of its client. ``reason``: its first line, without values of rows."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        status = _STATUS.search(str(cause))
        self.status = status[1] if status else ""
        self.condition = str(getattr(cause, "getCondition", lambda: None)() or "")
        #: Whether it quotes the query alone, and no value of a row. Errors of other servers than Spark's have no class.
        self.is_about_the_query = str(getattr(cause, "getSqlState", lambda: None)() or "").startswith(_QUERY_ERRORS)
        reason = _first_line(status[2] if status else str(cause))
        if isinstance(cause, UnicodeDecodeError) or _NOT_UTF_8.search(reason):
            reason = "a text is not UTF-8 (make_valid_utf8(name) in the query mends it)"
        self.reason = reason if status or self.is_about_the_query else mask_values(reason)


def _first_line(message: str) -> str:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return _SQLSTATE.sub("", lines[0]).rstrip(". ") if lines else "no reason was given"


class SparkServer:
    """A Spark Connect server, by its URL. Each connection is a session of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._secrets = collect_secrets(passwords_in_url(url))
        self._session: SparkSession | None = None
        self._stops = 0
        #: The URL without its parameters, which may have a token.
        self.address = url.partition("/;")[0].rstrip("/")

    @contextmanager
    def connect(self) -> Iterator[SparkConnection]:
        """Raises SourceError if the server can't be reached."""
        warnings.filterwarnings("ignore", module=r"pyspark\.")
        try:
            _import_client()
            from pyspark.sql import SparkSession
            from pyspark.sql.connect.client.retries import DefaultPolicy
        except ImportError as error:
            package = error.name or "pyspark"
            raise SourceError(
                f"Spark at {self.address}: reading it needs the package {package}, which is not installed. "
                "Nothing of it was used. Install it: pip install 'audience-sync[spark]'"
            ) from None
        with self._explaining("can't connect", "Check the URL, and that it can be reached."):
            session: Any = SparkSession.builder.remote(self._url).create()
        self._session, self._stops = session, 0
        try:
            session.client.set_retry_policies([DefaultPolicy(**CONNECTING)])
            with self._explaining("can't connect", "Check the URL, and that it can be reached."):
                session.sql("select 1").collect()
            session.client.set_retry_policies([DefaultPolicy(**CONNECTED)])
            yield SparkConnection(session)
        finally:
            with suppress(Exception):  # a session that can't be closed ends by itself
                session.client.set_retry_policies([DefaultPolicy(max_retries=0)])
                session.stop()

    @contextmanager
    def _explaining(self, what: str, remedy: str) -> Iterator[None]:
        try:
            with client_errors():
                yield
        except SparkError as error:
            raise self.problem(what, error, remedy) from None

    def stop(self) -> None:
        """Interrupt what the session runs. If it is asked again and again, close its channel.

        The server may not answer to either, so nothing waits for it.
        """
        session, self._stops = self._session, self._stops + 1
        if session is None:
            return
        stop = session.client.close if self._stops > MOST_INTERRUPTS else session.interruptAll
        threading.Thread(target=_ignoring_errors, args=(stop,), daemon=True).start()

    def problem(self, what: str, error: SparkError, remedy: str, query: str | None = None) -> SourceError:
        """The error for one of Spark's, without secrets. ``query``: the part of it that a person wrote."""
        if error.status in _MAY_NOT:
            remedy = "Check the token in the URL, and what its user may do."
        elif ENDED in error.reason:
            remedy = "The server ended the session, as it does when it restarts. Run again: each run starts its own."
        reason = error.reason
        if not error.is_about_the_query and _RAISES.search(query or ""):
            reason = "the query raised an error; its message is hidden, since it may contain personal data"
        return SourceError(mask_secrets(f"Spark at {self.address}: {what}: {reason}. {remedy}", self._secrets))


class SparkConnection:
    """A session. Its methods raise SparkError."""

    def __init__(self, session: SparkSession) -> None:
        self.session: Any = session

    def run(self, statement: str) -> None:
        """Run a command, not a query: Spark carries it out at once."""
        with client_errors():
            self.session.sql(statement)

    def frame(self, query: str) -> DataFrame:
        """A query, which runs when it is used."""
        with client_errors():
            found: DataFrame = self.session.sql(query)
            return found

    def columns(self, query: str) -> Sequence[tuple[str, str]]:
        """Names and types of a query's columns. It does not run."""
        with client_errors():
            return [(field.name, field.dataType.simpleString()) for field in self.frame(query).schema.fields]

    def stream(self, query: Query) -> Generator[pyarrow.Table, None, None]:
        """The rows of a query, in tables of some thousand."""
        import pyarrow

        with client_errors():
            client = self.session.client
            for each in client.to_table_as_iterator(self.frame(query)._plan.to_proto(client), {}):
                if isinstance(each, pyarrow.Table):
                    yield each

    def rows(self, query: Query, limit: int) -> list[tuple[Any, ...]]:
        """The rows of a query, at most ``limit``."""
        with client_errors():
            frame: Any = self.frame(query)
            return [tuple(row) for row in frame.limit(limit).collect()]

    def load(self, workspace: Workspace, query: Query) -> TableName:
        """Load the rows of a query into a table of the workspace, with the types that Arrow has for Spark's."""
        table, is_new = workspace.name("rows"), True
        with closing(workspace.cursor()) as cursor:
            for rows in self.stream(query):
                with client_errors():
                    cursor.register("arrived", rows)
                    cursor.execute(
                        f"create table {table} as from arrived" if is_new else f"insert into {table} from arrived"
                    )
                    cursor.unregister("arrived")
                is_new = False
        assert not is_new, "Spark sends a table, if without rows"
        return table


@cache
def _import_client() -> None:
    """Import Spark's client, which then logs nothing: what it logs has values of rows."""
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with _a_main_file():
        import pyspark.sql.connect.session  # noqa: F401

    for name in _LOGGERS:
        logging.getLogger(name).disabled = True


@contextmanager
def _a_main_file() -> Iterator[None]:
    """Give the main module a file: without one, Spark's client believes that it is tested, and may end the process."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__"):
        yield
        return
    main.__file__ = "main"
    try:
        yield
    finally:
        del main.__file__


@contextmanager
def client_errors() -> Iterator[None]:
    """Raise SparkError for an error of Spark's client, of a text that is not UTF-8, or of a URL that it can't read."""
    import duckdb
    import grpc
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, grpc.RpcError, UnicodeDecodeError, ValueError, duckdb.InvalidInputException) as error:
        raise SparkError(error) from None


def _ignoring_errors(action: Callable[[], object]) -> None:
    with suppress(Exception):
        action()
