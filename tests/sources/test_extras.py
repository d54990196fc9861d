"""A source that needs a package of an extra names the extra if that package is missing."""

from __future__ import annotations

import sys
from pathlib import Path

import openpyxl
import pytest

from audience_sync.errors import SourceError
from audience_sync.sources.database.source import DatabaseSource

from .conftest import Read


@pytest.mark.parametrize("package", ["pandas", "python_calamine"])
@pytest.mark.parametrize(
    "asked", [{"file": "a.xlsx"}, {"query": "select user_id from 'a.xlsx'"}], ids=["file", "query"]
)
def test_a_workbook_without_the_packages_that_read_it_names_the_extra_excel(
    package: str, asked: dict[str, str], tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SourceError) as refused:
        read(**asked)
    assert str(refused.value) == (
        f"a.xlsx is an Excel workbook, and reading it needs the package {package}, which is not installed. "
        "Nothing of it was used. Install it: pip install 'audience-sync[excel]'"
    )


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_a_database_without_its_driver_names_the_extra_postgresql(
    scheme: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    source = DatabaseSource(f"{scheme}://user@127.0.0.1:1/shop")
    with pytest.raises(SourceError, match=r"Install it: pip install 'audience-sync\[postgresql\]'"):
        read(source, query="select user_id from members")
