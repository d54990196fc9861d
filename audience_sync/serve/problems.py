"""Answer errors as problem documents (RFC 9457), with the messages of the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from audience_sync.errors import (
    AudienceSyncError,
    ConfigError,
    PlanError,
    RunInProgressError,
    WrongUseError,
)

MEDIA_TYPE = "application/problem+json"
#: Seconds after which a client may ask again while another run is in progress.
RETRY_AFTER = 10


class ProblemError(AudienceSyncError):
    """A request can't be carried out. ``status``: of HTTP. ``fields``: more members of the document."""

    def __init__(self, status: int, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status, self.fields = status, fields


def status_of(kind: str) -> int:
    """The status for an error of the project, by the name of its class."""
    if kind in _names(RunInProgressError) | _names(PlanError):
        return HTTPStatus.CONFLICT
    if kind in _names(ConfigError):
        return HTTPStatus.INTERNAL_SERVER_ERROR  # the server's own config
    if kind in _names(WrongUseError):
        return HTTPStatus.UNPROCESSABLE_ENTITY
    return HTTPStatus.SERVICE_UNAVAILABLE if kind in _names(AudienceSyncError) else HTTPStatus.INTERNAL_SERVER_ERROR


def problem_of(error: AudienceSyncError) -> ProblemError:
    """The problem for an error of the project that was raised in this process."""
    if isinstance(error, ProblemError):
        return error
    problems = {"problems": config_problems(error)} if isinstance(error, ConfigError) else {}
    kind = type(error).__name__
    return ProblemError(status_of(kind), str(error), error=kind, **problems)


def config_problems(error: ConfigError) -> list[dict[str, str]]:
    return [{"path": each.path, "message": each.message} for each in error.problems]


def problem_response(problem: ProblemError, headers: Mapping[str, str] | None = None) -> Response:
    document = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": int(problem.status),
        "detail": str(problem),
        **problem.fields,
    }
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "backslashreplace")
    may_repeat = (
        problem.status == HTTPStatus.SERVICE_UNAVAILABLE or document.get("error") == RunInProgressError.__name__
    )
    more = {"retry-after": str(RETRY_AFTER)} if may_repeat else {}
    return Response(body, problem.status, {**more, **(headers or {})}, MEDIA_TYPE)


def _names(kind: type[AudienceSyncError]) -> set[str]:
    """The names of an error and of all that are kinds of it."""
    return {kind.__name__}.union(*map(_names, kind.__subclasses__()))
