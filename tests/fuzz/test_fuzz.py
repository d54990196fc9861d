"""Whatever comes in: a config is read or its problems are said, so is a file, every answer has a
meaning. Some examples in every run of the tests; a search:

    AUDIENCE_SYNC_FUZZ=20000 pytest tests/fuzz
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest
from destinations.receiver import Receiver, Reply
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from audience_sync.config.loader import load
from audience_sync.destinations.base import Audiencing, Judgement, Meaning, Message
from audience_sync.destinations.registry import destination_types
from audience_sync.errors import AudienceSyncError, ConfigError
from audience_sync.sources.base import SnapshotRequest
from audience_sync.sources.files.source import FilesSource
from audience_sync.workspace import Workspace

ROOT = Path(__file__).parents[2]
#: The examples of a page.
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPES = destination_types()
EXAMPLES = int(os.environ.get("AUDIENCE_SYNC_FUZZ", "60"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES <= 60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
CONFIGS = [
    (ROOT / "config.yaml").read_text("utf-8"),
    *YAML.findall((ROOT / "docs" / "configuration.md").read_text("utf-8")),
]
PIECES = ["{", "}", "[", "]", ": ", "- ", "&a ", "*a", "<<: ", "!!python/object:os.system ", "${", "${X}", "${file:/}"]
PIECES += [
    "\n",
    "  ",
    "'",
    '"',
    "#",
    "\t",
    "\0",
    "é",
    "1e999",
    "-1",
    "null",
    "true",
    "0x10",
    "2024-01-01",
    "%",
    "|",
    ">",
]
noise = st.lists(st.sampled_from(PIECES) | st.text(max_size=5), min_size=1, max_size=4).map("".join)


@st.composite
def changed(draw: st.DrawFn) -> str:
    """A config in which some places are others."""
    text: str = draw(st.sampled_from(CONFIGS))
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.sampled_from([0, 0, 1, 5, 60])))
        text = text[:start] + draw(noise) + text[end:]
    return text


@FUZZ
@given(changed() | st.text())
@example("a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"b{n}: &b{n} [{', '.join(['*a'] * 9)}]\n" for n in range(2)))
def test_a_config_is_read_or_its_problems_are_said(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    options = {name: kind.Options for name, kind in TYPES.items()}
    with suppress(ConfigError):
        load(path, environment=None, variables={"X": "y"}, destination_types=options, profile_fields={})


@FUZZ
@given(
    st.lists(
        st.sampled_from([b"user_id", b",", b"\n", b"\r\n", b'"', b"ada", b"\xff", b"\0", b";", b"\t", b" "])
        | st.binary(max_size=6),
        max_size=40,
    ).map(b"".join),
    st.sampled_from(["vip.csv", "vip.tsv", "vip.jsonl", "vip.json", "vip.csv.gz", "vip.parquet", "vip.xlsx"]),
)
def test_a_file_is_read_or_its_problem_is_said(tmp_path: Path, workspace: Workspace, content: bytes, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"user_id\n" + content if name.endswith(("csv", "tsv")) else content)
    with suppress(AudienceSyncError, duckdb.Error):  # a scan's own error is explained by whoever scans
        rows = FilesSource(tmp_path).read(workspace, SnapshotRequest(user_id="user_id", file=name, traits={}))
        workspace.one(f"select count(*), count(user_id) from ({rows.select})")


HEADERS = [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Retry-After: 9e9", b"Date: x", b"no header"]
HEADERS += [b"X-RateLimit-Reset: -1", b"Content-Encoding: gzip", b"Location: ftp://x"]
headers = st.lists(st.sampled_from(HEADERS) | st.binary(max_size=20), max_size=4).map(b"\r\n".join)


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@FUZZ
@given(
    st.binary(max_size=200)
    | st.builds(
        lambda status, headers, body: b"HTTP/1.1 %d X\r\n%s\r\n\r\n%s" % (status, headers, body),
        st.integers(0, 1200),
        headers,
        st.binary(max_size=60) | st.just(b'{"success": true}'),
    ),
    st.sampled_from(["segment", "zendesk_connect", "rudderstack", "webhook"]),
)
def test_every_answer_has_a_meaning(receiver: Receiver, raw: bytes, kind: str) -> None:
    receiver.will_answer(Reply(raw=raw, then="close"))
    keys = {"segment": {"write_key": "k"}, "rudderstack": {"write_key": "k"}, "zendesk_connect": {"private_key": "k"}}
    given_options = {"type": kind, "url": receiver.url, "timeout": "2s", **keys.get(kind, {})}
    options = TYPES[kind].Options.model_validate(given_options)
    transport = TYPES[kind](options, Audiencing("x")).open()
    try:
        found = transport.send([Message("id", b'{"userId": "ada"}')])
    finally:
        transport.close()
    assert isinstance(found, Judgement)
    assert isinstance(found.meaning, Meaning)
    assert found.retry_after is None or 0 <= found.retry_after <= 300
