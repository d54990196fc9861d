"""Define the section `metrics`: where a monitor reads the metrics."""

from __future__ import annotations

from pydantic import Field

from audience_sync.config.sections.base import StrictModel, Text


class Metrics(StrictModel):
    """Metrics for Prometheus: over HTTP while `audience-sync schedule` is running, in a file after every run."""

    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="The port on which `audience-sync schedule` serves `/metrics`.",
        examples=["9464"],
    )
    host: Text = Field(default="127.0.0.1", description="The address on which it listens; `0.0.0.0` for all.")
    file: Text | None = Field(
        default=None,
        description="A file that every run writes, for node_exporter's textfile collector; all users of the machine "
        "can read it. A relative path is relative to the config file.",
        examples=["/var/lib/node_exporter/audience_sync.prom"],
    )
