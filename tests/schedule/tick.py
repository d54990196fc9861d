"""One turn of the scheduler at a time that a test chooses; in a process that may be killed in the middle."""

from __future__ import annotations

from datetime import datetime

from model.commands import prepare


def turn(moment: str, crash: tuple[str, int] | None) -> None:
    """All that a scheduler does that begins at this moment (ISO 8601), until nothing is due any more."""
    from audience_sync.cli.base.session import Session
    from audience_sync.cli.wiring.scheduling import load_scheduled_config
    from audience_sync.schedule.scheduler import Scheduler

    now = datetime.fromisoformat(moment)
    keeper = Scheduler(load_scheduled_config(Session()), lambda report: None)
    keeper.start(now)
    prepare(crash, None)
    while keeper.run_due(now) is not None:
        pass
    raise SystemExit
