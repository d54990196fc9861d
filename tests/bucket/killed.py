"""Run a command of ``audience-sync`` that kills itself at a named instant around its objects.

python -m bucket.killed INSTANT sync --json
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

#: The folder of the packages of tests, for ``PYTHONPATH``.
TESTS = Path(__file__).parents[1]
#: By instant: the module and the function before or after which the process dies.
INSTANTS = {
    "before an object is put": ("snapshots.objects", "put_object", "before"),
    "after an object is put": ("snapshots.objects", "put_object", "after"),
    "before the commit": ("maintenance.state", "place_files", "after"),
    "in the commit": ("maintenance.state", "save_places", "after"),
    "after the commit": ("maintenance.state", "delete_unused", "before"),
    "after objects are deleted": ("maintenance.state", "delete_objects", "after"),
}
#: The same while a user is erased.
ERASURES = {
    "after an object is put again": ("snapshots.objects", "put_object", "after"),
    "before the commit of an erasure": ("maintenance.state", "put_again", "after"),
    "after the commit of an erasure": ("maintenance.state", "delete_all_unused", "before"),
    "after the objects with the user are deleted": ("maintenance.state", "delete_all_unused", "after"),
}


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def killing(function: Callable[..., Any], when: str) -> Callable[..., Any]:
    def killed(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            function(*arguments, **options)
        die()

    return killed


def main() -> None:
    instant, *arguments = sys.argv[1:]
    module, name, when = (INSTANTS | ERASURES)[instant]
    import importlib

    patched = importlib.import_module(f"audience_sync.store.{module}")
    setattr(patched, name, killing(getattr(patched, name), when))
    from audience_sync.cli import main as run_command

    sys.argv = ["audience-sync", *arguments]
    run_command()


if __name__ == "__main__":
    main()
