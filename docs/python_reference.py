"""Write the reference of the Python API from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

import audience_sync
from audience_sync import errors
from audience_sync.history.concerns import Concern, LastRun
from audience_sync.project import (
    checks,
    decisions,
    explanation,
    freezes,
    history,
    progress,
    records,
    store,
    users,
    values,
)
from audience_sync.project.http_exchange import LiveCall
from audience_sync.project.project import Project
from audience_sync.project.ramp import RampStep
from audience_sync.project.rehearsal import UpgradeRehearsal
from audience_sync.project.schedules import ProjectSchedule
from audience_sync.project.status import Status
from audience_sync.sync.values.findings import InvalidRow

#: The values by what they are of, in the order of the page.
VALUES = {
    "Runs and plans": (
        *(values.Run, values.AudienceSync, values.TraitsSync, values.Delivery, values.HeldChange, InvalidRow),
        *(values.Plan, values.PlannedDelivery, RampStep, decisions.Rejection, decisions.Rejected),
    ),
    "Progress": (progress.Loading, progress.Delivering),
    "The history": (
        *(history.PastRun, history.AudienceRun, history.RunRecord, history.PastAudienceSync, history.PastDelivery),
        *(history.RefusedCall, history.PastInvalidRow, history.PendingCalls),
    ),
    "Users": (
        *(users.Members, users.Member, explanation.UserExplanation, explanation.UserAudience, explanation.UserTrait),
        *(explanation.UserProperty, users.Suppressed, users.Unsuppressed, users.Erased, users.RemainingData),
    ),
    "State of the project": (
        *(Status, Concern, LastRun, checks.Checks, checks.ProjectCheck, LiveCall, freezes.Frozen, freezes.Unfrozen),
        ProjectSchedule,
    ),
    "The store": (
        *(store.StoreSchema, store.StoreUpgrade, UpgradeRehearsal, store.StoreChecks, store.StoreBackup),
        store.StoreCopy,
    ),
    "Tables": (records.Records, history.PastRuns),
}
INTRO = """\
# Python reference

<!-- Made by docs/generate.py from the signatures and docstrings of audience_sync. -->

Everything here is imported with `from audience_sync import Project`, and so are `Run`, `Plan` and the errors; the other
values come as answers. They are frozen and typed. [From Python](python.md) shows how to use them.

Values with `to_dict()` give the document that the command prints with `--json`. `to_frame()` gives a pandas DataFrame
(`pip install 'audience-sync[pandas]'`), `to_arrow()` an Arrow table, where pyarrow is installed.
"""
#: For the command line alone.
INTERNAL = frozenset(
    {"approved", "details", "document", "documents", "found", "metrics_server", "parts", "preview", "program", "report"}
    | {
        "scheduler",
        "secrets",
        "store_url",
        "settings",
        "counts_sends",
        "undone",
        "views",
        "plans",
        "judgement",
        "query_command",
    }
)


def python_reference() -> str:
    """The page in Markdown."""
    return "\n".join([INTRO, *_project(), *_values(), *_errors()])


def _project() -> Iterator[str]:
    yield f"## Project\n\n{_text(Project)}\n"
    for name, member in _members(Project):
        if isinstance(member, property):
            yield f"### Project.{name}\n\n```python\nproject.{name}: {_type(member)}\n```\n\n{_text(member.fget)}\n"
        else:
            yield f"### Project.{name}\n\n```python\n{_call(name, member)}\n```\n\n{_text(member)}\n"


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties of a class, in its order."""
    for name, member in vars(kind).items():
        if name.startswith("_") or name in INTERNAL:
            continue
        if isinstance(member, property) or inspect.isfunction(member) or isinstance(member, classmethod):
            yield name, member


def _call(name: str, member: Any) -> str:
    """The signature of a method, one argument a line if it is long."""
    function = member.__func__ if isinstance(member, classmethod) else member
    start = f"Project.{name}" if isinstance(member, classmethod) else f"project.{name}"
    _, *parameters = inspect.signature(function).parameters.values()
    words, is_keyword = list[str](), False
    for each in parameters:
        if each.kind is each.KEYWORD_ONLY and not is_keyword:
            words.append("*")
            is_keyword = True
        default = "" if each.default is each.empty else f" = {each.default!r}"
        words.append(f"{each.name}: {each.annotation}{default}")
    result = inspect.signature(function).return_annotation
    line = f"{start}({', '.join(words)}) -> {result}"
    if len(line) <= 88:
        return line
    return f"{start}(\n" + "".join(f"    {word},\n" for word in words) + f") -> {result}"


def _values() -> Iterator[str]:
    for title, kinds in VALUES.items():
        yield f"## {title}\n"
        for kind in kinds:
            yield f"### {kind.__name__}\n\n{_text(kind)}\n"
            rows = list(_fields(kind))
            if rows:
                yield "| name | type | |\n|---|---|---|"
                yield from (f"| `{name}` | `{of}` | {text} |" for name, of, text in rows)
                yield ""


def _fields(kind: type) -> Iterator[tuple[str, str, str]]:
    """The fields, properties and methods of a value, with the first sentence about each."""
    own = [
        each for each in kind.__mro__ if each not in (object, Struct, tuple) and each.__module__.startswith("audience")
    ]
    for each in reversed(own):
        for name, of in inspect.get_annotations(each).items():
            if not name.startswith("_") and name not in INTERNAL:
                yield name, _escaped(str(of)), ""
    for name, member in _members(kind):
        if isinstance(member, property):
            yield name, _escaped(_type(member)), _text(member.fget).replace("\n", " ")
        else:
            result = inspect.signature(member).return_annotation
            yield f"{name}()", _escaped(str(result)), _text(member).split("\n\n")[0].replace("\n", " ")


def _type(member: property) -> str:
    return str(inspect.signature(member.fget).return_annotation) if member.fget else ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _errors() -> Iterator[str]:
    yield "## Errors\n\nAll are in `audience_sync`, and in the table of [errors and exit codes](errors.md#errors).\n"
    names = [name for name in audience_sync.__all__ if isinstance(getattr(errors, name, None), type)]
    yield "| error | |\n|---|---|"
    for name in names:
        yield f"| `{name}` | {_text(getattr(errors, name)).split(chr(10) * 2)[0].replace(chr(10), ' ')} |"


def _text(item: Any) -> str:
    """A docstring in Markdown; of a value without one, nothing."""
    own = item.__doc__ if not isinstance(item, type) else vars(item).get("__doc__")
    return re.sub(r"``([^`]+)``", r"`\1`", inspect.cleandoc(own or ""))
