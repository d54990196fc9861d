"""Kill a command at a named point of the protocol by which a warehouse compares a snapshot.

What is done in the warehouse is found by its statements, and what is done here by its functions.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forks import forks

#: Few rows at once, few tables of changes before a fold, and few rows that are fetched although a guard holds them, so
#: that a small run has all points.
FETCHED_AT_ONCE, MOST_DELTAS, FEW_ROWS, SAMPLED_USERS = 2, 2, 3, 2

#: By step, the beginning of its statement in the warehouse.
STATEMENTS = {
    "sweep": r"set local lock_timeout = '1s'; drop table",
    "verify": r"select .*count\(\*\) as row_count from .*_(base|delta)_",
    "create": r"create table .*_delta_",
    "stream": r"select user_id.* from .*_delta_",
    "fold": r"create table .*_base_",
}
#: By step, its function here, as the module that calls it has it.
FUNCTIONS = {
    "lease": ("audience_sync.sync.plan_run", "read_run_clock"),
    "guard": ("audience_sync.sync.detect_changes", "guard_audiences"),
    "commit": ("audience_sync.sync.commit.commit", "commit"),
    "transaction": ("audience_sync.sync.run", "commit_run"),
}
#: Every point at which a command may be killed. ``kept``: after the commit of a table. ``within`` a stream, some rows
#: were fetched. ``after commit``: before the end of its transaction.
POINTS = (
    "before lease",
    "before sweep",
    "after sweep",
    "before verify",
    "after verify",
    "before create",
    "after create",
    "kept create",
    "before stream",
    "within stream",
    "before guard",
    "after guard",
    "before commit",
    "after commit",
    "after transaction",
    "before fold",
    "after fold",
    "kept fold",
)


def was_killed(point: str, *arguments: str, folder: Path, environment: Mapping[str, str], times: int = 1) -> bool:
    """Run a command that is killed when it reaches the point for this time. Returns whether it did."""
    prepare = ("warehouse.kills:kill_at", point, times)
    code, _, err = forks().run(arguments, folder=folder, environment=environment, prepare=prepare)
    assert b"Traceback" not in err, err.decode()
    return code == -signal.SIGKILL


def kill_at(point: str, times: int) -> None:
    """Prepare a child that kills itself."""
    when, step = point.split()
    left = [times]

    def reached() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    be_small()
    if step in FUNCTIONS:
        _kill_around_function(*FUNCTIONS[step], when, reached)
    elif when == "within":
        _kill_within_stream(reached)
    else:
        _kill_around_statement(re.compile(STATEMENTS[step]), when, reached)


def be_small() -> None:
    """Let a child have small limits."""
    from audience_sync.sources.warehouse import compare, fetch

    engine: Any = importlib.import_module("audience_sync.sources.database.engine")
    compare.MOST_DELTAS, fetch.FEW_ROWS, fetch.SAMPLED_USERS = MOST_DELTAS, FEW_ROWS, SAMPLED_USERS
    engine.FETCH_ROWS, engine._STREAMED = FETCHED_AT_ONCE, {**engine._STREAMED, "yield_per": FETCHED_AT_ONCE}


def _kill_around_function(module: str, name: str, when: str, reached: Callable[[], None]) -> None:
    owner = importlib.import_module(module)
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if when == "before":
            reached()
        answer = original(*arguments, **options)
        if when == "after":
            reached()
        return answer

    setattr(owner, name, wrapped)


def _kill_around_statement(statement: re.Pattern[str], when: str, reached: Callable[[], None]) -> None:
    connection: Any = importlib.import_module("sqlalchemy").Connection
    execute, commit, was_run = connection.exec_driver_sql, connection.commit, [False]

    def executed(self: Any, text: str, *arguments: Any, **options: Any) -> Any:
        is_it = bool(statement.match(text))
        if is_it and when == "before":
            reached()
        answer = execute(self, text, *arguments, **options)
        if is_it and when == "after":
            reached()
        was_run[0] = was_run[0] or is_it
        return answer

    def committed(self: Any) -> None:
        commit(self)
        if was_run[0] and when == "kept":
            reached()

    connection.exec_driver_sql, connection.commit = executed, committed


def _kill_within_stream(reached: Callable[[], None]) -> None:
    """Between two parts of the rows."""
    from audience_sync.workspace import Workspace

    load = Workspace.load

    def loaded(self: Workspace, columns: Any, batches: Any) -> Any:
        def parts() -> Any:
            for number, part in enumerate(batches):
                if number and "change" in columns:
                    reached()
                yield part

        return load(self, columns, parts())

    Workspace.load = loaded  # type: ignore[method-assign]
