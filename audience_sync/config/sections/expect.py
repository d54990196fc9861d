"""What must a snapshot show before it is compared with the last one?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from audience_sync.config.sections.base import Duration, StrictModel

Text = Annotated[str, Field(min_length=1)]


class Expect(StrictModel):
    """A snapshot that isn't like this is refused: nothing of it is compared or sent."""

    rows: int | None = Field(default=None, ge=1, description="At least so many rows.", examples=[1000])
    max_age: Duration | None = Field(
        default=None,
        description="The newest of its files may not be older; of a database, the time that `modified` gives.",
        examples=["26h"],
    )
    modified: Text | None = Field(
        default=None,
        description="For a `database` source: a cheap query for the time of the newest change.",
        examples=["select max(updated_at) from predictions"],
    )
    marker: Text | None = Field(
        default=None,
        description="A file that is written when the others are complete: it must be there, and be no older than they.",
        examples=["_SUCCESS"],
    )
    manifest: Text | None = Field(
        default=None,
        description="A file that lists the others, with their rows, sizes or checksums.",
        examples=["_manifest.json"],
    )
    columns: Literal["same"] | None = Field(
        default=None, description="`same`: columns and types must be those of the last snapshot that was taken."
    )
