"""Write a config for a dbt project, and name the entries that an existing config lacks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from audience_sync.config.outline import OutlinedEntry, outline_of
from audience_sync.config.read import yaml_file
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.dbt.entries import Entries, read_entries
from audience_sync.dbt.manifest import Manifest

#: The name of the source in a new config, and the variable with its URL.
SOURCE, VARIABLE = "warehouse", "WAREHOUSE_URL"


class Warehouse(NamedTuple):
    """How a source reads what an adapter of dbt builds: the option, a URL, the extra with its driver.

    ``is_complete``: the URL is that of a file which is there, so that a person need not fill it in.
    """

    url: str
    extra: str | None
    option: str = "database"
    is_complete: bool = False


_WAREHOUSES = {
    "athena": Warehouse(
        "athena://@athena.REGION.amazonaws.com:443/{schema}?s3_staging_dir=s3://BUCKET/PATH/", "athena"
    ),
    "bigquery": Warehouse("bigquery://{database}", "bigquery"),
    "clickhouse": Warehouse("clickhouse://USER:PASSWORD@HOST:8443/{schema}", "clickhouse"),
    "databricks": Warehouse(
        "databricks://token:TOKEN@HOST?http_path=PATH&catalog={database}&schema={schema}", "databricks"
    ),
    "duckdb": Warehouse("duckdb:///{file}", None),
    "mysql": Warehouse("mysql://USER:PASSWORD@HOST:3306/{schema}", "mysql"),
    "postgres": Warehouse("postgresql+psycopg://USER:PASSWORD@HOST:5432/{database}", "postgresql"),
    "redshift": Warehouse("redshift://USER:PASSWORD@HOST:5439/{database}", "redshift"),
    "snowflake": Warehouse("snowflake://USER:PASSWORD@ACCOUNT/{database}/{schema}?warehouse=WAREHOUSE", "snowflake"),
    "spark": Warehouse("sc://HOST:15002", "spark", option="spark"),
    "sqlite": Warehouse("sqlite:///{file}", None),
    "sqlserver": Warehouse("mssql://USER:PASSWORD@HOST:1433/{database}", "mssql"),
    "trino": Warehouse("trino://USER:PASSWORD@HOST:443/{database}/{schema}", "trino"),
}
_ANY = Warehouse("DIALECT://USER:PASSWORD@HOST/{database}", None)

_CONFIG = """\
# Audience Sync: the audiences and computed traits of the dbt project{project}, as its models have them
# in meta.audience_sync. ${{NAME}} is an environment variable; paths are relative to this file.

# What was sent to whom, and when. PostgreSQL in production: postgresql://user@host/database
store: sqlite:///audience_sync.db

