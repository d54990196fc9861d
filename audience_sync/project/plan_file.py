"""Read a saved plan, and write one to the file of `--out`. It replaces only another plan."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from audience_sync.errors import WrongValueError

if TYPE_CHECKING:
    from audience_sync.config.models import Settings
    from audience_sync.sync.preview.plan_file import PlanFile

#: The argument in errors.
_OUT = "out"
LARGEST_PLAN = 50_000_000  # bytes


def refuse_other_file(out: Path, settings: Settings, config: str) -> None:
    """Raise WrongValueError for a file of the project, and for an existing file that is not a plan."""
    from audience_sync.config.validate.shared_files import FileUse
    from audience_sync.project_files import output_problem

    if problem := output_problem(settings, config, [FileUse(option="--out", path=str(out), is_written=True)]):
        raise WrongValueError(_OUT, problem.message)
    if out.is_file() and not _may_be_replaced(out):
        message = f"{out} exists and is not a saved plan. It was not changed, and no plan was made. Name another file"
        raise WrongValueError(_OUT, message)


def write_plan(out: Path, text: str) -> None:
    """Write the whole plan or nothing. Only its owner can read the file, since it may contain users' data."""
    try:
        if out.exists() and not stat.S_ISREG(out.stat().st_mode):
            out.write_text(text, "utf-8")  # a pipe or a terminal
        else:
            _replace(Path(os.path.realpath(out)), text)
    except OSError as error:
        raise WrongValueError(_OUT, f"{out} can't be written: {error.strerror}") from None


def _may_be_replaced(file: Path) -> bool:
    """Whether the file is a saved plan or empty."""
    try:
        if file.stat().st_size > LARGEST_PLAN:
            return False
        text = file.read_text("utf-8")
        document = json.loads(text) if text else {"format": 0, "made_at": "", "changes": {}}
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"format", "made_at", "changes"} <= document.keys()


def _replace(file: Path, text: str) -> None:
    """Write to a temporary file in the same folder, then rename it."""
    number, unfinished = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")  # with the owner's rights alone
    try:
        with open(number, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        os.replace(unfinished, file)
    except BaseException:
        with suppress(OSError):
            os.unlink(unfinished)
        raise


def read_plan(file: Path) -> PlanFile:
    """Read a saved plan. Raises WrongValueError if it can't be used."""
    from audience_sync.errors import PlanError
    from audience_sync.sync.preview.plan_file import saved_plan

    try:
        if file.stat().st_size > LARGEST_PLAN:
            raise PlanError(f"it is larger than {LARGEST_PLAN:,} bytes, the largest size of a plan")
        return saved_plan(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, PlanError) as error:
        raise WrongValueError("plan", f"{file} can't be used: {error}") from None
