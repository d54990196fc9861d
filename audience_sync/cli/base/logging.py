"""Write the log to stderr, as text or as one JSON document a line, without secrets."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import TextIO

import click

from audience_sync.cli.base.errors import text_for_people
from audience_sync.cli.base.process import write_utf8
from audience_sync.text import iso_time

FORMAT_VARIABLE = "AUDIENCE_SYNC_LOG"
FORMATS = ("text", "json")
#: Fields of a JSON log line in addition to its message.
FIELDS = ("run", "destination", "audience", "status", "seconds", "calls", "delivered", "refused", "pending")

_runs = logging.getLogger("audience_sync.runs")


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to the present `sys.stderr`: while progress is drawn there, a line of the log goes above it."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return text_for_people(super().format(record))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": iso_time(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": text_for_people(super().format(record)),
            **{name: getattr(record, name) for name in FIELDS if hasattr(record, name)},
        }
        return json.dumps(found, ensure_ascii=False)


def set_up_log(*, verbose: bool, quiet: bool = False) -> None:
    """Configure the log. Raises click.UsageError if the variable has an unknown format."""
    wanted = os.environ.get(FORMAT_VARIABLE, "") or "text"
    if wanted not in FORMATS:
        raise click.UsageError(f"{FORMAT_VARIABLE} is {wanted!r}: it has to be {' or '.join(FORMATS)}.")
    if wanted == "json":
        write_utf8(sys.stderr)
    handler = _Stderr(sys.stderr)
    handler.setFormatter(_Json() if wanted == "json" else _Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    # Libraries log warnings only: their lines about requests have the address, which often contains the key.
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    usual = logging.WARNING if quiet else logging.INFO
    logging.getLogger("audience_sync").setLevel(logging.DEBUG if verbose else usual)
    # People read the same in the summary, so run events are logged only as JSON or with -v.
    _runs.setLevel((logging.WARNING if quiet else logging.INFO) if wanted == "json" or verbose else logging.CRITICAL)


def is_json_log() -> bool:
    """Whether the log is JSON. Then nothing else goes to stderr."""
    return os.environ.get(FORMAT_VARIABLE) == "json"
