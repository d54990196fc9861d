"""The page of each source has a config that loads, a URL that its driver reads, and states whether we run it."""

from __future__ import annotations

import os
import re
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

from audience_sync.config.models import Settings
from audience_sync.errors import SourceError
from audience_sync.project.opening import load_settings, open_source
from audience_sync.sources.database.drivers import connect_arguments
from audience_sync.sources.database.source import limited_query, parse_url

ROOT = Path(__file__).parents[2]
PAGES = {path.stem: path.read_text("utf-8") for path in sorted((ROOT / "docs" / "sources").glob("*.md"))}
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
FILES = ("azure", "gcs", "gsheets", "s3")
DATABASES = [page for page in PAGES if page not in (*FILES, "duckdb")]
#: Packages of the drivers, without which a source names its extra.
DRIVERS = (
    *(
        "adlfs",
        "clickhouse_connect",
        "databricks",
        "gcsfs",
        "google.auth",
        "psycopg",
        "psycopg2",
        "pyathena",
        "pymssql",
    ),
    *("pymysql", "s3fs", "snowflake", "sqlalchemy_bigquery", "trino"),
)


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGES[page], re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(text) for text in found]


def load_page(page: str, folder: Path) -> Settings:
    """The config of a page, with the variables that it gives in `.env`."""
    (folder / "config.yaml").write_text("\n".join(blocks(page, "yaml")), "utf-8")
    (folder / ".env").write_text("".join(text for text in blocks(page, "sh") if re.match(r"\w+=", text)), "utf-8")
    return load_settings(folder / "config.yaml")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_states_extra_set_up_url_types_cost_and_whether_we_run_it(page: str) -> None:
    text = PAGES[page]
    assert page in EXTRAS
    assert f"`{page}`" in text.split("\n\n")[1]
    assert re.search(r"\*\*(Run by us|Not run by us)\*\*", text.split("\n\n")[1])
    missing = [each for each in ("## Set-up", "## The URL", "## Types that need care") if f"\n{each}\n" not in text]
    assert missing == []
    assert re.search(r"\n## (Time|Reading).*\n", text)
    assert re.search(r"\n## (Cost|Time and cost)\n", text)
    assert f"](sources/{page}.md)" in (ROOT / "docs" / "sources.md").read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_config_of_a_page_loads(page: str, tmp_path: Path) -> None:
    assert blocks(page, "yaml")
    settings = load_page(page, tmp_path)
    assert settings.audiences
    assert settings.sources


@pytest.mark.parametrize("page", [page for page in PAGES if page != "duckdb"])
def test_a_source_without_its_driver_names_the_extra_of_its_page(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_page(page, tmp_path)
    for each in DRIVERS:
        monkeypatch.setitem(sys.modules, each, None)
    ((name, config),) = settings.sources.items()
    source = open_source(name, config)
    with pytest.raises(SourceError, match=rf"pip install 'audience-sync\[{page}\]'"):
        source.check()


@pytest.mark.skipif(not os.environ.get("AUDIENCE_SYNC_DRIVERS"), reason="needs the drivers of all extras")
@pytest.mark.parametrize("page", DATABASES)
def test_the_driver_of_the_extra_reads_the_url_of_its_page(page: str, tmp_path: Path) -> None:
    ((_, config),) = load_page(page, tmp_path).sources.items()
    url, _ = connect_arguments(parse_url(config.database or ""))
    kind = url.get_dialect()
    kind.import_dbapi()
    dialect = kind()
    if page != "bigquery":  # it opens the file of the credentials
        dialect.create_connect_args(url)
    assert "few_rows" in limited_query(dialect, "select user_id from orders", 100)


def test_snowflakes_file_of_a_key_goes_past_its_dialect_which_refuses_it_in_a_url(tmp_path: Path) -> None:
    ((_, config),) = load_page("snowflake", tmp_path).sources.items()
    url, arguments = connect_arguments(parse_url(config.database or ""))
    assert arguments == {"private_key_file": "/run/secrets/snowflake.p8"}
    assert dict(url.query) == {"warehouse": "small", "role": "audience_sync", "authenticator": "SNOWFLAKE_JWT"}
