"""Offer a project to Python: every command of the command line as a method."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from msgspec.structs import replace

from audience_sync.errors import WrongValueError
from audience_sync.project.access import Access
from audience_sync.project.progress import Cancelled, Progress, watching

if TYPE_CHECKING:
    from audience_sync.project.decisions import Rejection
    from audience_sync.project.history import AudienceRun, PastRun, PastRuns, PendingCalls, RunRecord
    from audience_sync.project.records import Records
    from audience_sync.project.values import Plan, Run
    from audience_sync.sync.repeat.inputs import ConfigInputs
    from audience_sync.sync.values.request import RunRequest


#: Without it Python prints warnings of a library on stderr, unless the program that uses it has set up logging.
logging.getLogger("audience_sync").addHandler(logging.NullHandler())


_PLAN_ALONE = "it has the audiences, the guards that are lifted, the moves and the clock: give plan alone"


def _ignore(secrets: Iterable[str]) -> None:
    """A project's messages are masked already."""


class Project:
    """A project: its config, store, sources and destinations.

    It prints nothing, ends nothing and changes nothing of the process. Several projects, and threads, may be used at
    once; each call opens the store and closes it. ``Project.open`` checks the whole config at once; ``Project`` alone
    loads as much as a call needs, so that the history can be read without the secrets of sources and destinations.
    """

    def __init__(
        self,
        config: str | os.PathLike[str] = "config.yaml",
        *,
        env: str | None = None,
        report_secrets: Callable[[Iterable[str]], None] = _ignore,
    ) -> None:
        self._access = Access(Path(config), env, report_secrets)

    @classmethod
    def open(cls, config: str | os.PathLike[str] = "config.yaml", *, env: str | None = None) -> Self:
        """Load and check the config, with the part of its ``environments`` that ``env`` names.

        ``${NAME}`` in it reads the environment of the process; paths are relative to the folder of the file. The
        config is read once: open the project again after it has changed. Raises ConfigError with every problem.
        """
        project = cls(os.path.abspath(config), env=env)
        with project._access.masking():
            project._access.inputs()
            project._access.settings()
        return project

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing stays open between two calls."""

    def __repr__(self) -> str:
        env = f", env={self._access.environment!r}" if self._access.environment else ""
        return f"Project({str(self._access.config)!r}{env})"

    def sync(
        self,
        audiences: Iterable[str] | None = None,
        *,
        accept: Iterable[str] = (),
        accept_clock: bool = False,
        move_keys: Mapping[str, str] | None = None,
        plan: Plan | None = None,
        reason: str | None = None,
        upgrade: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Load, diff and deliver once, as ``audience-sync sync`` does.

        ``audiences``: their keys; None is all of them. Computed traits are always loaded. ``accept``: keys whose
        snapshots pass their guard and `expect`. ``accept_clock``: the clock is right, though it is more than a week
        from the newest run. ``move_keys``: new keys of audiences, by their present keys. ``plan``: do exactly what this
        plan has, or nothing and raise PlanError; it has the other arguments. ``reason``: recorded with who asked for
        it. ``upgrade``: upgrade the schema of a PostgreSQL store first.

        ``run.raise_for_status()`` raises unless everything was done. Raises RunInProgressError,
        StoreError, RunCancelledError and WrongUseError, after which nothing was done that is not recorded.
        """
        from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

        keys = _keys(audiences)
        accepted, moves = tuple(accept), dict(move_keys or {})
        inputs = None
        if plan is not None:
            if keys or accepted or moves or accept_clock:
                raise WrongValueError("plan", _PLAN_ALONE)
            planned = replace(plan.preview.saved.request, reason=reason)
            return self._run(planned, progress, cancelled, upgrade=upgrade, plan=plan)
        with self._access.masking():
            if not (keys or accepted or moves or accept_clock or reason or upgrade):
                from audience_sync.project.repeat_run import repeat_last_run

                inputs = self._access.inputs()
                if inputs is not None and (run := repeat_last_run(inputs)) is not None:
                    return run
        request = Sync(
            selection=Selection(audiences=keys),
            exceptions=GuardExceptions(accepted=accepted, accept_clock=accept_clock),
            moves=moves,
            reason=reason,
        )
        return self._run(request, progress, cancelled, upgrade=upgrade, inputs=inputs)

    def plan(
        self,
        audiences: Iterable[str] | None = None,
        *,
        accept: Iterable[str] = (),
        accept_clock: bool = False,
        move_keys: Mapping[str, str] | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Plan:
        """Show what ``sync`` would do, with the first calls and a forecast. Nothing is changed or sent.

        The arguments are those of ``sync``. Raises StoreError, RunCancelledError and WrongUseError.
        """
        from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

        request = Sync(
            command="plan",
            selection=Selection(audiences=_keys(audiences)),
            exceptions=GuardExceptions(accepted=tuple(accept), accept_clock=accept_clock),
            moves=dict(move_keys or {}),
        )
        return self._preview(request, progress, cancelled)

    def seed(
        self,
        key: str,
        *,
        rate: str | float | None = None,
        limit: int | None = None,
        send: bool = True,
        reason: str | None = None,
        upgrade: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Send a new audience to all destinations: ``true`` to every member.

        It can be interrupted and called again: it continues where it stopped. ``rate``: users a second, as a number or
        ``"500/s"``. ``limit``: the calls to send now; call again to continue. ``send``: False records the members and
        sends nothing. The other arguments and errors are those of ``sync``.
        """
        from audience_sync.sync.values.request import Seed, SendLimits

        limits = SendLimits(calls=limit, users_per_second=users_per_second(rate))
        request = Seed(key=key, baseline=not send, limits=limits, reason=reason)
        return self._run(request, progress, cancelled, upgrade=upgrade)

    def resync(
        self,
        audiences: Iterable[str] | None = None,
        *,
        destination: str | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Send everything again: ``true`` to the members, and ``false`` to former members.

        ``audiences``: their keys; None is all of them, with the computed traits. ``destination``: only this one.
        """
        from audience_sync.sync.values.request import Resync, Selection

        request = Resync(selection=Selection(audiences=_keys(audiences)), destination=destination, reason=reason)
        return self._run(request, progress, cancelled)

    def retry(
        self,
        destination: str | None = None,
        *,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Make a run that also sends refused calls again, with the newest values; to all destinations, or to one."""
        from audience_sync.sync.values.request import Retry

        return self._run(Retry(destination=destination, reason=reason), progress, cancelled)

    def retire(
        self,
        key: str,
        *,
        plan: Plan | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Send ``false`` to every user who may have been sent ``true``, and close ``key`` for good.

        For a computed trait it sends ``null``. ``plan``: the answer of ``plan_retire``, to do exactly that or nothing.
        """
        from audience_sync.sync.values.request import Retire

        return self._run(Retire(key=key, reason=reason), progress, cancelled, plan=plan)

    def plan_retire(self, key: str, *, progress: Progress | None = None, cancelled: Cancelled | None = None) -> Plan:
        """Show what ``retire`` would send. Nothing is changed or sent."""
        from audience_sync.sync.values.request import Retire

        return self._preview(Retire(key=key), progress, cancelled, counts_sends=True)

    def undo(
        self,
        run: int,
        *,
        plan: Plan | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Reverse what ``run`` changed, where there is no newer change, and send that.

        If the sources still have the undone changes, the next run holds them. ``plan``: the answer of ``plan_undo``, to
        do exactly that or nothing.
        """
        from audience_sync.model import RunId
        from audience_sync.sync.values.request import Undo

        request = Undo(command=f"undo {run}", undone_run=RunId(run), reason=reason)
        return self._run(request, progress, cancelled, plan=plan)

    def plan_undo(self, run: int, *, progress: Progress | None = None, cancelled: Cancelled | None = None) -> Plan:
        """Show what ``undo`` would send. Nothing is changed or sent."""
        from audience_sync.model import RunId
        from audience_sync.sync.values.request import Undo

        request = Undo(command=f"undo {run}", undone_run=RunId(run))
        return self._preview(request, progress, cancelled, counts_sends=True)

    def approve(
        self,
        run: int,
        keys: Iterable[str] = (),
        *,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Let what ``run`` held pass: all of it, or only these keys. Makes a run over them, with its own calls.

        If the source has changed since, the change is held for another decision. Raises UnknownNameError if nothing of
        it waits, and the errors of ``sync``.
        """
        from audience_sync.project.decisions import approval

        with self._access.masking():
            request = approval(self._access, run, _keys(keys) or (), reason)
        return self._run(request, progress, cancelled)

    def reject(self, run: int, keys: Iterable[str] = (), *, reason: str | None = None) -> Rejection:
        """Drop what ``run`` held: all of it, or only these keys. No source is read, and nothing is sent.

        If the source is still the same, the next run holds it again. Raises UnknownNameError if nothing of it waits.
        """
        from audience_sync.project.decisions import reject

        with self._access.masking():
            return reject(self._access, run, _keys(keys) or (), reason)

    def runs(self, limit: int = 20) -> PastRuns[PastRun]:
        """The last runs, the newest first."""
        from audience_sync.project.history import read_runs

        with self._access.masking():
            return read_runs(self._access, limit)

    def audience_runs(self, key: str, limit: int = 20) -> PastRuns[AudienceRun]:
        """The results of one audience in the last runs that loaded it, the newest first.

        Raises UnknownNameError for an unknown key.
        """
        from audience_sync.project.history import read_audience_runs

        with self._access.masking():
            return read_audience_runs(self._access, key, limit)

    def run(self, number: int) -> RunRecord:
        """One run of the history in full, with refused calls and invalid rows. Raises UnknownNameError."""
        from audience_sync.project.history import read_run

        with self._access.masking():
            return read_run(self._access, number)

    def pending(self) -> Records[PendingCalls]:
        """The calls that are still to be sent, by destination."""
        from audience_sync.project.history import read_pending

        with self._access.masking():
            return read_pending(self._access)

    def _run(
        self,
        request: RunRequest,
        progress: Progress | None,
        cancelled: Cancelled | None,
        *,
        upgrade: bool = False,
        plan: Plan | None = None,
        inputs: ConfigInputs | None = None,
    ) -> Run:
        from audience_sync.project.carry_out import carry_out

        review = None if plan is None else plan.preview.saved.refuse_other
        with self._access.masking(), watching(progress, cancelled) as listener:
            return carry_out(self._access, request, listener, upgrade=upgrade, review=review, inputs=inputs)

    def _preview(
        self,
        request: RunRequest,
        progress: Progress | None,
        cancelled: Cancelled | None,
        *,
        counts_sends: bool = False,
    ) -> Plan:
        from audience_sync.project.carry_out import preview

        with self._access.masking(), watching(progress, cancelled) as listener:
            return preview(self._access, request, listener, counts_sends=counts_sends)


def _keys(keys: Iterable[str] | None) -> Sequence[str] | None:
    """The keys; None for all. One text is one key, and not its letters."""
    if keys is None:
        return None
    return ((keys,) if isinstance(keys, str) else tuple(keys)) or None


def users_per_second(rate: str | float | None) -> float | None:
    """The rate of a seed: users a second, or a text such as ``500/s``. Raises WrongValueError."""
    from audience_sync.config.read.units import parse_rate

    if rate is None:
        return None
    try:
        return parse_rate(rate if isinstance(rate, str) else f"{rate}/s")
    except ValueError as error:
        raise WrongValueError("rate", str(error)) from None
