"""Let one run at a time write: a lease in the store, and a token that every commit checks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Row, select, update

from audience_sync.errors import LeaseLostError, RunInProgressError, StoreError, StoreUnavailableError
from audience_sync.store.connection.engine import RECONNECT_SECONDS, Store
from audience_sync.store.connection.process_identity import busy_message, current_process, is_dead
from audience_sync.store.tables import lease
from audience_sync.store.tables.types import database_clock

#: Seconds without renewal after which the lease expires. The variable is for tests and unusual networks; at least 1.
TIME_TO_LIVE = 60.0
TIME_TO_LIVE_VARIABLE = "AUDIENCE_SYNC_LEASE_SECONDS"
#: Attempts at a transaction whose connection breaks.
MAX_ATTEMPTS = 5
#: Seconds by which a synchronised clock may step back at once.
CLOCK_STEP = 1.0
Result = TypeVar("Result")
_LOST = (
    "This run lost its lock because it did not renew it in time (the machine may have slept). It stopped. "
    "Another run continues from the committed changes. There is nothing to do."
)
#: Counts while the machine is suspended. Linux's monotonic clock does not.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _now() -> float:
    return time.clock_gettime(_CLOCK)


def _seconds_to_live() -> float:
    """The time to live, from the variable if it is set. Raises StoreError unless that is a number, 1 or more."""
    given = os.environ.get(TIME_TO_LIVE_VARIABLE, "")
    try:
        seconds = float(given) if given else TIME_TO_LIVE
    except ValueError:
        seconds = 0.0
    if not 1.0 <= seconds < float("inf"):
        raise StoreError(f"{TIME_TO_LIVE_VARIABLE} is {given!r}: it has to be a number of seconds, 1 or more.")
    return seconds


class Lease:
    """The right to write, until ``release``.

    It is renewed in the background and with every transaction. An owner that was stopped or suspended for too long
    may have been replaced: its next transaction or ``confirm`` raises LeaseLostError.
    """

    def __init__(
        self,
        store: Store,
        token: int,
        *,
        time_to_live: float,
        clock: Callable[[], float],
        renewed: float,
    ) -> None:
        self._store = store
        self._token = token
        self._time_to_live = time_to_live
        self._clock = clock
        self._renewed = renewed
        self._writes: list[Callable[[Connection], None]] = []
        self._stopped = threading.Event()
        self._renewal_thread = threading.Thread(target=self._renew_periodically, name="lease", daemon=True)
        self._renewal_thread.start()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A writing transaction. It raises LeaseLostError and changes nothing if the lease was lost."""
        with self._store.writing() as connection:
            renewed = self._clock()  # at the start: a long transaction does not extend the lease
            self._renew(connection)
            yield connection
        self._renewed = renewed

    def transact(
        self,
        write: Callable[[Connection], Result],
        done: Callable[[Connection], Result | None] = lambda connection: None,
    ) -> Result:
        """Run ``write`` in a writing transaction, again if the connection breaks. Returns its result.

        After a broken attempt ``done`` reads whether it was committed, and returns its result or None. Without
        ``done``, ``write`` has to be safe to repeat.
        """
        return _transact_with_retry(self.transaction, write, done)

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that writes nothing."""
        return self._store.reading()

    @contextmanager
    def renewing(self, write: Callable[[Connection], None]) -> Iterator[None]:
        """A context in which each renewal in the background calls ``write``, too, in its transaction."""
        self._writes.append(write)
        try:
            yield
        finally:
            self._writes.remove(write)

    def confirm(self) -> None:
        """Raise LeaseLostError if another run may own the lease. Called before every request."""
        if self._clock() - self._renewed > self._time_to_live / 2:
            with self.transaction():
                pass

    def release(self) -> None:
        self._stopped.set()
        self._renewal_thread.join()
        _transact_with_retry(self._store.writing, partial(release_row, token=self._token), lambda connection: None)

    def check(self, connection: Connection) -> None:
        """Raise LeaseLostError if another run owns the lease, as this reading transaction sees it."""
        if _read_row(connection).token != self._token:
            raise LeaseLostError(_LOST)

    def _renew(self, connection: Connection) -> None:
        mine = (lease.c.id == 1) & (lease.c.token == self._token)
        renewed = update(lease).where(mine).values(expires_at=database_clock() + self._time_to_live)
        if connection.execute(renewed).rowcount != 1:
            raise LeaseLostError(_LOST)

    def _renew_periodically(self) -> None:
        while not self._stopped.wait(self._time_to_live / 4):
            try:
                with self.transaction() as connection:
                    for write in tuple(self._writes):
                        write(connection)
            except StoreError:  # the next transaction or request raises it
                continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.release()
        except StoreError:  # it expires by itself
            return


def acquire(store: Store, *, time_to_live: float | None = None, clock: Callable[[], float] = _now) -> Lease:
    """Acquire the lease if it is free, expired, or owned by a dead process of this machine.

    ``time_to_live``: seconds; None = the variable, or TIME_TO_LIVE. Raises RunInProgressError, which names the
    owner, if another process owns it.
    """
    seconds = _seconds_to_live() if time_to_live is None else time_to_live
    with store.reading() as connection:  # fails at once, even while the owner's transaction locks writers out
        _refuse_owned(_read_row(connection))
    tokens = []

    def write(connection: Connection) -> tuple[float, int]:
        renewed = clock()
        tokens.append(acquire_row(connection, seconds))
        return renewed, tokens[-1]

    def done(connection: Connection) -> tuple[float, int] | None:
        row = _read_row(connection)
        is_mine = row.holder == current_process() and row.token in tokens
        return (clock() - (seconds - (row.expires_at - row.now)), row.token) if is_mine else None

    renewed, token = _transact_with_retry(store.writing, write, done)
    return Lease(store, token, time_to_live=seconds, clock=clock, renewed=renewed)


def _transact_with_retry(
    begin: Callable[[], AbstractContextManager[Connection]],
    write: Callable[[Connection], Result],
    done: Callable[[Connection], Result | None],
) -> Result:
    """See ``Lease.transact``. The wait for a database that stays unreachable happens once, not in each attempt."""
    until = time.monotonic() + RECONNECT_SECONDS
    for attempt in range(MAX_ATTEMPTS):
        try:
            with begin() as connection:  # waits for the database
                kept = done(connection) if attempt else None
                return write(connection) if kept is None else kept
        except StoreUnavailableError:
            if attempt == MAX_ATTEMPTS - 1 or time.monotonic() >= until:
                raise
    raise AssertionError("unreachable")


def acquire_row(connection: Connection, seconds: float = TIME_TO_LIVE) -> int:
    """Acquire the lease within a writing transaction; returns the token. Raises RunInProgressError.

    No other process can acquire it until the transaction ends, however long that takes.
    """
    row = _read_row(connection)
    _refuse_owned(row)
    values = {
        "token": row.token + 1,
        "holder": current_process(),
        "acquired_at": row.now,
        "expires_at": row.now + seconds,
        "time_to_live": seconds,
    }
    # The expiry too: on PostgreSQL its owner may have renewed it in a long transaction meanwhile.
    seen = (lease.c.token == row.token) & (lease.c.expires_at == row.expires_at)
    if connection.execute(update(lease).where(seen).values(values)).rowcount != 1:
        _refuse_owned(_read_row(connection))
        raise RunInProgressError("Another run is in progress. Nothing was done.\nTry again later.")
    return int(values["token"])


def release_row(connection: Connection, token: int) -> None:
    """Release the lease that ``acquire_row`` acquired, in the same transaction or a later one."""
    mine = (lease.c.id == 1) & (lease.c.token == token)
    connection.execute(update(lease).where(mine).values(holder="", expires_at=0))


def _read_row(connection: Connection) -> Row[Any]:
    return connection.execute(select(lease, database_clock().label("now"))).one()


def is_run_in_progress(connection: Connection) -> bool:
    """Whether a process owns the lease now."""
    return _is_owned(_read_row(connection))


def refuse_while_in_progress(connection: Connection) -> None:
    """Raise RunInProgressError if a process owns the lease now."""
    _refuse_owned(_read_row(connection))


def _is_owned(row: Row[Any]) -> bool:
    """Whether the lease is in force. One that expires too far ahead dates from before the clock was set back."""
    seconds_left = row.expires_at - row.now
    longest = TIME_TO_LIVE if row.time_to_live is None else row.time_to_live
    return bool(row.holder and 0 < seconds_left <= longest + CLOCK_STEP and not is_dead(row.holder))


def _refuse_owned(row: Row[Any]) -> None:
    if _is_owned(row):
        raise RunInProgressError(busy_message(row.holder, row.acquired_at))
