"""Turn what became of a run into counts for an orchestrator, and into the error that it has to handle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from audience_sync.errors import HeldError, PartialError, RunFailedError

if TYPE_CHECKING:
    from audience_sync import Run


def counts_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """The counts of a run, without ids and values of users: from the document of ``sync --json``, or of the server.

    ``audiences`` and ``destinations`` are by key and name.
    """
    per_audience = ("status", "members", "entered", "left", "invalid")
    audiences = {each["key"]: {name: each[name] for name in per_audience} for each in run["audiences"]}
    per_destination = ("delivered", "refused", "pending")
    return {
        "run": run["run"],
        "status": run["status"],
        "entered": sum(each["entered"] for each in audiences.values()),
        "left": sum(each["left"] for each in audiences.values()),
        "traits_changed": run["traits"]["changed"],
        "audiences": audiences,
        "destinations": {each["name"]: {name: each[name] for name in per_destination} for each in run["destinations"]},
        "seconds": run["seconds"],
    }


def require_success(run: Run, warn: Callable[[str], None]) -> None:
    """Raise HeldError or RunFailedError. Pending and refused calls are a warning: the next run continues with them."""
    try:
        run.raise_for_status()
    except PartialError as error:
        warn(str(error))


def require_served_success(run: Mapping[str, Any], warn: Callable[[str], None]) -> None:
    """The same, for a run of ``audience-sync serve``. One that was interrupted has failed."""
    number = run["run"]
    match run["status"]:
        case "failed" | "interrupted" as status:
            what = "failed" if status == "failed" else "was interrupted"
            raise RunFailedError(f"Run {number} {what}. {run['error'] or ''}".strip(), number)
        case "held":
            reasons = [line for each in run["holds"] for line in (each["reason"], *each["commands"])]
            raise HeldError("\n  ".join([f"Run {number}: a guard holds changes.", *reasons]), number)
        case "partial":
            for each in run["destinations"]:
                if each["pending"] or each["refused"]:
                    counts = f"{each['pending']:,} calls are pending, {each['refused']:,} are refused"
                    warn(f"{each['name']}: {counts}. The next run sends the pending ones.")
