"""How does a process end in time, whatever it is at?"""

from __future__ import annotations

import os
import signal
import threading
import time

from audience_sync.cli.base.errors import INTERRUPTED, print_error

#: Seconds after SIGTERM or Ctrl-C; those who start us wait for 20 (docs/scheduling/) before they kill.
PATIENCE = 15.0


def stop_within(seconds: float = PATIENCE) -> None:
    """From now on the process ends so long after SIGTERM or SIGINT at the latest, what is done at its exit included.

    Python's own handler waits for what the main thread is at, a query or an answer. What is left behind then is what
    `kill -9` leaves: a batch without an answer, which the next run sends again with the same message ids.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_exit_after_signal, args=(reading, seconds), name="stopping", daemon=True).start()


def _exit_after_signal(signals: int, seconds: float) -> None:
    while os.read(signals, 1)[0] not in (signal.SIGTERM, signal.SIGINT):
        pass
    time.sleep(seconds)
    print_error(
        f"Stopped at once: the work in progress did not end within {seconds:g} s. The next run continues from it."
    )
    os._exit(INTERRUPTED)
