"""A Google spreadsheet is read over the Sheets API, here of an imitation on loopback: never run against Google."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from audience_sync import Project
from audience_sync.config.read.paths import Spreadsheet, files_problem
from audience_sync.errors import ConfigError, SourceError
from audience_sync.sources.base import Expectations, SnapshotRequest, TraitColumn
from audience_sync.sources.google_sheets import GoogleSheetsSource
from audience_sync.workspace import Workspace

from .conftest import Read

ID = "1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms"
TOKEN = "ya29.invented"
_ROWS: dict[str, list[list[Any]]] = {
    "VIP": [
        ["user_id", "plan", "spent", "since", "active", "note"],
        ["007", "pro", 12.5, "2018-11-02", True, "Köln"],
        [42, "free", 1000000, "2018-11-02 09:30", False],
        [],
        ["", "free"],
        [1.5, ""],
        ["bob", "", "#N/A"],
        ["#REF!", "pro"],
        ["ada", "", "", "", "", "", "beyond the header"],
    ],
    "It's 1!A1": [["user_id"], ["bob"]],
    "Empty": [],
}


class Google:
    """The Sheets API and the token end point. ``answers``: (status, body) that come first."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, Any] | bytes]] = []
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.url = ""

    def answer(self, target: str, token: str | None) -> tuple[int, dict[str, Any] | bytes]:
        path, options = urlsplit(target).path, parse_qs(urlsplit(target).query)
        self.asked.append((path, options))
        if self.answers:
            return self.answers.pop(0)
        if token != f"Bearer {TOKEN}":
            return 401, {"error": {"code": 401, "message": "Request had invalid authentication credentials."}}
        if not path.startswith(f"/v4/spreadsheets/{ID}"):
            return 404, {"error": {"code": 404, "message": "Requested entity was not found."}}
        if path.endswith(ID):
            sheets = [{"properties": {"title": title, "sheetType": "GRID"}} for title in _ROWS]
            sheets.append({"properties": {"title": "Chart", "sheetType": "OBJECT"}})
            return 200, {"properties": {"title": "Customers"}, "sheets": sheets}
        assert options == {"valueRenderOption": ["UNFORMATTED_VALUE"], "dateTimeRenderOption": ["FORMATTED_STRING"]}
        quoted, _, cells = unquote(path.rsplit("/", 1)[1]).rpartition("'")
        rows = _ROWS[quoted[1:].replace("''", "'")]
        if cells:
            rows = rows[: int(cells.removeprefix("!1:"))]
        return 200, {"range": "VIP!A1:Z", "majorDimension": "ROWS", **({"values": rows} if rows else {})}


