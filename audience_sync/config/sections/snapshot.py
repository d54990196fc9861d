"""Where do the rows of a snapshot come from?"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from audience_sync.config.sections.base import Duration, StrictModel
from audience_sync.config.sections.expect import Expect
from audience_sync.encodings import codec_of

Text = Annotated[str, Field(min_length=1)]
#: For one entry's read, unless the source has its own.
DEFAULT_TIMEOUT = timedelta(hours=1)


def _check_encoding(name: str) -> str:
    codec_of(name)
    return name


#: As written, so that a changed name reads the files again.
Encoding = Annotated[str, AfterValidator(_check_encoding)]

Partitions = Literal["hive"]
_PARTITIONS = (
    "`hive`: folders called `name=value` below the source's folder give their files a column of text; default: "
)


class SourceConfig(StrictModel):
    """A place snapshots come from: one of `files` or `database`."""

    files: Text | None = Field(
        default=None,
        description="A folder, relative to the config file; `s3://`, `gs://` and `az://` where installed.",
        examples=["examples/shop"],
    )
    database: Text | None = Field(
        default=None,
        repr=False,  # may hold a password
        description="An SQLAlchemy URL of a database.",
        examples=["${WAREHOUSE_URL}"],
    )
    partitions: Partitions | None = Field(
        default=None, description=_PARTITIONS + "a path gives no values. For everything that reads a `files` source."
    )
    timeout: Duration = Field(
        default=DEFAULT_TIMEOUT,
        description="Time for the read of one audience or one entry of computed traits, from connecting to the last "
        "row; also for a probe. What takes longer is stopped, and that entry alone fails.",
        examples=["15m"],
    )


class RowsConfig(StrictModel):
    """Where a snapshot's rows are."""

    source: Text = Field(description="The name of one of `sources`.")
    file: Text | None = Field(
        default=None,
        description="A file of a `files` source: CSV, TSV, JSON lines, Parquet or Excel, also gzipped; "
        "a glob or a folder reads several.",
        examples=["customers.parquet"],
    )
    query: Text | None = Field(
        default=None,
        description="SQL: over the files of a `files` source (DuckDB's dialect), or in the database.",
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
    partitions: Partitions | None = Field(default=None, description=_PARTITIONS + "as the source says.")


class SnapshotConfig(RowsConfig):
    """Where the rows of a snapshot are, and how it is known to be the last one still."""

    ids: list[Text] | None = Field(
        default=None,
        description="Instead of `user_id`: columns of ids that a user has beside each other. Each of them is told, and "
        "the first is needed in every row.",
        examples=["[user_id, email]"],
    )

    probe: Text | None = Field(
        default=None,
        description="For a `database` source: a cheap query whose answer changes whenever the snapshot does. While it "
        "is the same the snapshot isn't read.",
        examples=["select max(updated_at), count(*) from predictions"],
    )
    expect: Expect | None = Field(default=None, description="What the snapshot must be like to be used at all.")
