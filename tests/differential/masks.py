"""Mask what differs between any two plays of the same days: times, durations, folder, port, version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from .store import Table

_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?( ?UTC|Z|\+00:00)?")
_DURATION = re.compile(r" *\b\d+(\.\d+)? s\b")
_JSON_NUMBER = re.compile(r'"(seconds|duration|request|retries)": [\d.]+')
#: Destinations answer in parallel, so their requests have other numbers at each play.
_REQUEST = re.compile(r"\b(Request +)\d+")
#: In a table of runs, after the start.
_SECONDS_OF_RUN = re.compile(r"(\bTIME +)\d+\.\d\b")
#: In a table of destinations, before the duration; retries count a divided request since the release.
_RETRIES = re.compile(r"(?m)^(\S+ +(?:[\d,]+ +){5})[\d,]+ DURATION$")
_VERSION = re.compile(r'(\baudience-sync/|"audience-sync", ?"version": ?")[\w.+]+')
_FINGERPRINT = re.compile(r"\b[0-9a-f]{32}\b")
#: Columns of tables that differ between any two plays; and retries.
_VOLATILE = re.compile(
    r"^request(_id)?$|^retries$|(seconds|duration|expires|token|holder|checksum|bytes|size|fingerprint|version|hash)$|_bytes|pid"
)


def mask_output(text: str, *, folder: str, port: int) -> str:
    text = _VERSION.sub(r"\1VERSION", text.replace(folder, "FOLDER").replace(f":{port}", ":PORT"))
    text = _REQUEST.sub(r"\1N", _JSON_NUMBER.sub(r'"\1": 0', text))
    text = _RETRIES.sub(r"\1N DURATION", _DURATION.sub(" DURATION", _TIME.sub("TIME", text)))
    return _SECONDS_OF_RUN.sub(r"\1SECONDS", text)


def mask_times(text: str, starts: Mapping[str, int]) -> str:
    """Replace each time: by its run if it is the start of one (``starts``: ISO time in milliseconds -> run)."""

    def name(found: re.Match[str]) -> str:
        run = starts.get(to_milliseconds(found[0]))
        return f"<run {run}>" if run else "<time>"

    return _TIME.sub(name, text)


def to_milliseconds(time: str) -> str:
    """``2026-01-31 08:00:00.123456`` and ``2026-01-31T08:00:00.123Z`` are the same."""
    seconds, _, fraction = time.replace("T", " ").removesuffix("Z").removesuffix("+00:00").partition(".")
    return f"{seconds}.{(fraction + '000')[:3]}"


def mask_call(call: Mapping[str, Any], starts: Mapping[str, int]) -> str:
    """The call as sorted JSON, without what names the version or the moment of sending."""
    kept = {name: value for name, value in call.items() if name not in ("context", "sentAt")}
    return mask_times(json.dumps(kept, sort_keys=True), starts)


def mask_table(table: Table, starts: Mapping[str, int]) -> Table:
    """The values as texts, the rows in their order. Of a volatile column it is kept whether a value is null."""

    of_answers = {"destination_id", "run_id"} <= set(table.columns)  # destinations answer in parallel

    def text(column: str, value: Any) -> str:
        if value is not None and (_VOLATILE.search(column) or (of_answers and column == "id")):
            return "..."
        return _FINGERPRINT.sub("<hash>", mask_times(str(value), starts))

    return Table(table.columns, sorted([*map(text, table.columns, row)] for row in table.rows))
