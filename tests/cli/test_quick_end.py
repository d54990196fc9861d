"""A process ends without freeing its objects, after its exit handlers and with everything written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import atexit, sys
from audience_sync.cli.base.process import end_quickly

class Loud:
    def __del__(self):
        print("freed")

if "earlier" in sys.argv:
    atexit.register(print, "earlier handler")
set_exit_code, kept = end_quickly(), Loud()
atexit.register(print, "handler")
print("answer")
if len(sys.argv) > 1:
    set_exit_code(int(sys.argv[1]))
"""


def ended(*arguments: str, stdout: str = "") -> tuple[int, str]:
    """The exit code and the output of the script, which is in the file ``stdout`` if that is named."""
    command = [sys.executable, "-c", SCRIPT, *arguments]
    with Path(stdout or os.devnull).open("w") as file:
        out = file if stdout else subprocess.PIPE
        done = subprocess.run(command, env=buffered(), stdout=out, stderr=subprocess.DEVNULL, text=True)
    return done.returncode, done.stdout


def buffered() -> dict[str, str]:
    """The environment without the variable that makes Python write everything at once."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def test_a_process_ends_with_its_code_after_its_exit_handlers() -> None:
    assert ended("3") == (3, "answer\nhandler\n")


def test_a_handler_that_was_there_earlier_is_called() -> None:
    assert ended("3", "earlier") == (0, "answer\nhandler\nearlier handler\nfreed\n")


def test_a_process_without_a_code_ends_as_any_other() -> None:
    assert ended() == (0, "answer\nhandler\nfreed\n")


def test_an_answer_that_cannot_be_written_is_a_failure() -> None:
    code, _ = ended("0", stdout="/dev/full")
    assert code == 120
