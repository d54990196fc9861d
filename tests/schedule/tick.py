"""Let the scheduler do what is due at a given time, in a process that may be killed meanwhile."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from model.commands import prepare


def turn(moment: str, crash: tuple[str, int] | None) -> None:
    """Start a scheduler at this time (ISO 8601), and run what is due."""
    from audience_sync.project.access import Access
    from audience_sync.project.scheduling import load_scheduled_config
    from audience_sync.schedule.scheduler import Scheduler

    now = datetime.fromisoformat(moment)
    scheduler = Scheduler(load_scheduled_config(Access(Path("config.yaml"))), lambda report: None)
    scheduler.start(now)
    prepare(crash, None)
    while scheduler.run_due(now) is not None:
        pass
    raise SystemExit
