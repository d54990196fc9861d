"""docs/errors.md has every class of error with the exit code that a command ends with, and every exit code."""

from __future__ import annotations

import re
from pathlib import Path

from audience_sync import errors

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text("utf-8")
ROW = re.compile(r"^\| ((?:&nbsp;&nbsp;)*)`(\w+)` \| (\d+|–) \| (.+) \| (.+) \|$", re.MULTILINE)
CODE = re.compile(r"^\| (\d+) \| .+ \| .+ \|$", re.MULTILINE)


def subclasses(error: type[errors.AudienceSyncError]) -> list[type[errors.AudienceSyncError]]:
    return [inner for each in error.__subclasses__() for inner in (each, *subclasses(each))]


def test_every_class_of_error_is_on_the_page_with_its_exit_code() -> None:
    rows = {name: code for _, name, code, _, _ in ROW.findall(PAGE)}
    classes = [each for each in subclasses(errors.AudienceSyncError) if each.__module__ == errors.__name__]
    assert sorted(rows) == sorted(each.__name__ for each in classes)
    for each in classes:
        assert rows[each.__name__] in ("–", str(each.exit_code)), each.__name__


def test_a_class_is_indented_below_its_base() -> None:
    stack: list[str] = ["AudienceSyncError"]
    for indent, name, *_ in ROW.findall(PAGE):
        depth = len(indent) // len("&nbsp;&nbsp;")
        stack[depth + 1 :] = [name]
        assert stack[depth] in [base.__name__ for base in getattr(errors, name).__bases__]


def test_every_exit_code_is_on_the_page() -> None:
    codes = {0, *(each.exit_code for each in subclasses(errors.AudienceSyncError))}
    assert [int(code) for code in CODE.findall(PAGE)] == sorted(codes)