@pytest.fixture
def google() -> Iterator[Google]:
    google = Google()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["Content-Length"]))
            assert b"assertion=" in sent
            self._send(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

        def do_GET(self) -> None:
            self._send(*google.answer(self.path, self.headers.get("Authorization")))

        def _send(self, status: int, content: dict[str, Any] | bytes) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        google.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield google
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(form, kind, serialization.NoEncryption()).decode()


@pytest.fixture
def sheets(google: Google, private_key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GoogleSheetsSource:
    key = {
        "type": "service_account",
        "project_id": "shop",
        "private_key_id": "1",
        "private_key": private_key,
        "client_email": "sync@shop.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{google.url}/token",
    }
    (tmp_path / "key.json").write_text(json.dumps(key))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # urllib3 waits between attempts
    spreadsheet = Spreadsheet.parse(f"gsheets://{ID}?url={google.url}")
    assert spreadsheet
    return GoogleSheetsSource(spreadsheet)


def test_cells_keep_their_types_and_ids_are_as_written(sheets: GoogleSheetsSource, read: Read) -> None:
    traits = {name: name for name in ("plan", "spent", "active", "note")} | {"since": TraitColumn("since", "date")}
    snapshot = read(sheets, file="VIP", traits=traits)
    assert [row for row in snapshot.rows if row[0]] == [
        ("007", '"pro"', "12.5", "true", '"Köln"', '"2018-11-02T00:00:00.000Z"'),
        ("42", '"free"', "1000000", "false", None, '"2018-11-02T09:30:00.000Z"'),
        ("bob", None, None, None, None, None),
        ("ada", None, None, None, None, None),
    ]
    assert sorted(snapshot.invalid_rows) == [
        ("sheet 'VIP'", 3, None, "no user id"),
        ("sheet 'VIP'", 4, "1.5", "user id is not a whole number"),
        ("sheet 'VIP'", 5, "bob", "column 'spent' is '#N/A', a formula without a value"),
        ("sheet 'VIP'", 6, "\ufffd", "user id is '#REF!', a formula without a value"),
    ]


def test_a_sheet_has_the_name_that_people_see(sheets: GoogleSheetsSource, read: Read) -> None:
    assert read(sheets, file="It's 1!A1").ids == ["bob"]
    with pytest.raises(SourceError) as refused:
        read(sheets, file="Vip")
    assert str(refused.value) == (
        "the Google spreadsheet 'Customers' has no sheet 'Vip'. Did you mean 'VIP'? It has VIP, \"It's 1!A1\", Empty. "
        "Correct `file:` in the config."
    )
    with pytest.raises(SourceError, match="sheet 'Empty': the first row is blank"):
        read(sheets, file="Empty")


def test_check_shows_the_sheets_and_a_look_asks_for_few_rows(
    sheets: GoogleSheetsSource, google: Google, read: Read
) -> None:
    assert sheets.check() == "Google spreadsheet 'Customers', 3 sheets: VIP, \"It's 1!A1\", Empty"
    assert len(read(sheets, file="VIP", sample_rows=1).ids) == 1
    assert google.asked[-1][0].endswith("/values/%27VIP%27%211%3A2")


def test_columns_are_those_with_a_name(sheets: GoogleSheetsSource, workspace: Workspace) -> None:
    request = SnapshotRequest(user_id="user_id", file="VIP", expected=Expectations(columns=True))
    assert sheets.read(workspace, request).columns == dict.fromkeys(_ROWS["VIP"][0], "")


def _said(status: int, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"code": status, "message": message}}


REFUSALS: dict[str, tuple[tuple[int, dict[str, Any] | bytes], str]] = {
    "not shared": (
        _said(403, "The caller does not have permission"),
        "sync@shop.iam.gserviceaccount.com may not read it (The caller does not have permission). Share the "
        "spreadsheet with it, as a viewer.",
    ),
    "not there": (_said(404, "not found"), f"there is no spreadsheet {ID}. Correct `files:` of the source."),
    "a bad request": (_said(400, "Unable to parse range."), "Google answered 400 (Unable to parse range)."),
    "moved": ((302, b""), "Google answered 302 (without a reason)."),
    "a page of HTML": ((200, b"<html>"), "the answer is not that of the Sheets API."),
    "another API": ((200, {"kind": "drive#file"}), "the answer is not that of the Sheets API."),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_what_to_do(case: str, sheets: GoogleSheetsSource, google: Google) -> None:
    answer, words = REFUSALS[case]
    google.answers = [answer]
    with pytest.raises(SourceError) as refused:
        sheets.check()
    assert str(refused.value) == f"the Google spreadsheet can't be read: {words} Nothing of it was used."


def test_what_passes_is_repeated_and_what_stays_is_an_error(sheets: GoogleSheetsSource, google: Google) -> None:
    google.answers = [_said(429, "Quota exceeded"), _said(503, "unavailable")]
    assert sheets.check().startswith("Google spreadsheet 'Customers'")
    google.answers = [_said(429, "Quota exceeded")] * 6
    with pytest.raises(SourceError, match="Google's quota of requests is used up"):
        sheets.check()


def test_credentials_that_are_missing_or_wrong_are_an_error(
    sheets: GoogleSheetsSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(SourceError, match=r"there are no usable credentials .* Set GOOGLE_APPLICATION_CREDENTIALS to"):
        sheets.check()


def test_a_package_that_is_missing_is_named_with_its_extra(
    sheets: GoogleSheetsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "google.auth", None)
    with pytest.raises(SourceError, match=r"pip install 'audience-sync\[gsheets\]'"):
        sheets.check()


@pytest.mark.parametrize(
    "url",
    [
        f"gsheets://{ID}",
        f"gsheets://{ID}/",
        f"https://docs.google.com/spreadsheets/d/{ID}",
        f"https://docs.google.com/spreadsheets/d/{ID}/edit?gid=0#gid=0",
        f"https://docs.google.com/spreadsheets/u/1/d/{ID}/edit",
    ],
)
def test_the_address_in_the_browser_is_one_of_the_source(url: str) -> None:
    assert Spreadsheet.parse(url) == Spreadsheet(ID)
    assert files_problem(url) is None


@pytest.mark.parametrize("url", ["gsheets://", f"gsheets://{ID}?sheet=VIP", "https://docs.google.com/document/d/1"])
def test_another_address_is_a_problem_of_the_config(url: str) -> None:
    assert Spreadsheet.parse(url) is None
    assert "`gsheets://ID`" in (files_problem(url) or "")


CONFIG = """
sources: {{crm: {{files: "{files}"}}}}
audiences:
  - {{name: VIP, source: crm, {entry}}}
destinations: {{log: {{type: file, path: calls.jsonl}}}}
"""


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("query: select 1", "audiences[0].query: `crm` is a Google spreadsheet: give the name of a sheet as `file`"),
        ("file: VIP, sheet: VIP", "audiences[0].sheet: `sheet` is not possible for `crm`, which is a Google"),
        ("file: VIP, probe: select 1", "audiences[0].probe: `probe` is not possible for `crm`, which is a Google"),
        ("file: VIP, expect: {max_age: 1h}", "audiences[0].expect.max_age: `max_age` is not possible for `crm`"),
    ],
)
def test_what_a_spreadsheet_can_not_do_is_a_problem_of_the_config(entry: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.format(files=f"gsheets://{ID}", entry=entry))
    with pytest.raises(ConfigError) as refused:
        Project.open(tmp_path / "config.yaml")
    assert [str(each)[: len(problem)] for each in refused.value.problems] == [problem]


def test_a_project_syncs_a_sheet(sheets: GoogleSheetsSource, google: Google, tmp_path: Path) -> None:
    files = f"gsheets://{ID}?url={google.url}"
    (tmp_path / "config.yaml").write_text(CONFIG.format(files=files, entry="file: VIP"))
    with Project.open(tmp_path / "config.yaml") as project:
        run = project.sync()
    assert (run.status, run.audiences[0].members, run.audiences[0].invalid) == ("succeeded", 4, 3)
