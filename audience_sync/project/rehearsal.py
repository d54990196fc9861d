"""Rehearse an upgrade of the store, and compare the plans before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from audience_sync.errors import AudienceSyncError, ConfigError
from audience_sync.model import AudienceStatus
from audience_sync.project.access import Access

if TYPE_CHECKING:
    from audience_sync.config.models import Settings
    from audience_sync.store.rehearsal.rehearse import Rehearsal
    from audience_sync.sync.preview.plan import RunPreview
    from audience_sync.sync.preview.plan_file import PlanFile

#: Plans that are made again if a source may have changed between two.
ATTEMPTS = 2
NEEDS_OLD_PROGRAM = (
    "only the program that is installed now can plan with schema {schema}. To compare with it: save a plan there with "
    "`audience-sync plan --out before.json`, and add `--plan before.json`"
)


class PlanComparison(Struct, frozen=True, kw_only=True):
    """The plans before and after the upgrade, and where they differ. ``reason``: why they were not compared.

    ``before`` and ``after``: calls by destination; None if there is no such plan. ``not_loaded``: audiences and traits
    that neither plan has, with reasons.
    """

    reason: str | None = None
    differences: Sequence[str] = ()
    before: Mapping[str, int] | None = None
    after: Mapping[str, int] | None = None
    not_loaded: Sequence[str] = ()

    @property
    def new_calls(self) -> int | None:
        """The calls that are sent after the upgrade and would not be without it; None if that is not known."""
        if self.before is None or self.after is None or self.reason:
            return None
        return sum(max(0, calls - self.before.get(name, 0)) for name, calls in self.after.items())

    def as_json(self) -> dict[str, Any]:
        return {
            "compared": self.reason is None,
            "reason": self.reason,
            "differences": list(self.differences),
            "new_calls": self.new_calls,
            "calls_before": self.before and dict(self.before),
            "calls_after": self.after and dict(self.after),
            "not_loaded": list(self.not_loaded),
        }


class UpgradeRehearsal(Struct, frozen=True, kw_only=True):
    """The receipt of an upgrade on a copy: what became of the store, and of its plan."""

    found: Rehearsal
    plans: PlanComparison

    def __repr__(self) -> str:
        outcome = "good" if self.good else "not good"
        return f"<UpgradeRehearsal from {self.found.before} to {self.found.after}: {outcome}>"

    @property
    def good(self) -> bool:
        """Whether nothing was lost, and the plans are the same."""
        return self.found.is_good and not self.plans.differences

    def to_dict(self) -> dict[str, Any]:
        """The document of ``audience-sync db upgrade --rehearse --json``."""
        return {
            "store": self.found.store,
            "from": self.found.before,
            "to": self.found.after,
            "good": self.good,
            "error": self.found.error,
            "differences": [*self.found.differences, *self.plans.differences],
            "contents": [each.as_json() for each in self.found.contents],
            "tables": [each.as_json() for each in self.found.tables],
            "views": [each.as_json() for each in self.found.views],
            "checks": [each._asdict() for each in self.found.checks],
            "plan": self.plans.as_json(),
            "space": {
                "store": self.found.space.store,
                "needed": self.found.space.needed,
                "free": self.found.space.free,
            },
            "seconds": {
                "copy": round(self.found.seconds.copy, 3),
                "upgrade": round(self.found.seconds.upgrade, 3),
                "compare": round(self.found.seconds.compare, 3),
            },
        }


def rehearse_upgrade(access: Access, saved: PlanFile | None) -> UpgradeRehearsal:
    """The receipt. ``saved``: a plan that the installed version has saved. Raises StoreError and RunInProgressError."""
    from audience_sync.store.connection.engine import Store
    from audience_sync.store.rehearsal.rehearse import rehearsed

    stored = access.store_settings()
    with (
        closing(Store(stored.store)) as store,
        rehearsed(store, memory_limit=stored.memory_limit) as (found, copy),
    ):
        if found.error is not None:
            return UpgradeRehearsal(found=found, plans=PlanComparison(reason="the upgrade failed"))
        try:
            settings = access.settings()
        except ConfigError as error:
            problem = f"the config can't be used: {'; '.join(map(str, error.problems))}"
            return UpgradeRehearsal(found=found, plans=PlanComparison(reason=problem))
        plans = _compare_plans(settings, copy.url, saved, is_older=found.before != found.after, of=found.before)
        return UpgradeRehearsal(found=found, plans=plans)


def _compare_plans(
    settings: Settings, copy_url: str, saved: PlanFile | None, *, is_older: bool, of: str
) -> PlanComparison:
    from audience_sync.sync.preview.plan_file import other_changes

    upgraded = settings.model_copy(update={"store": copy_url})
    compared = PlanComparison()
    for _ in range(ATTEMPTS):
        earlier = saved
        if saved is None and not is_older:
            before = _plan(settings, None)
            if isinstance(before, str):
                return PlanComparison(reason=before)
            earlier = before.saved
        after = _plan(upgraded, saved)
        if isinstance(after, str):
            return PlanComparison(reason=after)
        found = PlanComparison(after=_calls(after.saved), not_loaded=_not_loaded(after))
        if earlier is None:
            return replace(found, reason=NEEDS_OLD_PROGRAM.format(schema=of))
        compared = replace(found, before=_calls(earlier), differences=other_changes(earlier, after.saved))
        if not compared.differences or saved is not None:
            break
    return compared


def _plan(settings: Settings, saved: PlanFile | None) -> RunPreview | str:
    """The plan with this store, or the reason why it can't be made."""
    from audience_sync.project.opening import open_to_read
    from audience_sync.sync.preview.plan import preview_run
    from audience_sync.sync.values.request import ProgressListener, Sync

    request = Sync(command="plan") if saved is None else saved.request
    try:
        with open_to_read(settings) as parts:
            found = preview_run(parts, request, ProgressListener())
    except AudienceSyncError as error:
        return str(error)
    if found.findings.errors:
        return "; ".join(found.findings.errors)
    if _is_nothing_loaded(found):
        return f"no source could be read: {'; '.join(_not_loaded(found))}"
    return found


def _is_nothing_loaded(found: RunPreview) -> bool:
    audiences, traits = found.findings.audiences, found.findings.traits
    failed = all(each.status is AudienceStatus.FAILED for each in audiences) and (traits.errors or not traits.users)
    return bool(failed and _not_loaded(found))


def _not_loaded(found: RunPreview) -> list[str]:
    failed = [each for each in found.findings.audiences if each.status is AudienceStatus.FAILED]
    return list(dict.fromkeys([*(each.error or each.key for each in failed), *found.findings.traits.errors]))


def _calls(plan: PlanFile) -> dict[str, int]:
    """By destination, from the texts of a saved plan: ``1,234 calls``."""
    start = "destination "
    found = {of.removeprefix(start): each.what for of, each in plan.changes.items() if of.startswith(start)}
    return {name: int(what.split()[0].replace(",", "")) for name, what in found.items()}
