"""Start, repeat and cancel runs: one at a time, each in a process of its own."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from sqlalchemy import select

from audience_sync.errors import RunInProgressError, StoreError
from audience_sync.model import RunId, RunStatus
from audience_sync.serve.problems import ProblemError, status_of
from audience_sync.serve.worker import Worker
from audience_sync.store.connection.engine import Store
from audience_sync.store.connection.lease import is_run_in_progress, refuse_while_in_progress
from audience_sync.store.connection.process_identity import is_alive
from audience_sync.store.maintenance import migrate
from audience_sync.store.runs.requests import (
    find_request,
    forget_request,
    keep_request,
    record_run,
    run_of_owner,
    run_of_process,
)
from audience_sync.store.tables import runs

OpenStore = Callable[[], AbstractContextManager[Store]]
#: Seconds in which a run that has ended releases the store, and between two looks at it.
LEAVES_WITHIN, PAUSE = 5.0, 0.05
_BEGINS = "Another run is about to begin. Nothing was done.\nTry again in a moment."
_OTHER_REQUEST = (
    "This Idempotency-Key was used for another request. Nothing was done.\nSend the same request, or use a new key."
)


@contextmanager
def open_to_write(url: str) -> Iterator[Store]:
    """The store with the program's schema; a new SQLite store is created."""
    with closing(Store(url)) as store:
        migrate.ensure(store, upgrade_allowed=False)
        yield store


class Runs:
    """The runs that this server starts. ``writing`` opens the store with its schema, ``reading`` to look."""

    def __init__(self, *, reading: OpenStore, writing: OpenStore, start_worker: Callable[[], Worker]) -> None:
        self._reading, self._writing, self._start_worker = reading, writing, start_worker
        self._lock = threading.Lock()
        self._workers = list[Worker]()
        self._is_stopping = False

    def start(self, work: Mapping[str, Any], key: str | None = None) -> tuple[RunId, bool]:
        """Start a run, and wait until it has begun. Returns it, and whether an earlier request had started it.

        ``key``: the idempotency key. Raises ProblemError.
        """
        fingerprint = hashlib.sha256(json.dumps(work, sort_keys=True).encode()).hexdigest()
        until = time.monotonic() + LEAVES_WITHIN
        while True:
            with self._lock:
                worker, run = self._repeated(key, fingerprint) if key is not None else (None, None)
                if run is not None:
                    return run, True
                is_repeated = worker is not None
                if worker is None and self._may_begin(is_patient=time.monotonic() < until):
                    worker = self._begin(work, key, fingerprint)
            if worker is not None:
                worker.wait_begun()
                return self._run_of(worker, key), is_repeated
            time.sleep(PAUSE)

    def start_plan(self, audiences: Sequence[str] | None) -> Worker:
        """Start a process that makes a plan. Raises ProblemError if the server is stopping."""
        self._refuse_when_stopping()
        worker = self._start_worker()
        worker.begin({"method": "plan", "arguments": {"audiences": audiences}})
        return worker

    def _repeated(self, key: str, fingerprint: str) -> tuple[Worker | None, RunId | None]:
        """The worker or the run of an earlier request with this key."""
        with self._reading() as store, store.reading() as connection:
            found = find_request(connection, key)
        if found is None:
            return None, None
        if found.fingerprint != fingerprint:
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, _OTHER_REQUEST, run=found.run)
        worker = self._worker(found.holder)
        if worker is None and found.run is None and is_alive(found.holder):  # a server before this one has started it
            raise _busy(_BEGINS)
        return worker, found.run

    def _worker(self, name: str) -> Worker | None:
        """The process of this server with this name."""
        return next((each for each in self._workers if each.name == name), None)

    def _refuse_when_stopping(self) -> None:
        if self._is_stopping:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "The server is stopping. Nothing was done.")

    def _begin(self, work: Mapping[str, Any], key: str | None, fingerprint: str) -> Worker:
        """Let a new process begin, once its key is stored."""
        worker = self._start_worker()
        if key is not None:
            try:
                with self._writing() as store, store.writing() as connection:
                    keep_request(connection, key, fingerprint, worker.name, datetime.now(UTC))
            except BaseException:
                worker.discard()
                raise
        self._workers = [*(each for each in self._workers if not each.is_over), worker]
        worker.begin(work)
        return worker

    def _may_begin(self, *, is_patient: bool) -> bool:
        """Whether a run may begin now. False: one that has ended is about to release the store.

        Raises ProblemError while another run is in progress; without patience also while one that has ended leaves.
        """
        self._refuse_when_stopping()
        with self._reading() as store, store.reading() as connection:
            try:
                refuse_while_in_progress(connection)
            except RunInProgressError as error:
                newest = run_of_owner(connection)
                if newest is not None and newest.status is not RunStatus.RUNNING and is_patient:
                    return False
                raise _busy(str(error), None if newest is None else newest.run) from None
        if any(not each.has_begun for each in self._workers):
            raise _busy(_BEGINS)
        return True

    def _run_of(self, worker: Worker, key: str | None) -> RunId:
        """The run of a process that has begun one. Raises ProblemError if it ended without a run."""
        with self._reading() as store, store.reading() as connection:
            run = run_of_process(connection, worker.name)
        if key is not None:
            with self._writing() as store, store.writing() as connection:
                forget_request(connection, key) if run is None else record_run(connection, key, run)
        if run is None:
            raise problem_of_answer(worker.wait())
        return run

    def cancel(self, run: RunId) -> None:
        """Interrupt a run of this server. Raises ProblemError if it is not in progress, or of another process."""
        with self._reading() as store, store.reading() as connection:
            row = connection.execute(select(runs.c.status, runs.c.holder).where(runs.c.id == run)).one_or_none()
            is_one_in_progress = is_run_in_progress(connection)
        if row is None:
            raise no_run(run)
        if row.status != RunStatus.RUNNING or not is_one_in_progress:
            status = row.status if row.status != RunStatus.RUNNING else RunStatus.INTERRUPTED.value
            raise ProblemError(HTTPStatus.CONFLICT, f"Run {run} has ended: {status}. Nothing was done.")
        worker = self._worker(row.holder)
        if worker is None:
            fact = f"Run {run} was not started by this server: stop {row.holder.partition(' (')[0]}. Nothing was done."
            raise ProblemError(HTTPStatus.CONFLICT, fact)
        worker.interrupt()

    def stop(self) -> None:
        """End the run in progress as Ctrl-C does. No other begins."""
        with self._lock:
            self._is_stopping = True
            workers = [each for each in self._workers if not each.is_over]
        for each in workers:
            each.stop()


def no_run(run: int) -> ProblemError:
    return ProblemError(HTTPStatus.NOT_FOUND, f"There is no run {run}. The last ones: GET /runs")


def _busy(message: str, run: int | None = None) -> ProblemError:
    number = {} if run is None else {"run": run}
    return ProblemError(HTTPStatus.CONFLICT, message, error=RunInProgressError.__name__, **number)


def problem_of_answer(answer: Mapping[str, Any]) -> ProblemError:
    """The problem for the error that a worker has answered."""
    fields = {"problems": answer["problems"]} if answer.get("problems") else {}
    kind = str(answer.get("error", StoreError.__name__))
    return ProblemError(status_of(kind), str(answer.get("message", "")), error=kind, **fields)
