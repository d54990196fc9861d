"""Describe an audience's entry in the config, if the config can be read."""

from __future__ import annotations

from dataclasses import dataclass

from audience_sync.config.models import AudienceConfig, Settings
from audience_sync.config.read.units import duration_text
from audience_sync.config.sections.guard import Guard, Schedule
from audience_sync.keys import KeyRefusedError
from audience_sync.redaction.secrets import mask_secrets


@dataclass(frozen=True, slots=True)
class Definition:
    """Labels and values of an entry, and its query if it has one."""

    pairs: tuple[tuple[str, str], ...]
    query: str | None


def definition_of(settings: Settings, key: str, name: str) -> Definition | None:
    """Describe the entry that an audience comes from; None if the config has none with its key or name.

    An audience that was renamed keeps its key, so the name is compared, too. Secrets are masked.
    """
    entry = _entry_of(settings, key, name)
    if entry is None:
        return None
    source = settings.sources.get(entry.source)
    kind = "a folder of files" if source is not None and source.files is not None else "a database"
    pairs = [("Source", f"{entry.source}, {kind}")]
    if entry.names_from is not None:
        pairs.append(("Names from", f"column {entry.names_from}"))
    if entry.file is not None:
        pairs.append(("File", entry.file))
    pairs.append(("User id", ", ".join(f"column {each}" for each in entry.ids or [entry.user_id])))
    pairs.append(("Guard", _guard_text(settings.guard_of(entry), is_own=entry.guard is not None)))
    pairs.append(("Destinations", ", ".join(settings.destinations_of(entry)) or "none"))
    schedule = settings.schedule_of(entry)
    pairs.append(("Schedule", _schedule_text(schedule) if schedule is not None else "by command only"))
    pairs += [(label, value) for label, value in _special(entry) if value]
    return Definition(
        tuple((label, mask_secrets(value, settings.secrets)) for label, value in pairs),
        mask_secrets(entry.query, settings.secrets).strip() if entry.query is not None else None,
    )


def _entry_of(settings: Settings, key: str, name: str) -> AudienceConfig | None:
    if (found := entry_with_key(settings, key)) is not None:
        return found
    by_name = next((each for each in settings.audiences if each.names_from is None and each.name == name), None)
    families = [each for each in settings.audiences if each.names_from is not None]
    return by_name or (families[0] if len(families) == 1 else None)


def entry_with_key(settings: Settings, key: str) -> AudienceConfig | None:
    """Return the entry of the config that has this key, or whose name makes it."""
    for each in settings.audiences:
        try:
            if each.property_key == key:
                return each
        except KeyRefusedError:
            continue
    return None


def _special(entry: AudienceConfig) -> list[tuple[str, str]]:
    return [
        (
            "First run",
            {"none": "records the members without sending", "manual": "waits for seed"}.get(entry.initial, ""),
        ),
        ("Holdout", f"{entry.holdout * 100:g}%" if entry.holdout else ""),
        ("Stays", f"{entry.min_stay} after leaving the source" if entry.min_stay is not None else ""),
    ]


def _guard_text(guard: Guard, *, is_own: bool) -> str:
    return guard.text if is_own else f"{guard.text} (the config’s)"


def _schedule_text(schedule: Schedule) -> str:
    if schedule.every is not None:
        return f"every {duration_text(schedule.every)}"
    return f"{schedule.cron} in {schedule.timezone or 'UTC'}"
