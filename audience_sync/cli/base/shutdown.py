"""End the process within a time limit after SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
import time

from audience_sync.cli.base.errors import print_error
from audience_sync.errors import INTERRUPTED

#: Seconds after SIGTERM or Ctrl-C. Process managers wait 20 s (docs/scheduling/) before they kill.
PATIENCE = 15.0


def stop_within(seconds: float = PATIENCE) -> None:
    """End the process at most this long after SIGTERM or SIGINT, exit handlers included.

    Python's own handler waits until the main thread's query or answer ends. After this limit the process stops as by
    `kill -9`: a batch may lack its answer, and the next run sends it again with the same message ids.
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
