"""Run the server of `serve`: its token, its project, the processes of its runs, and its scheduler."""

from __future__ import annotations

import ctypes
import json
import logging
import shlex
import signal
import subprocess
import sys
import threading

from audience_sync.cli.base.errors import print_error, text_for_people
from audience_sync.cli.base.session import Session
from audience_sync.cli.wiring.web import Listener, access_of, open_socket
from audience_sync.schedule.entries import schedule_entries
from audience_sync.serve.app import make_service, serve_app
from audience_sync.serve.worker import PATIENCE, Worker
from audience_sync.web.serve import serve

log = logging.getLogger("audience_sync.serve")

#: Of Linux's prctl.
PR_SET_PDEATHSIG = 1
#: Seconds before a scheduler that has ended is started again.
RESTART_AFTER = 10.0


def run_server(session: Session, listener: Listener, *, schedules: bool) -> None:
    """Serve until Ctrl-C or SIGTERM. Raises ConfigError with every problem, and click.ClickException."""
    access = access_of(listener, cookie="audience_sync_serve", always_token=True)
    options = shlex.join(session.options)

    def start_worker() -> Worker:
        return Worker([sys.executable, "-m", "audience_sync.cli.wiring.serve_worker", _session_json(session)])

    if schedules:
        schedule_entries(session.project.settings)  # raises ConfigError without one
    service = make_service(session.project, start_worker, options=options, mask=text_for_people)
    with open_socket(listener) as opened:
        scheduler = Scheduler(session) if schedules else None

        def announce(address: str) -> None:
            if session.as_json:
                session.answer({"address": address}, lambda _: [])
            else:
                asks = "Every request but GET /health asks for the token. Ctrl-C ends it."
                print_error(f"Serving: {address}\n{asks}", logging.INFO)

        stop = scheduler.stop if scheduler else lambda: None
        try:
            serve(serve_app(service, access, on_stop=stop), opened, announce=announce)
        finally:
            if scheduler:
                scheduler.wait()


def _session_json(session: Session) -> str:
    options = {"config": session.config, "environment": session.environment, "verbose": session.verbose}
    return json.dumps(options)


def _end_with_parent() -> None:
    """Let Linux send SIGTERM to this process when the one that started it ends, also by a kill."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Scheduler:
    """`audience-sync schedule` in a process of its own, which is started again if it ends by itself."""

    def __init__(self, session: Session) -> None:
        self._command = [sys.executable, "-m", "audience_sync", *session.options, "schedule"]
        self._stopped = threading.Event()
        self._process = self._start()
        self._thread = threading.Thread(target=self._watch, name="scheduler", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin to end it and its run, as SIGTERM does."""
        self._stopped.set()
        self._process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and kill it if that takes too long."""
        self.stop()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def _watch(self) -> None:
        while True:
            code = self._process.wait()
            if self._stopped.is_set():
                return
            log.error("the scheduler ended with code %s. It is started again in %g s", code, RESTART_AFTER)
            if self._stopped.wait(RESTART_AFTER):
                return
            self._process = self._start()
