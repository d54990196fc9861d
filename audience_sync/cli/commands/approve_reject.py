"""``audience-sync approve`` and ``reject``: a person decides on what a run held."""

from __future__ import annotations

from functools import partial

import click

from audience_sync.cli.base.options import held_keys_argument, held_run_argument, reason_option
from audience_sync.cli.base.session import Session, quiet_option, with_session


@click.command()
@held_run_argument
@held_keys_argument
@reason_option
@quiet_option
@with_session
def approve(session: Session, run: int, keys: tuple[str, ...], reason: str | None) -> int:
    """Let a held snapshot pass: all that RUN held, or only these keys. Makes a run over them, with its own calls.

    If the source has changed since, the change is shown, and held for another decision.
    """
    from audience_sync.cli.views.wording import approve_wording
    from audience_sync.cli.wiring.run_command import make_run

    return make_run(
        session,
        lambda progress: session.project.approve(run, keys, reason=reason, progress=progress),
        describe=partial(approve_wording, run=run),
    ).exit_code


@click.command()
@held_run_argument
@held_keys_argument
@reason_option
@with_session
def reject(session: Session, run: int, keys: tuple[str, ...], reason: str | None) -> None:
    """Drop a held snapshot: all that RUN held, or only these keys. Reads no source and sends nothing.

    If the source is still the same, the next run holds it again.
    """
    from audience_sync.cli.views.wording import rejection_lines

    found = session.project.reject(run, keys, reason=reason)
    session.answer(found.to_dict(), lambda screen: rejection_lines(found, screen))
