"""Define the section `notify`: where alerts go, and about what."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from audience_sync.config.sections.base import Duration, StrictModel, Text
from audience_sync.config.sections.guard import ShareText
from audience_sync.model import AlertKind


class Notify(StrictModel):
    """Notifications: one when an alert begins, one when it is resolved."""

    to: list[Text] = Field(
        default=[],
        repr=False,
        description="Addresses in the form of Apprise: Slack, e-mail, PagerDuty, webhooks and a hundred others.",
        examples=["[slack://token/#data, mailto://user:password@example.com]"],
    )
    ping: Text | None = Field(
        default=None,
        repr=False,
        description="An address that is called after every run that has not failed, such as a dead-man's switch, which "
        "alerts you when the calls stop.",
        examples=["https://hc-ping.com/your-uuid"],
    )
    of: list[AlertKind] = Field(default=list(AlertKind), description="The kinds of alerts that are sent.")
    max_refused: ShareText = Field(
        default=0.01,
        description="Share of a run's calls that a destination may refuse.",
        examples=["1%"],
    )
    size: ShareText = Field(
        default=0.5,
        description="How far an audience may differ from its usual size, the median of the last 30 runs.",
        examples=["50%"],
    )
    late: Duration = Field(
        default=timedelta(minutes=15),
        description="How late a run of `schedule` may start after its time, or after the first missed time.",
    )
