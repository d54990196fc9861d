"""Read the models of a dbt project that have ``meta.audience_sync``, from its ``manifest.json``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from audience_sync.dbt.names import KINDS
from audience_sync.errors import DbtProjectError, Problem

#: The option of a model's `meta`.
META = "audience_sync"
#: What to do where no model is marked.
NONE_MARKED = """no model of the dbt project has `meta.audience_sync`.
Nothing was written. Add it where the model is described (before dbt 1.8 without `config`):
  models:
    - name: churn_risk
      config:
        meta:
          audience_sync: {name: Churn Risk, user_id: customer_id}
Then run `dbt parse`, and this command again."""
_NOT_ONE = "is not a manifest of dbt. `dbt parse` writes it: target/manifest.json"


class Column(Struct, frozen=True):
    """A column that is described with its model. ``quote``: whether dbt's SQL quotes it."""

    quote: bool | None = None
    meta: dict[str, Any] | None = None
    config: dict[str, Any] | None = None

    @property
    def is_marked(self) -> bool:
        """Whether ``audience_sync`` is in the `meta` of the column, where nothing reads it."""
        return _meta_of(self) is not False


class Node(Struct, frozen=True, kw_only=True):
    """A node of the project. The fields are those of dbt's manifest; what dbt calls a relation is a table or a view."""

    name: str
    resource_type: str
    package_name: str = ""
    original_file_path: str = ""
    patch_path: str | None = None
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    relation_name: str | None = None
    config: dict[str, Any] | None = None
    meta: dict[str, Any] | None = None
    columns: dict[str, Column] = {}

    @property
    def is_ephemeral(self) -> bool:
        """Whether dbt puts it into the queries of others, so that there is no table to read."""
        return (self.config or {}).get("materialized") == "ephemeral"

    @property
    def relation(self) -> str:
        """The table or view, quoted as dbt does; None is left out."""
        return self.relation_name or ".".join(
            part for part in (self.database, self.schema, self.alias or self.name) if part
        )

    @property
    def described_in(self) -> str:
        """The file that describes it; ``PACKAGE://models/schema.yml`` in the manifest."""
        return (self.patch_path or self.original_file_path).partition("://")[2] or self.original_file_path

    @property
    def marked(self) -> Any:
        """What is below ``meta.audience_sync``; False without it."""
        return _meta_of(self)


def _meta_of(described: Node | Column) -> Any:
    """dbt has `meta` below ``config`` since 1.8, and that of columns since 1.10."""
    for meta in ((described.config or {}).get("meta"), described.meta):
        if isinstance(meta, Mapping) and META in meta:
            return meta[META]
    return False


class Metadata(Struct, frozen=True):
    dbt_schema_version: str = ""
    adapter_type: str | None = None
    project_name: str | None = None


class Manifest(Struct, frozen=True):
    """The parts of the manifest that are used. They are the same in its versions 4 to 12, and in 20, dbt Fusion's."""

    metadata: Metadata
    nodes: dict[str, Node]

    @property
    def with_rows(self) -> Mapping[str, Node]:
        """Models, seeds and dbt snapshots by id, in the order of their names."""
        found = ((key, each) for key, each in self.nodes.items() if each.resource_type in KINDS)
        return dict(sorted(found, key=lambda item: (item[1].name, item[0])))

    @property
    def marked(self) -> Mapping[str, Node]:
        """Those with ``meta.audience_sync``."""
        return {key: each for key, each in self.with_rows.items() if each.marked is not False}


def find_manifest(path: Path) -> Path:
    """The manifest itself, if the path is the folder of a dbt project, or its `target`."""
    if not path.is_dir():
        return path
    inside = path / "manifest.json"
    return inside if inside.exists() else path / "target" / "manifest.json"


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file. Raises DbtProjectError."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"{_NOT_ONE} ({error})"
        raise DbtProjectError([Problem(str(path), message)]) from None
    except OSError as error:
        message = f"can't be read: {error.strerror}. `dbt parse` writes it: target/manifest.json"
        raise DbtProjectError([Problem(str(path), message)]) from None
    if "/manifest/" not in found.metadata.dbt_schema_version:
        raise DbtProjectError([Problem(str(path), _NOT_ONE)])
    return found
