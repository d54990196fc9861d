"""Lay out checks of the project and of the store: the outcome, one line for each check, and the next command."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.cli.base.layout import Screen, advice, prose
from audience_sync.project.checks import ProjectCheck
from audience_sync.store.integrity.result import CheckResult
from audience_sync.text import pluralize


def project_check_lines(checks: Sequence[ProjectCheck], screen: Screen, *, notified: bool = False) -> list[str]:
    """Lay out the checks of a project. ``notified``: they included test messages."""
    failed = [each.part for each in checks if not each.good]
    outcome = f"{pluralize(len(checks), 'check')} passed. Nothing was changed or sent"
    outcome += ", except test messages." if notified else "."
    if failed:
        parts = ", ".join(_part_count(part, failed.count(part)) for part in dict.fromkeys(failed))
        outcome = f"{len(failed):,} of {pluralize(len(checks), 'check')} failed: {parts}."
    texts = [f"{each.name}: {each.message}" if each.name else each.message for each in checks]
    results = [CheckResult(each.part, each.good, text) for each, text in zip(checks, texts, strict=True)]
    lines = [*prose(outcome, screen), "", *_check_rows(results, screen)]
    if failed:
        return [*lines, "", *advice("After correcting this:", "audience-sync check", screen=screen)]
    return lines if screen.width is None else [*lines, "", *advice("Next:", "audience-sync plan", screen=screen)]


def _part_count(part: str, count: int) -> str:
    names = {"config": "the config", "notify": "notify", "traits": "computed traits"}
    return names.get(part) or pluralize(count, part)


def store_check_lines(checks: Sequence[CheckResult], screen: Screen) -> list[str]:
    """Lay out the checks of the store. A failed one has its own remedy."""
    failed, count = sum(not each.good for each in checks), pluralize(len(checks), "check")
    outcome = f"The store is intact: {count} passed."
    if failed:
        outcome = f"The store is damaged: {failed} of {count} failed. Stop scheduled runs first."
    lines = [*prose(outcome, screen), "", *_check_rows(checks, screen)]
    restored = "If it was restored from a backup, destinations have newer values than it has on record:"
    return lines if failed else [*lines, "", *advice(restored, "audience-sync resync", screen=screen)]


def _check_rows(checks: Sequence[CheckResult], screen: Screen) -> list[str]:
    """One line for each check, marked ``ok`` or ``FAILED``; its text is wrapped at its own indent."""
    width, lines = max((len(each.part) for each in checks), default=0), list[str]()
    for each in checks:
        result = "ok" if each.good else "FAILED"
        start = f"{result:<6}  {each.part:<{width}}  "
        first, *others = prose(" ".join(each.message.split()), screen, indent=start, hanging=" " * len(start))
        lines += [screen.coloured(first, result), *others]
    return lines
