"""Where does a monitor find the numbers? The config's `metrics`."""

from __future__ import annotations

from pydantic import Field

from audience_sync.config.sections.base import StrictModel
from audience_sync.config.sections.snapshot import Text


class Metrics(StrictModel):
    """Numbers for Prometheus: over HTTP while `audience-sync schedule` stays, in a file after every run."""

    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="The port at which `schedule` answers, at `/metrics`.",
        examples=["9464"],
    )
    host: Text = Field(default="127.0.0.1", description="The address at which it does; `0.0.0.0` for all.")
    file: Text | None = Field(
        default=None,
        description="A file that every run writes, for node_exporter's textfile collector; readable by all. A relative "
        "path counts from the config file.",
        examples=["/var/lib/node_exporter/audience_sync.prom"],
    )
