"""Write a config for a dbt project, and name the entries that an existing config lacks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from audience_sync.config.read import yaml_file
from audience_sync.config.validate.pydantic_errors import as_list, as_mapping
from audience_sync.dbt.entries import Entries, Entry, read_entries
from audience_sync.dbt.manifest import Manifest

#: The name of the source in a new config, and the variable with its URL.
SOURCE, VARIABLE = "warehouse", "WAREHOUSE_URL"


class Warehouse(NamedTuple):
    """How a source reads what an adapter of dbt builds: the option, a URL to fill in, the extra with its driver."""

    url: str
    extra: str | None
    option: str = "database"


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
    {option}: ${{{variable}}}
    # Load a model only after dbt has built it, and none that is older:
    # dbt: {{run_results: {run_results}, max_age: 26h}}
{entries}
# Where the identify calls go: here into files, one call per line.
{destinations}"""


def warehouse_of(manifest: Manifest, project: Path, folder: Path) -> Warehouse:
    """How to read what a project builds, with the database and the schema of its first model in the URL.

    A path in it is relative to the config's folder. By default, dbt puts a DuckDB file into the folder of the project.
    """
    adapter = manifest.metadata.adapter_type or ""
    found, node = _WAREHOUSES.get(adapter, _ANY), next(iter(manifest.marked.values()))
    database = node.database or "DATABASE"
    file = os.path.relpath(project / f"{database}.{'db' if adapter == 'sqlite' else 'duckdb'}", folder)
    return found._replace(url=found.url.format(database=database, schema=node.schema or "SCHEMA", file=file))


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
        run_results=os.path.relpath(target / "run_results.json", folder),
        entries=entries_text(entries),
        destinations=_yaml({"destinations": {name: {"type": "file", "path": path} for name, path in paths.items()}}),
    )


def entries_text(entries: Entries) -> str:
    """The sections `audiences` and `computed_traits` as YAML; one without entries is left out."""
    sections = {"audiences": entries.audiences, "computed_traits": entries.computed_traits}
    return "".join(f"\n{_yaml({name: list(each)})}" for name, each in sections.items() if each)


def lacking(manifest: Manifest, config: Path) -> Entries:
    """The entries that an existing config lacks: those whose model it does not name, for this source of its own.

    Raises DbtProjectError, and ConfigError if the config can't be read.
    """
    tree, _ = yaml_file.read(config)
    source = _source_of(tree)
    entries = read_entries(manifest, source)
    there = {
        part: {name for entry in as_list(tree.get(part)) for name in _identities(as_mapping(entry))}
        for part in ("audiences", "computed_traits")
    }
    return Entries(
        audiences=_others(entries.audiences, there["audiences"]),
        computed_traits=_others(entries.computed_traits, there["computed_traits"]),
    )


def _others(entries: Iterable[Entry], there: set[str]) -> tuple[Entry, ...]:
    return tuple(each for each in entries if there.isdisjoint(_identities(each)))


def _identities(entry: Mapping[str, Any]) -> set[str]:
    """What makes two entries the same: the model together with what becomes of it, or the key or the name alone."""
    models = entry.get("dbt_model")
    names = [str(each) for each in (models if isinstance(models, list) else [models]) if each]
    what = entry.get("key") or entry.get("name") or entry.get("names_from")
    if what is None:  # computed traits: several entries may read one model
        return {f"dbt_model {name}" for name in names}
    return {f"what {what}"}


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
