"""Audience Sync by Dagster: one run every quarter of an hour."""

from __future__ import annotations

import subprocess

from dagster import Backoff, Definitions, Failure, RetryPolicy, RetryRequested, ScheduleDefinition, job, op

COMMAND = ["audience-sync", "--config", "/etc/audience-sync/config.yaml", "sync"]


@op(retry_policy=RetryPolicy(max_retries=3, delay=60, backoff=Backoff.EXPONENTIAL))
def sync() -> None:
    code = subprocess.run(COMMAND).returncode
    if code in (2, 4):
        raise Failure("the config has a problem (2), or something is held (4)", allow_retries=False)
    if code not in (0, 1, 5):  # 1: the next run goes on; 5: another run is at work
        raise RetryRequested(max_retries=3, seconds_to_wait=60)


@job
def audience_sync() -> None:
    sync()


definitions = Definitions(
    jobs=[audience_sync],
    schedules=[ScheduleDefinition(job=audience_sync, cron_schedule="*/15 * * * *", execution_timezone="Europe/Berlin")],
)
