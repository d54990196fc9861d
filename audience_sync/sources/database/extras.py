"""Give each scheme of a database's URL the driver of its extra, and name the extra of a driver that is missing."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import URL

#: The driver that an extra installs, by the schemes that name none. SQLAlchemy's own defaults differ between its
#: versions, and some need a compiler.
_DRIVERS: Mapping[str, str] = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mssql": "mssql+pymssql",
    "redshift": "redshift+psycopg2",
    "athena": "awsathena+rest",
    "awsathena": "awsathena+rest",
    "clickhouse": "clickhousedb+connect",
    "clickhousedb": "clickhousedb+connect",
    "bigquery": "bigquery",
    "databricks": "databricks",
    "snowflake": "snowflake",
    "trino": "trino",
}
#: The extra that installs a scheme's driver, where it has another name.
_EXTRAS: Mapping[str, str] = {
    "postgres": "postgresql",
    "mariadb": "mysql",
    "awsathena": "athena",
    "clickhousedb": "clickhouse",
}


def with_driver(url: URL) -> URL:
    """The URL with the driver of its extra, if it names none."""
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def how_to_install(url: URL) -> str:
    """What to do about the missing driver of a URL."""
    scheme = url.get_backend_name()
    if scheme not in _DRIVERS:
        return "Install it with pip."
    command = f"pip install 'audience-sync[{_EXTRAS.get(scheme, scheme)}]'"
    if url.drivername in (scheme, _DRIVERS[scheme]):
        return f"Install it: {command}"
    return f"Install the driver that the URL names; or write {scheme}:// in it, and install ours: {command}"
