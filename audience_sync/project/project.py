"""Offer a project to Python: every command of the command line as a method."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from msgspec.structs import replace

from audience_sync.errors import WrongValueError
from audience_sync.project.access import Access

if TYPE_CHECKING:
    from datetime import date

    from audience_sync.config.models import Settings
    from audience_sync.project.checks import Checks
    from audience_sync.project.decisions import Rejection
    from audience_sync.project.explanation import UserExplanation
    from audience_sync.project.freezes import Frozen, Unfrozen
    from audience_sync.project.history import AudienceRun, PastRun, PastRuns, PendingCalls, RunRecord
    from audience_sync.project.http_exchange import LiveCall
    from audience_sync.project.metrics_server import MetricsServer
    from audience_sync.project.progress import Cancelled, Progress
    from audience_sync.project.ramp import RampStep
    from audience_sync.project.records import Records
    from audience_sync.project.rehearsal import UpgradeRehearsal
    from audience_sync.project.schedules import ProjectSchedule
    from audience_sync.project.scheduling import Display, ProjectScheduler
    from audience_sync.project.status import Status
    from audience_sync.project.store import StoreBackup, StoreChecks, StoreCopy, StoreSchema, StoreUpgrade
    from audience_sync.project.users import Erased, Members, Suppressed, Unsuppressed
    from audience_sync.project.values import Plan, Run
    from audience_sync.sync.preview.plan_file import PlanFile
    from audience_sync.sync.repeat.inputs import ConfigInputs
    from audience_sync.sync.run import PlanReview
    from audience_sync.sync.values.request import RunRequest, SendLimits


#: Without it Python prints warnings of a library on stderr, unless the program that uses it has set up logging.
logging.getLogger("audience_sync").addHandler(logging.NullHandler())


#: Runs whose frames are kept for a decision.
_MAX_HELD = 5
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
        self._held_frames: dict[int, Mapping[str, Any]] = {}  # by run, for `approve`

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

    @property
    def settings(self) -> Settings:
        """The checked config. Raises ConfigError with every problem."""
        with self._access.masking():
            return self._access.settings()

    @property
    def store_url(self) -> str:
        """The URL of the store, with its password. It needs no secrets of sources and destinations."""
        with self._access.masking():
            return self._access.store_url()

    @property
    def store_label(self) -> str:
        """The store for people: its file, or its URL without the password."""
        from audience_sync.store.connection.engine import database_address, display_url
        from audience_sync.text import display_path

        address = database_address(self.store_url)
        return display_path(str(address.database)) if address.get_backend_name() == "sqlite" else display_url(address)

    def __repr__(self) -> str:
        env = f", env={self._access.environment!r}" if self._access.environment else ""
        return f"Project({str(self._access.config)!r}{env})"

    def sync(
        self,
        audiences: Iterable[str] | None = None,
        *,
        frames: Mapping[str, Any] | None = None,
        accept: Iterable[str] = (),
        accept_clock: bool = False,
        move_keys: Mapping[str, str] | None = None,
        plan: Plan | str | os.PathLike[str] | None = None,
        reason: str | None = None,
        upgrade: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Load, diff and deliver once, as ``audience-sync sync`` does.

        - ``audiences``: their keys; None is all of them. Computed traits are always loaded.
        - ``frames``: snapshots that replace those of the sources in this run alone. Each is a pandas or Polars
          DataFrame, an Arrow table or a DuckDB relation, by the key of an audience or of a computed trait, or the
          column of a `names_from`. It has the columns that the config names, such as ``user_id``. A later run reads
          the source.
        - ``accept``: keys whose snapshots pass their guard and `expect`.
        - ``accept_clock``: the clock is right, though it is more than a week from the newest run.
        - ``move_keys``: new keys of audiences, by their present keys.
        - ``plan``: do exactly what this plan has, or its file, or nothing and raise PlanError. It has the other
          arguments.
        - ``reason``: recorded with who asked for it.
        - ``upgrade``: upgrade the schema of a PostgreSQL store first.
        - ``progress``: receives ``Loading`` and ``Delivering``, one at a time, also from other threads.
        - ``cancelled``: an event, or a function that is asked ten times a second. The run then ends as after Ctrl-C.

        ``run.raise_for_status()`` raises unless everything was done. Raises RunInProgressError,
        StoreError, RunCancelledError and WrongUseError, after which nothing was done that is not recorded.
        """
        keys = _selected(audiences)
        accepted, moves = _keys("accept", accept), dict(move_keys or {})
        inputs = None
        if plan is not None:
            if keys or accepted or moves or accept_clock:
                raise WrongValueError("plan", _PLAN_ALONE)
            saved = self._saved(plan)
            planned = replace(saved.request, reason=reason)
            return self._run(planned, progress, cancelled, upgrade=upgrade, review=saved.refuse_other, frames=frames)
        with self._access.masking():
            if not (keys or frames is not None or accepted or moves or accept_clock or reason or upgrade):
                from audience_sync.project.repeat_run import repeat_last_run

                inputs = self._access.inputs()
                if inputs is not None and (run := repeat_last_run(inputs)) is not None:
                    return run
        from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

        request = Sync(
            selection=Selection(audiences=keys),
            exceptions=GuardExceptions(accepted=accepted, accept_clock=accept_clock),
            moves=moves,
            reason=reason,
        )
        return self._run(request, progress, cancelled, upgrade=upgrade, inputs=inputs, frames=frames)

    def plan(
        self,
        audiences: Iterable[str] | None = None,
        *,
        frames: Mapping[str, Any] | None = None,
        accept: Iterable[str] = (),
        accept_clock: bool = False,
        move_keys: Mapping[str, str] | None = None,
        rate: str | float | None = None,
        out: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Plan:
        """Show what ``sync`` would do, with the first calls and a forecast. Nothing is changed or sent.

        One audience that waits to be seeded by hand is planned as ``seed`` would send it, at ``rate``. ``out``: also
        write the plan to this file, for a later ``sync(plan=...)``. The other arguments are those of ``sync``. Raises
        StoreError, RunCancelledError and WrongUseError.
        """
        from audience_sync.sync.values.request import GuardExceptions, Selection, Sync

        request = Sync(
            command="plan",
            selection=Selection(audiences=_selected(audiences)),
            exceptions=GuardExceptions(accepted=_keys("accept", accept), accept_clock=accept_clock),
            limits=_limits(rate),
            moves=dict(move_keys or {}),
        )
        if out is None:
            return self._preview(request, progress, cancelled, frames=frames)
        from audience_sync.project.plan_file import refuse_other_file, write_plan

        with self._access.masking():
            refuse_other_file(Path(out), self._access.settings(), str(self._access.config))
        plan = self._preview(request, progress, cancelled, frames=frames)
        write_plan(Path(out), plan.preview.saved.text())
        return plan

    def seed(
        self,
        key: str,
        *,
        frames: Mapping[str, Any] | None = None,
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
        sends nothing. The other arguments and errors are those of ``sync``; its frames have to be given again.
        """
        from audience_sync.sync.values.request import Seed

        limits = _limits(rate, limit)
        request = Seed(key=key, baseline=not send, limits=limits, reason=reason)
        return replace(self._run(request, progress, cancelled, upgrade=upgrade, frames=frames), limit=limit)

    def plan_seed(
        self,
        key: str,
        *,
        rate: str | float | None = None,
        limit: int | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Plan:
        """Show what ``seed`` would send. Nothing is changed or sent."""
        from audience_sync.sync.values.request import Seed

        return self._preview(Seed(key=key, limits=_limits(rate, limit)), progress, cancelled)

    def ramp(
        self,
        key: str,
        shares: str | Iterable[str | float],
        *,
        max_refused: str | float = 0.05,
        rate: str | float | None = None,
        reason: str | None = None,
        upgrade: bool = False,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Iterator[RampStep]:
        """Seed an audience share by share of its members, one run after another, until a step stops it.

        ``shares``: rising, such as ``[0.01, 0.1, 1]`` or ``"1%,10%,100%"``. ``max_refused``: the largest share of
        refused calls among the members that were reached. Each step is yielded after its run; the last one may have
        the reason why no other follows.
        """
        from audience_sync.project.ramp import parsed_share, parsed_shares, ramp_steps
        from audience_sync.sync.values.request import Seed

        steps, most, limits = parsed_shares(shares), parsed_share("max_refused", max_refused), _limits(rate)

        def seed(share: float) -> Run:
            request = Seed(key=key, limits=replace(limits, share=share), reason=reason)
            return self._run(request, progress, cancelled, upgrade=upgrade)

        return ramp_steps(self._access, key, steps, most, seed)

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

        request = Resync(selection=Selection(audiences=_selected(audiences)), destination=destination, reason=reason)
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

        review = None if plan is None else plan.preview.saved.refuse_other
        return self._run(Retire(key=key, reason=reason), progress, cancelled, review=review)

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
        from audience_sync.project.arguments import run_number
        from audience_sync.sync.values.request import Undo

        number = run_number(run)
        request = Undo(command=f"undo {number}", undone_run=number, reason=reason)
        review = None if plan is None else plan.preview.saved.refuse_other
        return self._run(request, progress, cancelled, review=review)

    def plan_undo(self, run: int, *, progress: Progress | None = None, cancelled: Cancelled | None = None) -> Plan:
        """Show what ``undo`` would send. Nothing is changed or sent."""
        from audience_sync.project.arguments import run_number
        from audience_sync.sync.values.request import Undo

        number = run_number(run)
        request = Undo(command=f"undo {number}", undone_run=number)
        return self._preview(request, progress, cancelled, counts_sends=True)

    def approve(
        self,
        run: int,
        keys: Iterable[str] = (),
        *,
        frames: Mapping[str, Any] | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> Run:
        """Let what ``run`` held pass: all of it, or only these keys. Makes a run over them, with its own calls.

        If the source has changed since, the change is held for another decision. A frame of which this project held
        something is read again; another process has to give it again as ``frames``. Raises UnknownNameError if
        nothing of it waits, and the errors of ``sync``.
        """
        from audience_sync.project.arguments import run_number
        from audience_sync.project.decisions import approval

        number = run_number(run)
        with self._access.masking():
            request, holds = approval(self._access, number, _selected(keys, "keys") or (), reason)
        if frames is None and number in self._held_frames:
            from audience_sync.project.frames import frames_of_holds

            frames = frames_of_holds(self._access.settings(), self._held_frames[number], holds)
        return replace(self._run(request, progress, cancelled, frames=frames), approved=tuple(holds))

    def reject(self, run: int, keys: Iterable[str] = (), *, reason: str | None = None) -> Rejection:
        """Drop what ``run`` held: all of it, or only these keys. No source is read, and nothing is sent.

        If the source is still the same, the next run holds it again. Raises UnknownNameError if nothing of it waits.
        """
        from audience_sync.project.arguments import run_number
        from audience_sync.project.decisions import reject

        with self._access.masking():
            return reject(self._access, run_number(run), _selected(keys, "keys") or (), reason)

    def freeze(self, key: str, *, until: str | date | None = None, reason: str | None = None) -> Frozen:
        """Skip an audience until it is unfrozen: no run loads it, and nothing new of it is sent.

        Calls that are pending are still sent. ``until``: end the freeze by itself at this time (UTC without a zone). A
        second freeze replaces the time and the reason. Raises UnknownNameError and RetiredError.
        """
        from audience_sync.project.arguments import future_time
        from audience_sync.project.freezes import freeze

        with self._access.masking():
            return freeze(self._access, key, future_time("until", until), reason)

    def unfreeze(self, key: str, *, reason: str | None = None) -> Unfrozen:
        """Sync a frozen audience again: the next run loads it, and its guard checks what has changed meanwhile."""
        from audience_sync.project.freezes import unfreeze

        with self._access.masking():
            return unfreeze(self._access, key, reason)

    def suppress(self, users: str | Iterable[str], *, reason: str | None = None) -> Suppressed:
        """Never send anything to these users, not even ``false``. They stay members in the store.

        A run in progress leaves them out, too; then this waits some seconds for it.
        """
        from audience_sync.project.arguments import user_ids
        from audience_sync.project.users import suppress

        with self._access.masking():
            return suppress(self._access, user_ids(users), reason)

    def unsuppress(self, users: str | Iterable[str], *, reason: str | None = None) -> Unsuppressed:
        """Send to these users again; the next run sends what they missed. Erased users can come back, too."""
        from audience_sync.project.arguments import user_ids
        from audience_sync.project.users import unsuppress

        with self._access.masking():
            return unsuppress(self._access, user_ids(users), reason)

    def erase(self, users: str | Iterable[str], *, reason: str | None = None) -> Erased:
        """Remove users from the store, history included. Only a hash of each id is kept, so that they stay away.

        Destinations keep what they have: the answer names each, and how to delete a user there. Raises
        RunInProgressError.
        """
        from audience_sync.project.arguments import user_ids
        from audience_sync.project.users import erase

        with self._access.masking():
            return erase(self._access, user_ids(users), reason)

    def check(self, *, notify: bool = False) -> Checks:
        """Check config, sources, store and destinations. Nothing is changed, and users are sent nothing.

        ``notify``: send a test message to every address of `notify`, and call its `ping`.
        """
        from audience_sync.project.checks import check_project

        return check_project(self._access, notify=notify)

    def test_destination(self, destination: str, user_id: str, traits: Mapping[str, Any] | None = None) -> LiveCall:
        """Send one real call, and return request and response with secrets masked. The store records nothing.

        ``traits``: values of JSON by key; by default ``audience_sync_test`` is true. Raises WrongValueError for an
        unknown destination and for a suppressed user.
        """
        from audience_sync.project.arguments import one_user_id
        from audience_sync.project.live_call import call_destination

        with self._access.masking():
            user = one_user_id("user_id", user_id)
            return call_destination(self._access.settings(), destination, user, traits)

    def status(self) -> Status:
        """What needs a person, and the command for each; what continues by itself; what is well."""
        from datetime import UTC, datetime

        from audience_sync.project.status import find_status

        with self._access.masking():
            return find_status(self._access, datetime.now(UTC))

    def members(self, key: str, *, at: str | date | None = None) -> Members:
        """The members of an audience now, or as of a time (UTC without a zone).

        Raises UnknownNameError, and HistoryPrunedError for a time whose changes were deleted.
        """
        from audience_sync.project.arguments import past_time
        from audience_sync.project.users import find_members

        with self._access.masking():
            return find_members(self._access, key, past_time("at", at))

    def explain(self, user_id: str, *, at: str | date | None = None) -> UserExplanation:
        """One user now, or as of a time: audiences, traits, and what each destination was sent and answered.

        Ids are compared exactly as written. A user whom the store does not have is not an error: see ``is_known``.
        Raises HistoryPrunedError for a time whose changes were deleted.
        """
        from audience_sync.project.arguments import one_user_id, past_time
        from audience_sync.project.explanation import explain

        with self._access.masking():
            return explain(self._access, one_user_id("user_id", user_id), past_time("at", at))

    def runs(self, limit: int = 20) -> PastRuns[PastRun]:
        """The last runs, the newest first."""
        from audience_sync.project.arguments import count
        from audience_sync.project.history import read_runs

        with self._access.masking():
            return read_runs(self._access, count("limit", limit))

    def audience_runs(self, key: str, limit: int = 20) -> PastRuns[AudienceRun]:
        """The results of one audience in the last runs that loaded it, the newest first.

        Raises UnknownNameError for an unknown key.
        """
        from audience_sync.project.arguments import count
        from audience_sync.project.history import read_audience_runs

        with self._access.masking():
            return read_audience_runs(self._access, key, count("limit", limit))

    def run(self, number: int) -> RunRecord:
        """One run of the history in full, with refused calls and invalid rows. Raises UnknownNameError."""
        from audience_sync.project.arguments import run_number
        from audience_sync.project.history import read_run

        with self._access.masking():
            return read_run(self._access, run_number(number))

    def pending(self) -> Records[PendingCalls]:
        """The calls that are still to be sent, by destination."""
        from audience_sync.project.history import read_pending

        with self._access.masking():
            return read_pending(self._access)

    def schedules(self) -> tuple[ProjectSchedule, ...]:
        """The schedules of the config, with their next and last times."""
        from datetime import UTC, datetime

        from audience_sync.project.schedules import read_schedules

        with self._access.masking():
            return read_schedules(self._access, datetime.now(UTC))

    def scheduler(
        self,
        *,
        upgrade: bool,
        show: Callable[[Run], None],
        display: Display,
        serve_metrics: Callable[[Settings], None],
    ) -> ProjectScheduler:
        """A scheduler, for ``audience-sync schedule``: it runs what is due, and can read the config again."""
        from audience_sync.project.scheduling import ProjectScheduler

        return ProjectScheduler(self._access, upgrade=upgrade, show=show, display=display, serve_metrics=serve_metrics)

    def metrics_server(self) -> MetricsServer:
        """A context in which the store's metrics are served, once a config has a port for them."""
        from audience_sync.project.metrics_server import MetricsServer

        return MetricsServer()

    def store_schema(self) -> StoreSchema:
        """The schema that the store has, and the one that this program needs."""
        from audience_sync.project.store import read_schema

        with self._access.masking():
            return read_schema(self._access)

    def upgrade_store(self, *, reason: str | None = None) -> StoreUpgrade:
        """Bring the store's schema up to date. A SQLite store is backed up first."""
        from audience_sync.project.store import upgrade

        with self._access.masking():
            return upgrade(self._access, reason)

    def rehearse_upgrade(self, *, plan: Plan | str | os.PathLike[str] | None = None) -> UpgradeRehearsal:
        """Upgrade a copy of the store, and compare it and its plan with the store. Nothing is changed or sent.

        ``plan``: a plan that the version before has saved, or its file. Raises StoreError and RunInProgressError.
        """
        from audience_sync.project.rehearsal import rehearse_upgrade

        with self._access.masking():
            return rehearse_upgrade(self._access, None if plan is None else self._saved(plan))

    def check_store(self) -> StoreChecks:
        """Check the database, every snapshot's checksum, the members, and the position of each destination."""
        from audience_sync.project.store import check

        with self._access.masking():
            return check(self._access)

    def back_up_store(self, file: str | os.PathLike[str]) -> StoreBackup:
        """Copy a SQLite store into a file, consistent at one moment; runs may continue. Raises WrongValueError."""
        from audience_sync.project.store import back_up

        with self._access.masking():
            return back_up(self._access, Path(file))

    def copy_store(self, url: str, *, reason: str | None = None) -> StoreCopy:
        """Copy everything to another, empty store: ``sqlite:///new.db`` or ``postgresql://user@host/database``.

        ``${NAME}`` in it reads the environment of the process. Raises WrongValueError and StoreError.
        """
        from audience_sync.project.store import copy

        with self._access.masking():
            return copy(self._access, url, reason)

    def _saved(self, plan: Plan | str | os.PathLike[str]) -> PlanFile:
        """The request and the digests of a plan, or of its file."""
        from audience_sync.project.plan_file import read_plan
        from audience_sync.project.values import Plan

        return plan.preview.saved if isinstance(plan, Plan) else read_plan(Path(plan))

    def _run(
        self,
        request: RunRequest,
        progress: Progress | None,
        cancelled: Cancelled | None,
        *,
        upgrade: bool = False,
        review: PlanReview | None = None,
        inputs: ConfigInputs | None = None,
        frames: Mapping[str, Any] | None = None,
    ) -> Run:
        from audience_sync.project.carry_out import carry_out
        from audience_sync.project.progress import watching

        with self._access.masking(), watching(progress, cancelled) as listener:
            run = carry_out(
                self._access, request, listener, upgrade=upgrade, review=review, inputs=inputs, frames=frames
            )
        if frames and run.held:
            self._held_frames = dict([*self._held_frames.items(), (run.number, dict(frames))][-_MAX_HELD:])
        return run

    def _preview(
        self,
        request: RunRequest,
        progress: Progress | None,
        cancelled: Cancelled | None,
        *,
        counts_sends: bool = False,
        frames: Mapping[str, Any] | None = None,
    ) -> Plan:
        from audience_sync.project.carry_out import preview
        from audience_sync.project.progress import watching

        with self._access.masking(), watching(progress, cancelled) as listener:
            return preview(self._access, request, listener, counts_sends=counts_sends, frames=frames)


def _selected(keys: Iterable[str] | None, argument: str = "audiences") -> tuple[str, ...] | None:
    """The keys; None for all of them. Raises WrongValueError for a list that is empty, surely by mistake."""
    if keys is None or keys == ():
        return None
    if not (found := _keys(argument, keys)):
        raise WrongValueError(argument, "it has no key: leave it out for all of them")
    return found


def _keys(argument: str, keys: Iterable[str]) -> tuple[str, ...]:
    if keys == ():
        return ()
    from audience_sync.project.arguments import given_keys

    return given_keys(argument, keys)


def _limits(rate: str | float | None, limit: int | None = None) -> SendLimits:
    """The limits of a seed. Raises WrongValueError."""
    from audience_sync.project.arguments import count, users_per_second
    from audience_sync.sync.values.request import SendLimits

    calls = None if limit is None else count("limit", limit)
    return SendLimits(calls=calls, users_per_second=users_per_second(rate))
