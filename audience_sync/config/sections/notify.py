"""Who is told when something needs a look, and what does? The config's `notify`."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from audience_sync.config.sections.base import Duration, StrictModel
from audience_sync.config.sections.guard import ShareText
from audience_sync.config.sections.snapshot import Text
from audience_sync.model import AlertKind


class Notify(StrictModel):
    """Whom to tell, and of what. Each thing is told when it begins and when it is over, once."""

    to: list[Text] = Field(
        default=[],
        repr=False,
        description="Addresses as Apprise writes them: Slack, e-mail, PagerDuty, webhooks and a hundred others.",
        examples=["[slack://token/#data, mailto://user:password@example.com]"],
    )
    ping: Text | None = Field(
        default=None,
        repr=False,
        description="An address that is called after every run that has not failed: a dead-man's switch tells when it "
        "isn't any more.",
        examples=["https://hc-ping.com/your-uuid"],
    )
    of: list[AlertKind] = Field(default=list(AlertKind), description="What is told.")
    max_refused: ShareText = Field(
        default=0.01, description="Share of a run's calls that a destination may refuse.", examples=["1%"]
    )
    size: ShareText = Field(
        default=0.5,
        description="How far an audience may be from its usual size (the median of the last 30 runs).",
        examples=["50%"],
    )
    late: Duration = Field(
        default=timedelta(minutes=15),
        description="How late after its time, or the first of several that were missed, a run of `schedule` may begin.",
    )