# Where dbt builds its models. {adapter}:
#   export {variable}='{url}'
sources:
  {source}:
    {option}: {value}
    # Load a model only after dbt has built it, and none that is older:
    # dbt: {results}
{entries}
# Where the identify calls go: here into files, one call per line.
{destinations}"""


def warehouse_of(manifest: Manifest, project: Path, folder: Path) -> Warehouse:
    """How to read what a project builds, with the database and the schema of its first model in the URL.

    A path in it is relative to the config's folder. Raises DbtProjectError if no model is marked.
    """
    adapter = manifest.metadata.adapter_type or ""
    found, node = _WAREHOUSES.get(adapter, _ANY), next(iter(manifest.marked.values()))
    database = node.database or "DATABASE"
    file = _duckdb_file(project, database) if adapter == "duckdb" else None
    guess = project / f"{database}.{'db' if adapter == 'sqlite' else 'duckdb'}"
    url = found.url.format(
        database=database, schema=node.schema or "SCHEMA", file=os.path.relpath(file or guess, folder)
    )
    return found._replace(url=url, is_complete=file is not None)


def _duckdb_file(project: Path, database: str) -> Path | None:
    """The DuckDB file of a project: dbt calls the database as the file. None unless it is clear which one it is.

    A file in the project comes before one next to it.
    """
    above = project.absolute().parent
    for folders in ([project], project.glob("*/"), [above], above.glob("*/")):
        files = [each / f"{database}{suffix}" for each in folders for suffix in (".duckdb", ".db", ".ddb")]
        if found := [each for each in files if _is_duckdb(each)]:
            return found[0] if len(found) == 1 else None
    return None


def _is_duckdb(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return opened.read(12)[8:] == b"DUCK"
    except OSError:
        return False


def write_config(manifest: Manifest, target: Path, folder: Path) -> str:
    """The text of a config in this folder. ``target``: where dbt writes its files. Raises DbtProjectError."""
    entries, warehouse = read_entries(manifest, SOURCE), warehouse_of(manifest, target.parent, folder)
    names = entries.destinations or ("log",)
    paths = {name: "identify_calls.jsonl" if name == "log" else f"{name}.jsonl" for name in names}
    return _CONFIG.format(
        project=f" {manifest.metadata.project_name}" if manifest.metadata.project_name else "",
        adapter=f"Its adapter is {manifest.metadata.adapter_type or 'not known'}",
        variable=VARIABLE,
        url=warehouse.url,
        source=SOURCE,
        option=warehouse.option,
        value=f"${{{VARIABLE}{f':-{warehouse.url}' if warehouse.is_complete else ''}}}",
        results=_flow({"run_results": os.path.relpath(target / "run_results.json", folder), "max_age": "26h"}),
        entries=entries_text(entries),
        destinations=_yaml({"destinations": {name: {"type": "file", "path": path} for name, path in paths.items()}}),
    )


def entries_text(entries: Entries) -> str:
    """The sections `audiences` and `computed_traits` as YAML; one without entries is left out."""
    sections = {"audiences": entries.audiences, "computed_traits": entries.computed_traits}
    return "".join(f"\n{_yaml({name: list(each)})}" for name, each in sections.items() if each)


def lacking(manifest: Manifest, config: Path) -> Entries:
    """The entries that an existing config lacks, for this source of its own: audiences and traits without their key.

    A model with one audience may have another key in the config. Raises DbtProjectError, and ConfigError if the config
    can't be read.
    """
    tree, _ = yaml_file.read(config)
    there = outline_of(tree).entries
    entries = read_entries(manifest, _source_of(tree), without={key for each in there for key in each.traits})
    audiences = outline_of({"audiences": list(entries.audiences)}).entries
    models = Counter(each.models for each in audiences)
    known = {_identity(each) for each in there} | {each.models for each in there if each.models and not each.traits}
    return replace(
        entries,
        audiences=tuple(
            entry
            for entry, each in zip(entries.audiences, audiences, strict=True)
            if _identity(each) not in known and (each.models not in known or models[each.models] > 1)
        ),
    )


def _identity(audience: OutlinedEntry) -> tuple[str, ...]:
    """What makes two audiences the same: the key. Those of a column are the same if they read one model."""
    return ("key", audience.key) if audience.key else ("names_from", audience.names_from or "", *audience.models)


def _source_of(tree: Mapping[str, Any]) -> str:
    """The source for new entries: that of the entries with a dbt model, else the first without `files`."""
    for part in ("audiences", "computed_traits"):
        for entry in as_list(tree.get(part)):
            if as_mapping(entry).get("dbt_model") and as_mapping(entry).get("source"):
                return str(as_mapping(entry)["source"])
    sources = as_mapping(tree.get("sources"))
    return next((name for name, each in sources.items() if "files" not in as_mapping(each)), SOURCE)


class _Dumper(yaml.SafeDumper):
    """Lists below their name are indented, as people write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _flow(value: object) -> str:
    """The value on one line."""
    text = yaml.dump(_escaped(value), Dumper=_Dumper, sort_keys=False, default_flow_style=True, width=10_000)
    return text.strip()


def _yaml(value: object) -> str:
    escaped = _escaped(value)
    return yaml.dump(escaped, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _escaped(value: Any) -> Any:
    """The value with `${` written as the config has it, so that no text of dbt becomes a variable."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, Mapping):
        return {name: _escaped(each) for name, each in value.items()}
    return [_escaped(each) for each in value] if isinstance(value, list | tuple) else value
