"""Read snapshots from a Google spreadsheet over the Sheets API: its sheets are the files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.config.read.paths import Spreadsheet
from audience_sync.errors import SourceError
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source, Unsendable
from audience_sync.sources.formats.excel import sheet_of_rows
from audience_sync.sources.rows.scan import did_you_mean, join_names
from audience_sync.sources.rows.scan_errors import ScanErrors
from audience_sync.sources.rows.snapshot_query import snapshot_rows
from audience_sync.sources.rows.spool import spool
from audience_sync.text import pluralize
from audience_sync.workspace import Workspace

#: Reading is all that is asked for, of this one API.
SCOPE = "https://www.googleapis.com/auth/spreadsheets.readonly"
#: Seconds without a byte of an answer.
TIMEOUT_SECONDS = 60
#: Maximum size of a sheet's values, which are in memory at once.
MAX_BYTES = 300_000_000
_ATTEMPTS, _LONGEST_WAIT_SECONDS = 5, 30
_CHUNK = 1 << 20
#: What a cell holds while its formula has no value.
_FORMULA_ERRORS = ("#N/A", "#REF!", "#NAME?", "#DIV/0!", "#VALUE!", "#NUM!", "#NULL!", "#ERROR!", "Loading...")
_NOTHING_USED = "Nothing of it was used."
_CREDENTIALS = "Set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account"


class _Page(Struct, frozen=True):
    """The title of a spreadsheet, and of its sheets that have cells."""

    title: str
    sheets: tuple[str, ...]


class GoogleSheetsSource(Source):
    """A spreadsheet. Credentials are Google's own: `GOOGLE_APPLICATION_CREDENTIALS`, or those of the machine."""

    def __init__(self, spreadsheet: Spreadsheet) -> None:
        self._spreadsheet = spreadsheet
        self._session: Any = None
        self._account = "the account of the credentials"

    def stop(self) -> None:
        if self._session is not None:
            self._session.close()

    def check(self) -> str:
        found = self._page()
        return (
            f"Google spreadsheet '{found.title}', {pluralize(len(found.sheets), 'sheet')}: {join_names(found.sheets)}"
        )

    def fingerprint(self, request: SnapshotRequest) -> str | None:
        return None  # a spreadsheet has no version that reading its values shows

    def read(self, workspace: Workspace, request: SnapshotRequest) -> SnapshotRows:
        if request.file is None:
            raise SourceError(
                "a Google spreadsheet is read by `file: NAME OF A SHEET`, not by `query:`. Correct the config."
            )
        found = self._page()
        if request.file not in found.sheets:
            raise SourceError(
                f"the Google spreadsheet '{found.title}' has no sheet {request.file!r}."
                f"{did_you_mean(request.file, found.sheets)} It has {join_names(found.sheets)}. "
                "Correct `file:` in the config."
            )
        name = f"sheet {request.file!r}"
        sheet = sheet_of_rows(name, _cells(self._values(request.file, request.sample_rows)))
        part = spool(workspace, name, sheet.header, sheet.rows, request, is_sheet=True)
        rows = snapshot_rows(workspace, request, [part], ScanErrors({}, what=name))
        columns = {each: "" for each in sheet.header if each} if request.expected.columns else None
        return replace(rows, columns=columns)

    def _page(self) -> _Page:
        answer = self._get("", {"fields": "properties.title,sheets.properties(title,sheetType)"})
        try:
            sheets = [each["properties"] for each in answer["sheets"]]
            titles = tuple(str(each["title"]) for each in sheets if each.get("sheetType", "GRID") == "GRID")
            return _Page(str(answer["properties"]["title"]), titles)
        except (KeyError, TypeError):
            raise self._problem("the answer is not that of the Sheets API") from None

    def _values(self, sheet: str, rows: int | None) -> Sequence[Sequence[Any]]:
        quoted = "'" + sheet.replace("'", "''") + "'"
        cells = quoted if rows is None else f"{quoted}!1:{rows + 1}"
        options = {"valueRenderOption": "UNFORMATTED_VALUE", "dateTimeRenderOption": "FORMATTED_STRING"}
        values = self._get(f"/values/{quote(cells, safe='')}", options).get("values", [])
        if not isinstance(values, list) or not all(isinstance(row, list) for row in values):
            raise self._problem("the answer is not that of the Sheets API")
        return values

    def _get(self, path: str, options: Mapping[str, str]) -> Mapping[str, Any]:
        """The answer of the API, whole. Raises SourceError."""
        session = self._connected()
        from google.auth.exceptions import GoogleAuthError
        from requests import RequestException

        url = f"{self._spreadsheet.api}/v4/spreadsheets/{quote(self._spreadsheet.id, safe='')}{path}"
        try:
            with session.get(
                url, params=options, timeout=TIMEOUT_SECONDS, stream=True, allow_redirects=False
            ) as answer:
                body = _body(answer.iter_content(_CHUNK))
                status = int(answer.status_code)
        except GoogleAuthError as error:
            raise self._problem(f"Google refused the credentials ({_first_line(error)}). {_CREDENTIALS}") from None
        except RequestException as error:
            raise self._problem(f"{self._spreadsheet.api} did not answer ({type(error).__name__})") from None
        if body is None:
            raise self._problem(
                f"it has more than {MAX_BYTES:,} bytes. Export it as CSV, or keep these rows in a database"
            )
        if status != 200:
            raise self._refusal(status, body)
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self._problem("the answer is not that of the Sheets API")
        return found

    def _connected(self) -> Any:
        """A session with credentials, which repeats what is worth repeating."""
        if self._session is not None:
            return self._session
        try:
            import google.auth
            from google.auth.transport.requests import AuthorizedSession
        except ImportError as error:
            raise SourceError(
                f"Google Sheets needs a package that is not installed: {error}. "
                "Install it: pip install 'audience-sync[gsheets]'"
            ) from None
        from requests.adapters import HTTPAdapter
        from urllib3 import Retry

        try:
            credentials, _ = google.auth.default(scopes=[SCOPE])
        except google.auth.exceptions.GoogleAuthError as error:
            raise self._problem(f"there are no usable credentials ({_first_line(error)}). {_CREDENTIALS}") from None
        retry = Retry(
            total=_ATTEMPTS,
            backoff_factor=1,
            backoff_max=_LONGEST_WAIT_SECONDS,
            status_forcelist=(429, 500, 502, 503, 504),
            respect_retry_after_header=False,  # it may ask for hours
            raise_on_status=False,
        )
        self._account = getattr(credentials, "service_account_email", self._account)
        self._session = AuthorizedSession(credentials)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry))
        return self._session

    def _refusal(self, status: int, body: bytes) -> SourceError:
        match status:
            case 404:
                what = f"there is no spreadsheet {self._spreadsheet.id}. Correct `files:` of the source"
            case 401:
                what = f"Google refused the credentials. {_CREDENTIALS}"
            case 403:
                what = f"{self._account} may not read it ({_reason(body)}). Share the spreadsheet with it, as a viewer"
            case 429:
                what = "Google's quota of requests is used up. The next run reads it again"
            case _:
                what = f"Google answered {status} ({_reason(body)})"
        return self._problem(what)

    def _problem(self, what: str) -> SourceError:
        return SourceError(f"the Google spreadsheet can't be read: {what}. {_NOTHING_USED}")


def _body(chunks: Iterator[bytes]) -> bytes | None:
    """The whole body; None if it is too large."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) > MAX_BYTES:
            return None
    return bytes(found)


def _cells(rows: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """The rows, all of one length: the API leaves out empty cells at their ends."""
    width = max(map(len, rows), default=0)
    for row in rows:
        yield (*map(_cell, row), *[None] * (width - len(row)))


def _cell(value: Any) -> Any:
    is_error = isinstance(value, str) and value in _FORMULA_ERRORS
    return Unsendable(f"is {value!r}, a formula without a value") if is_error else value


def _reason(body: bytes) -> str:
    """Google's own message, or nothing to go by."""
    try:
        return str(json.loads(body)["error"]["message"]).rstrip(". ")
    except (ValueError, KeyError, TypeError):
        return "without a reason"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200].rstrip(". ")
