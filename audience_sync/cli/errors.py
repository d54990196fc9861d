"""How does the command end when something is wrong? A message that says what to do, and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from io import StringIO

import click

from audience_sync.cli.streams import for_programs
from audience_sync.errors import (
    AudienceSyncError,
    ConfigError,
    ForgottenError,
    FrozenError,
    PlanError,
    Problem,
    RetiredError,
    RunInProgressError,
    UnknownKeyError,
    UnknownNameError,
    in_short,
)

OK, UNDELIVERED, USAGE, FAILED, HELD, BUSY = 0, 1, 2, 3, 4, 5
INTERRUPTED = 130
_INTERRUPTED = "Interrupted. What was answered is kept; the next run goes on from there."

_secrets: list[str] = []


def keep_secret(values: Iterable[str]) -> None:
    """From now on these values are masked in every message, too: of several configs, one may not have been taken."""
    _secrets[:] = sorted({*_secrets, *values}, key=len, reverse=True)


def run(command: click.Command) -> int:
    """Run a command; every error becomes a message on stderr and a code."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.excepthook = _in_a_thread
    try:
        result = command.main(standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else OK
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        shown = StringIO()
        error.show(file=shown)
        say(shown.getvalue().rstrip())
        _answer(error.format_message(), USAGE)
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        say(_INTERRUPTED, logging.WARNING)
        _answer(_INTERRUPTED, INTERRUPTED)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except AudienceSyncError as error:
        say(message_of(error))
        _answer(str(error), code_of(error), getattr(error, "problems", ()))
        return code_of(error)
    except Exception as error:
        return _unexpected(error)


def say(message: str, level: int = logging.ERROR) -> None:
    """A message on stderr, without secrets; a line of the log where that is for programs."""
    if os.environ.get("AUDIENCE_SYNC_LOG") == "json" and logging.getLogger().handlers:
        logging.getLogger("audience_sync").log(level, message)  # masked by the handler
    else:
        print(masked_text(message), file=sys.stderr)


def masked_text(message: str) -> str:
    """The message without the config's secrets."""
    from audience_sync.config.secrets import masked

    return masked(message, _secrets)


def _terminate(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def code_of(error: AudienceSyncError) -> int:
    """The exit code that says what the caller is to do."""
    match error:
        case ConfigError() | ForgottenError() | FrozenError() | PlanError() | RetiredError() | UnknownNameError():
            return USAGE
        case RunInProgressError():
            return BUSY
        case _:
            return FAILED


def message_of(error: AudienceSyncError) -> str:
    if isinstance(error, ConfigError):
        lines = "\n".join(f"  {problem}" for problem in error.problems)
        count = len(error.problems)
        return f"The config has {count} problem{'s' * (count != 1)}. Nothing was loaded or sent.\n{lines}"
    return f"error: {error}" if isinstance(error, UnknownKeyError) else str(error)


def _answer(message: str, code: int, problems: Sequence[Problem] = ()) -> None:
    """A program that asked for JSON gets one document, also when there is no answer."""
    if "--json" not in sys.argv:
        return
    import json

    found = [{"path": each.path, "message": masked_text(each.message)} for each in problems]
    for_programs(sys.stdout)
    document = {"status": "failed", "exit_code": code, "error": masked_text(message), "problems": found}
    print(json.dumps(document, indent=2, ensure_ascii=False))


def _in_a_thread(ended: threading.ExceptHookArgs) -> None:
    """Python would print the error as it is, with whatever it quotes."""
    if ended.exc_value is not None:
        say(f"A thread ended by an error that audience-sync did not expect: {in_short(ended.exc_value, masked_text)}")


def _unexpected(error: Exception) -> int:
    what = f"An error that audience-sync did not expect: {in_short(error, masked_text)}"
    say(
        f"{what}\nWhat was committed stands, and the next run goes on from there. Run again with -v for the details, "
        "and please report it."
    )
    _answer(what, FAILED)
    if logging.getLogger("audience_sync").isEnabledFor(logging.DEBUG):
        import traceback

        say("".join(traceback.format_tb(error.__traceback__)))
    return FAILED
