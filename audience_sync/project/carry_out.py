"""Carry out runs and previews of them: open the project, run, finish, and read what the answer needs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from audience_sync.errors import UnknownNameError
from audience_sync.project.access import Access
from audience_sync.project.run_details import preview_details, read_details
from audience_sync.project.values import Plan, Run
from audience_sync.store.runs.runs import command_and_start
from audience_sync.sync.values.request import ProgressListener, Resync, Retry, RunRequest, Undo
from audience_sync.text import unknown_name_message

if TYPE_CHECKING:
    from audience_sync.config.models import Settings
    from audience_sync.sync.repeat.inputs import ConfigInputs
    from audience_sync.sync.run import PlanReview
    from audience_sync.sync.values.request import RunDependencies

Frames = Mapping[str, Any]


def carry_out(
    access: Access,
    request: RunRequest,
    progress: ProgressListener,
    *,
    upgrade: bool = False,
    review: PlanReview | None = None,
    inputs: ConfigInputs | None = None,
    frames: Frames | None = None,
) -> Run:
    """Make a run by the config, with its alerts and metrics.

    ``review`` receives what the run would do before anything is written, and may refuse it by raising. ``inputs``: the
    config's text, read before; then the next run may repeat this one.
    """
    from audience_sync.project.after_run import alert_on_failure, finish_run
    from audience_sync.project.opening import open_for_run
    from audience_sync.sync.repeat.eligible import files_read, files_written, is_settled
    from audience_sync.sync.repeat.inputs import read_run_inputs
    from audience_sync.sync.repeat.repeat_run import keep_result
    from audience_sync.sync.run import sync

    settings = access.settings()
    _refuse_unknown_destination(request, settings)
    files = files_read(settings) if inputs else None
    before = read_run_inputs(inputs, files, files_written(settings)) if inputs and files is not None else None
    with alert_on_failure(settings), open_for_run(settings, upgrade=upgrade) as (parts, is_new):
        with _with_frames(settings, parts, frames) as whole:
            report = replace(sync(whole, request, progress, review=review), store_is_new=is_new)
        finish_run(settings, parts.store, request, report)
        with parts.store.reading() as connection:
            details = read_details(connection, settings, report, access.config.name)
            settled = before is not None and is_settled(connection, settings, report)
        if before is not None and settled:
            keep_result(parts.store, before, report)
        return Run(report=report, details=details, store=parts.store.label)


def preview(
    access: Access,
    request: RunRequest,
    progress: ProgressListener,
    *,
    counts_sends: bool = False,
    frames: Frames | None = None,
) -> Plan:
    """Plan a run without changing anything. ``counts_sends``: count the users by value for each destination."""
    from audience_sync.project.opening import open_to_read
    from audience_sync.project.plan_requests import take_requests
    from audience_sync.sync.preview.plan import preview_run

    settings = access.settings()
    with open_to_read(settings) as parts:
        with _with_frames(settings, parts, frames) as whole:
            found = preview_run(whole, request, progress, counts_sends=counts_sends)
        with parts.store.reading() as connection:
            details = preview_details(connection, settings, found.findings, access.config.name)
            undone = command_and_start(connection, request.undone_run) if isinstance(request, Undo) else None
    shown, requests = take_requests(found, settings.secrets)
    return Plan(
        preview=shown,
        details=details,
        requests=requests,
        counts_sends=counts_sends,
        undone=undone,
    )


def _with_frames(
    settings: Settings, parts: RunDependencies, frames: Frames | None
) -> AbstractContextManager[RunDependencies]:
    if frames is None:
        return nullcontext(parts)
    from audience_sync.project.frames import with_frames

    return with_frames(settings, parts, frames)


def _refuse_unknown_destination(request: RunRequest, settings: Settings) -> None:
    match request:
        case Resync(destination=str(name)) | Retry(destination=str(name)) if name not in settings.destinations:
            raise UnknownNameError(unknown_name_message("destination", name, settings.destinations))
