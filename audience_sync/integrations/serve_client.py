"""Start runs of ``audience-sync serve``, and ask what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import requests

from audience_sync.errors import AudienceSyncError, RunInProgressError, WrongUseError

#: Seconds for connecting, and for an answer: a run begins within a few seconds.
TIMEOUT = (10.0, 60.0)


class ServeError(AudienceSyncError):
    """The server can't be reached, or can't answer now: try again."""


class RefusedByServerError(WrongUseError):
    """The server refuses the request, and will do so again: a wrong token, key or config."""


class ServeClient:
    """A client of one server. ``url``: its address, ``http://sync.internal:8791``."""

    def __init__(self, url: str, token: str | None) -> None:
        self._url, self._headers = url.rstrip("/"), {"Authorization": f"Bearer {token}"} if token else {}

    def start(self, audiences: Sequence[str] | None, *, reason: str | None, key: str) -> int:
        """Start a run of these audiences (None: all), and return its number when it has begun.

        ``key``: a repeated request with the same key gets the same run. Raises RunInProgressError if another run is in
        progress, RefusedByServerError and ServeError.
        """
        body = {"audiences": None if audiences is None else list(audiences), "reason": reason}
        document = self._ask("POST", "/runs", json=body, key=key)
        return int(document["run"])

    def ended_run(self, number: int) -> dict[str, Any] | None:
        """The run, once it has ended; None while it is in progress. Raises RefusedByServerError and ServeError."""
        run = self._ask("GET", f"/runs/{number}")
        return None if run["status"] == "running" else run

    def cancel(self, number: int) -> None:
        """Interrupt a run: its answers are recorded, and the next run sends the rest."""
        self._ask("POST", f"/runs/{number}/cancel")

    def _ask(self, method: str, path: str, *, json: object = None, key: str | None = None) -> dict[str, Any]:
        headers = {**self._headers, **({"Idempotency-Key": key} if key else {})}
        try:
            answer = requests.request(
                method, f"{self._url}{path}", json=json, headers=headers, timeout=TIMEOUT, allow_redirects=False
            )
        except requests.RequestException as error:
            raise ServeError(f"{self._url} can't be reached, or gives no answer: {type(error).__name__}") from None
        if answer.is_redirect:
            raise RefusedByServerError(f"{self._url} redirects to {answer.headers['location']}: use that address.")
        document = _document(answer)
        if answer.ok and document:
            return document
        message = f"{self._url} answered {answer.status_code}: {document.get('detail', answer.reason)}"
        if answer.status_code == requests.codes.conflict and path == "/runs":
            raise RunInProgressError(message)
        if answer.status_code < requests.codes.internal_server_error:
            raise RefusedByServerError(message)
        raise ServeError(message)


def _document(answer: requests.Response) -> dict[str, Any]:
    """The JSON of an answer; empty for that of a proxy on the way."""
    try:
        document = answer.json()
    except requests.JSONDecodeError:
        return {}
    return document if isinstance(document, dict) else {}
