"""Define the section `expect`: what a snapshot must meet before it is used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from audience_sync.config.sections.base import Duration, StrictModel

Text = Annotated[str, Field(min_length=1)]


class Expect(StrictModel):
    """Expectations: a snapshot that does not meet them fails, and nothing of it is compared or sent."""

    rows: int | None = Field(default=None, ge=1, description="Minimum number of rows.", examples=[1000])
    max_age: Duration | None = Field(
        default=None,
        description="Maximum age of the newest file; for a database, of the time that `modified` returns.",
        examples=["26h"],
    )
    modified: Text | None = Field(
        default=None,
        description="For a `database` source: a cheap query that returns the time of the newest change.",
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
