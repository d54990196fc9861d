"""An unexpected error is reported without its words: a planted bug has a secret and a person in them."""

from __future__ import annotations

import pytest

from .conftest import Project

KEY = "wk-\"4f0c'2a9d7e61"
EMAIL = "ada.lovelace@example.org"
BUG = f"""
import logging, threading, warnings
import audience_sync.sync.plan_run as planning

KEY, EMAIL, PHONE = {KEY!r}, {EMAIL!r}, '+4915112345678'

def fail(message):
    raise RuntimeError(message)

def look(*parts, **options):
    secret, person = KEY, EMAIL
    {{}}

planning.plan_run = look
"""
WORDS = {
    "a secret": ('fail("no " + KEY)', "RuntimeError in plan (plan_run.py, line N): no ***"),
    "a secret in quotes": ("fail(f\"no '{KEY}' and\")", "RuntimeError in plan (plan_run.py, line N): no '...' and"),
    "a secret on a later line": ('fail("no\\n" + KEY)', "RuntimeError in plan (plan_run.py, line N): no"),
    "a person in quotes": (
        "fail(f'no {EMAIL!r}, sorry')",
        "RuntimeError in plan (plan_run.py, line N): no '...', sorry",
    ),
    "an address": ("fail(f'no {EMAIL}, sorry')", "RuntimeError in plan (plan_run.py, line N): no ..., sorry"),
    "a person as a key": ("{}[EMAIL]", "KeyError in plan (plan_run.py, line N): '...'"),
    "a long number": ("fail(f'no {PHONE}')", "RuntimeError in plan (plan_run.py, line N): no ..."),
    "nothing": ("fail('')", "RuntimeError in plan (plan_run.py, line N)"),
}


@pytest.fixture
def buggy(vip: Project) -> Project:
    vip.environment |= {"WRITE_KEY": KEY, "PYTHONPATH": str(vip.folder), "PYTHONWARNINGS": "always"}
    vip.configure(
        audiences=[{"name": "VIP", "source": "shop", "file": "vip.csv"}],
        destinations={"hook": {"type": "webhook", "url": "http://127.0.0.1:1", "headers": {"X-Key": "${WRITE_KEY}"}}},
    )
    return vip


@pytest.mark.parametrize(("bug", "words"), WORDS.values(), ids=WORDS.keys())
def test_an_unexpected_error_is_said_and_kept_without_secrets_and_people(buggy: Project, bug: str, words: str) -> None:
    buggy.write("sitecustomize.py", BUG.replace("{}", bug, 1) if "{}[" not in bug else BUG.replace("{}", bug))
    result = buggy.run_afresh("sync", "-v", "--json")
    assert result.code == 3
    ((kept,),) = buggy.query("select error from runs")
    kind, _, rest = words.partition("line N")
    assert kept.startswith(kind)
    assert kept.endswith(f"){rest.removeprefix(')')}")
    assert result.json["error"] == f"unexpected error: {kept}"
    assert "Traceback" not in result.stderr
    assert ", in look\n" in result.stderr  # the frames of the traceback: files and lines, no values
    assert [part for part in ("4f0c", "2a9d7e61", "lovelace", "4915112") if part in result.stdout + result.stderr] == []


def test_what_libraries_threads_and_warnings_say_is_masked_too(buggy: Project) -> None:
    said = [
        "warnings.warn('a warning about ' + KEY)",
        "logging.getLogger('urllib3').warning('a log line about %s', KEY)",
        "logging.getLogger('urllib3').debug('a detail')",
        "ended = threading.Thread(target=fail, args=('a thread ended by ' + KEY,))",
        "ended.start()",
        "ended.join()",
    ]
    buggy.write("sitecustomize.py", BUG.replace("{}", "; ".join(said) + "; fail('')"))
    result = buggy.run_afresh("sync", "-v")
    assert "a warning about ***" in result.stderr
    assert "a log line about ***" in result.stderr
    assert "error: a thread ended with an unexpected error: RuntimeError: a thread ended by ***" in (result.stderr)
    assert "DEBUG urllib3" not in result.stderr
    assert [part for part in ("4f0c", "2a9d7e61") if part in result.stdout + result.stderr] == []
