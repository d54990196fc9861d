"""The process that carries out one request of `audience-sync serve`: work on stdin, events on stdout."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from audience_sync.cli.base.shutdown import stop_within
from audience_sync.errors import FAILED, INTERRUPTED, AudienceSyncError, ConfigError, summarize_error
from audience_sync.serve.worker import ENDS_WITHIN

if TYPE_CHECKING:
    from audience_sync.project.project import Project

log = logging.getLogger("audience_sync.serve")


def main(arguments: list[str]) -> int:
    """Wait for the work, and do it. ``arguments``: the session's options as JSON."""
    _let_interrupts_end_it()
    try:
        return _carry_out(arguments[0])
    except KeyboardInterrupt:  # before it has begun
        return INTERRUPTED


def _carry_out(options: str) -> int:
    from audience_sync.cli.base.errors import add_secrets, masked_text
    from audience_sync.cli.base.session import Session
    from audience_sync.project.project import Project
    from audience_sync.project.values import Run

    session = Session(**json.loads(options))
    session.set_up()
    text = sys.stdin.read()
    if not text:  # the server ended before it gave the work
        return INTERRUPTED
    work = json.loads(text)
    project = Project(session.config, env=session.environment, report_secrets=add_secrets)
    try:
        found = getattr(project, work["method"])(**work["arguments"], progress=lambda event: _send({"event": "begun"}))
        if isinstance(found, Run):
            log.info("run %s %s in %.1f s", found.number, found.status, found.seconds)
        result = {"run": found.number} if isinstance(found, Run) else found.to_dict()
        _send({"event": "ended", "result": result})
    except KeyboardInterrupt:
        _post_interrupted(project)
        _send({"event": "ended", "error": "KeyboardInterrupt", "message": "The run was cancelled."})
        return INTERRUPTED
    except AudienceSyncError as error:
        log.log(logging.ERROR if error.exit_code == FAILED else logging.INFO, "%s", error)
        problems = [{"path": each.path, "message": each.message} for each in _problems(error)]
        _send({"event": "ended", "error": type(error).__name__, "message": str(error), "problems": problems})
    except Exception as error:
        message = f"An unexpected error: {summarize_error(error, masked_text)}."
        log.error("%s", message)
        _send({"event": "ended", "error": "UnexpectedError", "message": message})
    return 0


def _let_interrupts_end_it() -> None:
    """Behave as a command does: the parent may have been started with signals ignored.

    A second signal is ignored, as it would break off the record of the run. A request may be cancelled again, and
    systemd ends the server and this process at once.
    """
    signals = (signal.SIGINT, signal.SIGTERM)

    def interrupt(*_: object) -> NoReturn:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each in signals:
        signal.signal(each, interrupt)
    stop_within(ENDS_WITHIN)


def _send(event: Mapping[str, Any]) -> None:
    """Write an event. If the server has died, the run continues without it."""
    import msgspec

    with suppress(OSError, ValueError):
        sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
        sys.stdout.buffer.flush()


def _problems(error: AudienceSyncError) -> tuple[Any, ...]:
    return error.problems if isinstance(error, ConfigError) else ()


def _post_interrupted(project: Project) -> None:
    """Post the webhook about the run that was cancelled: no later run may come soon."""
    from audience_sync.project.after_run import post_waiting

    with suppress(AudienceSyncError, KeyboardInterrupt):
        post_waiting(project.settings)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    with suppress(OSError, ValueError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
