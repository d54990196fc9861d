"""Define sources, where the rows of a snapshot come from, and what a snapshot must meet."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from audience_sync.config.sections.base import Duration, StrictModel, Text, text_form
from audience_sync.encodings import codec_of

#: Time limit for reading one entry, unless the source has its own.
DEFAULT_TIMEOUT = timedelta(hours=1)


def _check_encoding(name: str) -> str:
    codec_of(name)
    return name


#: Kept as written: a changed name changes the fingerprint, so the files are read again.
Encoding = Annotated[str, AfterValidator(_check_encoding)]

Partitions = Literal["hive"]
#: The values of `compare`; the second is for a source that compares snapshots itself.
HERE: Literal["here"] = "here"
IN_WAREHOUSE: Literal["in_warehouse"] = "in_warehouse"
_PARTITIONS = "`hive`: folders named `name=value` below the source's folder add a text column to their files; default: "


class DbtConfig(StrictModel):
    """The dbt project that builds what a source has. An entry with `dbt_model` is loaded if dbt has built its model."""

    run_results: Text = Field(
        description="The file in which dbt keeps the results of its last command, relative to the config file, or in a "
        "bucket. With a glob, the newest result of a model in these files counts.",
        examples=["../dbt/target/run_results.json"],
    )
    max_age: Duration | None = Field(
        default=None,
        description="Maximum age of the model: the time since dbt built it; default: any age.",
        examples=["26h"],
    )
    wait: Duration | None = Field(
        default=None,
        description="How long a run waits, before it begins, for models that are missing or too old there; "
        "default: it does not wait.",
        examples=["30m"],
    )


def _parse_models(value: object) -> object:
    return [value] if isinstance(value, str) else value


#: One model, or several.
DbtModels = Annotated[
    list[Text],
    Field(min_length=1),
    BeforeValidator(_parse_models, json_schema_input_type=Text | Annotated[list[Text], Field(min_length=1)]),
]


class SourceConfig(StrictModel):
    """A source of snapshots: one of `files`, `database` or `spark`."""

    files: Text | None = Field(
        default=None,
        description="A folder, relative to the config file; `s3://`, `gs://` and `az://` where installed.",
        examples=["examples/shop"],
    )
    database: Text | None = Field(
        default=None,
        repr=False,  # may hold a password
        description="The SQLAlchemy URL of a database, or of a DuckDB file (`duckdb:///warehouse.duckdb`).",
        examples=["${WAREHOUSE_URL}"],
    )
    spark: Text | None = Field(
        default=None,
        repr=False,  # may hold a token
        description="The URL of a Spark Connect server. Needs the extra `spark`.",
        examples=["sc://spark.internal:15002"],
    )
    state: Text | None = Field(
        default=None,
        description="For a `spark` source: where Spark keeps the last snapshots, to compare them itself: "
        "a path as the cluster sees it (`s3://...`, `file:///...`), or a schema (`CATALOG.SCHEMA`), for nothing else. "
        "Default: every row is fetched, and compared here.",
        examples=["s3://bucket/audience_sync"],
    )
    partitions: Partitions | None = Field(
        default=None,
        description=_PARTITIONS + "no columns from paths. It applies to everything that reads this source.",
    )
    compare: Literal["here", "in_warehouse"] = Field(
        default=HERE,
        description="For a `database` source: where snapshots are compared with the last ones. "
        "`here` fetches every row; `in_warehouse` fetches the changes, and the warehouse keeps the last snapshots in "
        "`schema`.",
    )
    state_schema: Text = Field(
        default="audience_sync",
        alias="schema",
        description="With `compare: in_warehouse`: the schema for the tables of last snapshots, and for nothing else.",
    )
    dbt: Annotated[DbtConfig | None, text_form(DbtConfig, "run_results")] = Field(
        default=None,
        description="The dbt project that builds it. Entries with `dbt_model` are loaded only after dbt has built "
        "that model; a text is its `run_results`.",
        examples=["{run_results: ../dbt/target/run_results.json, max_age: 26h}"],
    )
    timeout: Duration = Field(
        default=DEFAULT_TIMEOUT,
        description="Time limit for reading one audience or one entry of computed traits, from connecting to the last "
        "row, and for a probe. A read that takes longer is stopped, and only that entry fails.",
        examples=["15m"],
    )

    @property
    def compares(self) -> bool:
        """Whether the source compares snapshots itself."""
        return self.compare == IN_WAREHOUSE or self.state is not None


class RowsConfig(StrictModel):
    """The file or query with the rows of a snapshot."""

    source: Text = Field(description="The name of a source.")
    file: Text | None = Field(
        default=None,
        description="A file of a `files` source: CSV, TSV, JSON lines, Parquet or Excel, also gzipped; "
        "a glob or a folder reads several.",
        examples=["customers.parquet"],
    )
    query: Text | None = Field(
        default=None,
        description="SQL: over the files of a `files` source (DuckDB's dialect), or in the database, or on Spark.",
        examples=["select user_id from predictions where churn > 0.8"],
    )
    user_id: Text = Field(default="user_id", description="The column of the user ids.")
    encoding: Encoding = Field(
        default="utf-8",
        description="The encoding of a text file: any that Python knows by name. `latin-1` and `ascii` mean `cp1252`.",
        examples=["cp1252", "utf-16", "shift_jis"],
    )
    sheet: Text | None = Field(
        default=None, description="The sheet of an Excel file; default: the first that is not hidden."
    )
    partitions: Partitions | None = Field(default=None, description=_PARTITIONS + "the source's `partitions`.")


class Expect(StrictModel):
    """Expectations: a snapshot that does not meet them fails, and nothing of it is compared or sent."""

    rows: int | None = Field(default=None, ge=1, description="Minimum number of rows.", examples=[1000])
    max_age: Duration | None = Field(
        default=None,
        description="Maximum age of the newest file; for a database or Spark, of the time that `modified` returns.",
        examples=["26h"],
    )
    modified: Text | None = Field(
        default=None,
        description="For a `database` or `spark` source: a cheap query that returns the time of the newest change.",
        examples=["select max(updated_at) from predictions"],
    )
    marker: Text | None = Field(
        default=None,
        description="A file that is written after all others: it must exist, and may not be older than they are.",
        examples=["_SUCCESS"],
    )
    manifest: Text | None = Field(
        default=None,
        description="A file that lists the others, with their rows, sizes or checksums.",
        examples=["_manifest.json"],
    )
    columns: Literal["same"] | None = Field(
        default=None, description="`same`: columns and types must equal those of the last snapshot that was used."
    )


class SnapshotConfig(RowsConfig):
    """The rows of a snapshot, how a change of it is detected, and what it must meet."""

    ids: list[Text] | None = Field(
        default=None,
        description="Instead of `user_id`: several columns of ids of the same user. Calls are sent for each of them; "
        "the first is required in every row.",
        examples=["[user_id, email]"],
    )

    probe: Text | None = Field(
        default=None,
        description="For a `database` or `spark` source: a cheap query whose answer changes with the snapshot. While "
        "the answer stays the same, the snapshot is not read.",
        examples=["select max(updated_at), count(*) from predictions"],
    )
    dbt_model: DbtModels | None = Field(
        default=None,
        description="The dbt model (or seed, or dbt snapshot) that the rows come from, or several: its name, or its "
        "`unique_id`. See `dbt` of the source, and `audience-sync dbt exposures`.",
        examples=["churn_risk"],
    )
    expect: Expect | None = Field(default=None, description="What the snapshot must meet to be used.")
