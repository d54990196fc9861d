"""A source that needs a package of an extra names the extra if that package is missing."""

from __future__ import annotations

import sys
import tomllib
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


EXTRAS = {
    "postgresql": ["postgresql://", "postgres://", "postgresql+psycopg://"],
    "mysql": ["mysql://", "mysql+pymysql://", "mariadb://", "mariadb+pymysql://"],
    "mssql": ["mssql://", "mssql+pymssql://"],
    "redshift": ["redshift://", "redshift+psycopg2://"],
    "athena": ["athena://", "awsathena://", "awsathena+rest://"],
    "clickhouse": ["clickhouse://", "clickhousedb://", "clickhousedb+connect://"],
    "bigquery": ["bigquery://"],
    "databricks": ["databricks://"],
    "snowflake": ["snowflake://"],
    "trino": ["trino://"],
}
#: Packages that have a driver; without them, some dialects can be loaded and others can't.
DRIVERS = ("psycopg", "pymysql", "pymssql", "psycopg2", "pyathena", "clickhouse_connect", "trino")


@pytest.fixture
def without_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in DRIVERS:
        monkeypatch.setitem(sys.modules, each, None)


@pytest.mark.usefixtures("without_drivers")
@pytest.mark.parametrize(("scheme", "extra"), [(scheme, extra) for extra in EXTRAS for scheme in EXTRAS[extra]])
def test_a_database_without_its_driver_names_the_extra(scheme: str, extra: str, read: Read) -> None:
    source = DatabaseSource(f"{scheme}ada:s%40cret@127.0.0.1:1/shop")
    for use in (source.check, lambda: read(source, query="select user_id from members")):
        with pytest.raises(SourceError) as refused:
            use()
        assert "needs a driver that is not installed: " in str(refused.value)
        assert str(refused.value).endswith(f". Install it: pip install 'audience-sync[{extra}]'")
        assert "s@cret" not in str(refused.value)


@pytest.mark.usefixtures("without_drivers")
@pytest.mark.parametrize(
    ("url", "extra"),
    [
        ("mysql+mysqldb://h/shop", "mysql"),
        ("mssql+pyodbc://h/shop", "mssql"),
        ("postgresql+psycopg2://h/shop", "postgresql"),
        ("redshift+redshift_connector://h/shop", "redshift"),
    ],
)
def test_another_driver_that_a_url_names_can_be_installed_or_left_out(url: str, extra: str) -> None:
    with pytest.raises(SourceError) as refused:
        DatabaseSource(url).check()
    assert str(refused.value).endswith(
        f". Install the driver that the URL names; or write {extra}:// in it, and install ours: "
        f"pip install 'audience-sync[{extra}]'"
    )


def test_every_extra_of_a_database_is_one_that_can_be_installed() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert [each for each in (*EXTRAS, "duckdb") if each not in project["project"]["optional-dependencies"]] == []
