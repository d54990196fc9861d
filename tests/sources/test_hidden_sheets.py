"""Of a workbook the sheet is read that a person sees first."""

from __future__ import annotations

from pathlib import Path

import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.formats.excel import _choose_sheet

from .conftest import Read


def workbook(path: Path, *sheets: tuple[str, str, str]) -> None:
    """Sheets of one user each: name, state, user."""
    import openpyxl

    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, state, user in sheets:
        sheet = book.create_sheet(name)
        sheet.append(["user_id"])
        sheet.append([user])
        sheet.sheet_state = state
    book.save(path)


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_hidden_sheet_is_passed_over_unless_it_is_named(state: str, tmp_path: Path, read: Read) -> None:
    workbook(tmp_path / "a.xlsx", ("Old", state, "eve"), ("Now", "visible", "ada"), ("Last", "visible", "bob"))
    assert read(file="a.xlsx").ids == ["ada"]
    assert read(query="select user_id from 'a.xlsx'").ids == ["ada"]
    assert read(file="a.xlsx", sheet="Old").ids == ["eve"]


def test_a_workbook_of_hidden_sheets_is_an_error_that_names_them() -> None:
    with pytest.raises(SourceError, match=r"a\.xlsx: all its sheets are hidden: Old, Older\. Name one by `sheet:`"):
        _choose_sheet("a.xlsx", ["Old", "Older"], [], None)
