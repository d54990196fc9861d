"""Audience Sync by Apache Airflow: one run every quarter of an hour."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

COMMAND = ["audience-sync", "--config", "/etc/audience-sync/config.yaml", "sync"]


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001  # Airflow takes it as UTC
    catchup=False,
    max_active_runs=1,
)
def audience_sync() -> None:
    @task(retries=3, retry_delay=timedelta(minutes=1))
    def sync() -> None:
        code = subprocess.run(COMMAND).returncode
        if code in (2, 4):
            raise AirflowFailException("the config has a problem (2), or something is held (4)")
        if code == 5:
            raise AirflowSkipException("another run is at work")
        if code not in (0, 1):  # 1: something is refused or not yet delivered; the next run goes on
            raise RuntimeError(f"audience-sync ended with {code}: it is tried again")

    sync()


audience_sync()
