"""End a command that failed with a message (fact, effect, and the fix below) and an exit code."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import click

from audience_sync.command_line import given_options, with_options
from audience_sync.errors import (
    FAILED,
    INTERRUPTED,
    OK,
    USAGE,
    AudienceSyncError,
    ConfigError,
    NoConfigError,
    Problem,
    RunInProgressError,
    is_memory_error,
    summarize_error,
)

#: Words that can begin a message and are not names: a label makes them lower case.
_OPENINGS = frozenset(
    {"A", "An", "Another", "Argument", "Got", "Invalid", "It", "Its", "Missing", "No", "Nothing", "Option"}
    | {"Run", "That", "The", "There", "This"}
)
_INTERRUPTED = "Interrupted. Every answer received so far is recorded. The next run sends the rest."

_secrets: list[str] = []


def add_secrets(values: Iterable[str]) -> None:
    """Mask these values in every later message, too. Values of a config that was not used stay masked."""
    _secrets[:] = sorted({*_secrets, *values}, key=len, reverse=True)


def run(command: click.Command) -> int:
    """Run a command and return its exit code. Every error becomes a message on stderr."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.excepthook = _report_thread_error
    try:
        result = command.main(standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else OK
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message(), file=sys.stderr)
        return _fail(None, "no command was given", USAGE)
    except click.ClickException as error:
        message, help_of = _usage_message(error)
        return _fail(labelled(f"{message}\n{help_of}" if help_of else message), message, USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _fail(_INTERRUPTED, _INTERRUPTED, INTERRUPTED, level=logging.WARNING)
    except BrokenPipeError:  # the reader of the pipe has closed it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """Report an error that is not about the command line itself. Returns the exit code."""
    if not isinstance(error, ConfigError) and _folder_was_removed():
        what = "the folder that the command was started in was removed. Nothing was loaded or sent."
        return _fail(labelled(f"{what}\nChange into an existing folder and run again."), what, USAGE)
    if isinstance(error, AudienceSyncError):
        problems = error.problems if isinstance(error, ConfigError) else ()
        return _fail(message_of(error), str(error), error.exit_code, problems)
    what, remedy = "unexpected error", "Run again with -v and report the output."
    if is_memory_error(error):
        what = "there was not enough memory"
        remedy = (
            "Give the process more memory (`ulimit -v`, a container's limit), or lower `memory_limit` in the config."
        )
    elif isinstance(error, RecursionError):
        what = "a value is nested too deeply"
    what = f"{what}: {summarize_error(error, masked_text)}"
    effect = "Committed changes are kept; the next run continues from them."
    _fail(labelled(f"{what}. {effect}\n{remedy}"), what, FAILED)
    if logging.getLogger("audience_sync").isEnabledFor(logging.DEBUG):
        import traceback

        print_error("".join(traceback.format_tb(error.__traceback__)))
    return FAILED


def _fail(
    text: str | None, message: str, code: int, problems: Sequence[Problem] = (), *, level: int = logging.ERROR
) -> int:
    """Print the text on stderr and, with --json, a document with the message on stdout. Returns the exit code."""
    if text is not None:
        print_error(text, level)
    if "--json" in sys.argv:
        from audience_sync.cli.base.output import print_json

        message = " ".join(masked_text(message).split()) if "\n" in message else masked_text(message)
        found = [{"path": each.path, "message": masked_text(each.message)} for each in problems]
        print_json({"status": "failed", "exit_code": code, "error": message, "problems": found})
    return code


def print_error(message: str, level: int = logging.ERROR) -> None:
    """Print a message on stderr without secrets, or log it if the log is JSON."""
    if os.environ.get("AUDIENCE_SYNC_LOG") == "json" and logging.getLogger().handlers:
        logging.getLogger("audience_sync").log(level, message)  # masked by the handler
    else:
        print(text_for_people(message), file=sys.stderr)


def labelled(message: str, label: str = "error") -> str:
    """Format a message for stderr: ``error: fact. effect.``, with the fix (further lines) indented below."""
    first, *others = _without_capital(message.strip()).splitlines() or [""]
    return "\n".join([f"{label}: {first}", *(line if line.startswith("  ") else f"  {line}" for line in others)])


def _usage_message(error: click.ClickException) -> tuple[str, str]:
    """The message about a wrong option, argument or command, and the help that lists the right ones."""
    context = getattr(error, "ctx", None)
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        possible = error.possibilities or []
        close = get_close_matches(error.option_name, possible, cutoff=0.75) or possible
        of = f" for `{context.info_name}`" if context and context.parent else ""
        message = f"there is no option `{error.option_name}`{of}."
        if close:
            one_of = "" if len(close) == 1 else "one of "
            message += f" Did you mean {one_of}{', '.join(f'`{each}`' for each in close)}?"
    return _without_capital(message), f"Help: {context.command_path} --help" if context else ""


def _without_capital(message: str) -> str:
    """Make the first letter lower case, for use after a label, unless the message begins with a name."""
    return message[0].lower() + message[1:] if message.partition(" ")[0] in _OPENINGS else message


def text_for_people(message: str) -> str:
    """The message without secrets. The commands in it have the options of this project."""
    return with_options(masked_text(message), given_options())


def masked_text(message: str) -> str:
    """The message without the config's secrets."""
    from audience_sync.redaction.secrets import mask_secrets

    return mask_secrets(message, _secrets)


def _terminate(_signal: int, _frame: object) -> None:
    """End as Ctrl-C does. A second SIGTERM, such as one from systemd and one from a parent, breaks off no record."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def message_of(error: AudienceSyncError) -> str:
    """The message about an error, for stderr."""
    if isinstance(error, NoConfigError):
        create = "Create an example project: audience-sync init my-project"
        name = "Or name the file: audience-sync --config FILE sync"
        return labelled(f"{error.problems[0].path} does not exist. Nothing was loaded or sent.\n{create}\n{name}")
    if isinstance(error, ConfigError):
        count = len(error.problems)
        if count == 1 and "\n" in (message := error.problems[0].message):  # it has its own effect and fix
            return labelled(message.replace("\n    ", "\n  "))
        problems = "\n".join(f"  {problem}" for problem in error.problems)
        fact = f"{error.subject} has {count} problem{'s' * (count != 1)}. {error.effect}"
        return labelled(f"{fact}\n{problems}")
    if isinstance(error, RunInProgressError):  # an answer rather than a failure
        first, *others = str(error).splitlines()
        return "\n".join([first, *(f"  {line.strip()}" for line in others)])
    return labelled(str(error))


def _report_thread_error(ended: threading.ExceptHookArgs) -> None:
    """Report an error of a thread without secrets. Python would print all values that it quotes."""
    if ended.exc_value is not None:
        print_error(
            labelled(f"a thread ended with an unexpected error: {summarize_error(ended.exc_value, masked_text)}.")
        )


def _folder_was_removed() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False
