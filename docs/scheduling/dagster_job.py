"""Audience Sync by Dagster: one run every quarter of an hour."""

from __future__ import annotations

import subprocess

from dagster import Definitions, Failure, RetryRequested, ScheduleDefinition, job, op

COMMAND = ["audience-sync", "--config", "/etc/audience-sync/config.yaml", "sync"]
#: Seconds until the next try.
PAUSE = 60


@op
def sync() -> None:
    code = subprocess.run(COMMAND).returncode
    if code in (2, 4):
        raise Failure("the config has a problem (2), or something is held (4)", allow_retries=False)
    if code not in (0, 1, 5):  # 1: the next run goes on; 5: another run is at work
        raise RetryRequested(max_retries=3, seconds_to_wait=PAUSE)


@job
def audience_sync() -> None:
    sync()


definitions = Definitions(
    jobs=[audience_sync],
    schedules=[ScheduleDefinition(job=audience_sync, cron_schedule="*/15 * * * *", execution_timezone="Europe/Berlin")],
)
