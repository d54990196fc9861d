"""How does a process that stays end in time, whatever it is at?"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from audience_sync.cli.errors import INTERRUPTED, say


@contextmanager
def stops_within(seconds: float) -> Iterator[None]:
    """Once SIGTERM or SIGINT has come, the process ends after so long at the latest.

    Python's own handler waits for what the main thread is at, a query or an answer. What is left behind then is what
    `kill -9` leaves: a batch without an answer, which the next run sends again with the same message ids.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(reading, seconds), name="stopping", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        watcher.join()
        os.close(reading)


def _watch(signals: int, seconds: float) -> None:
    while came := os.read(signals, 1):
        if came[0] in (signal.SIGTERM, signal.SIGINT):
            break
    else:
        return
    ended, _, _ = select.select([signals], [], [], seconds)
    if not ended:
        say(f"Stopped at once: what was under way did not end within {seconds:g} s. The next run goes on from there.")
        os._exit(INTERRUPTED)
