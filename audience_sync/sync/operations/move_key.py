"""Move an audience to a new key, which gets the stored members; the old key is retired.

Each member is sent `false` for the old key and `true` for the new one, in one call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from audience_sync.config.models import AudienceConfig
from audience_sync.errors import ConfigError, Problem, UnknownKeyError
from audience_sync.model import AudienceStatus, HoldKind, PropertyKind
from audience_sync.sql import quote_literal
from audience_sync.store.audiences.properties import Property
from audience_sync.store.snapshots.chain import BASE, Chain, current_rows_query, write_snapshot_file
from audience_sync.sync.guard.holds import supersede
from audience_sync.sync.guard.messages import freeze_text
from audience_sync.sync.values.change_set import ChainChange, ChangeSet, PropertyChange
from audience_sync.sync.values.findings import AudienceResult, Detection, RunFindings
from audience_sync.sync.values.run_context import RunContext
from audience_sync.sync.values.stored_state import StoredState
from audience_sync.text import not_found_message


def with_moved_keys(known: StoredState, moves: Mapping[str, str], seeding: frozenset[str]) -> StoredState:
    """The stored state as if the new keys (the values of ``moves``) had existed from the start.

    Finished moves change nothing. ``seeding``: audiences with an unfinished seed. Raises ConfigError, and
    UnknownKeyError for an audience that does not exist.
    """
    waiting = {old: new for old, new in moves.items() if not _is_done(known, old, new)}
    movable = sorted(each.key for each in known.properties.values() if _may_move(each))
    if absent := [old for old in waiting if not _has_entry(known.properties.get(old))]:
        there = f"Audiences that can be moved: {', '.join(movable) or 'none yet'}"
        raise UnknownKeyError(
            f"{not_found_message('audience', absent, movable)} Nothing was changed or sent.\n  {there}"
        )
    problems = [Problem("", reason) for old, new in waiting.items() if (reason := _refusal(known, old, new, seeding))]
    if problems:
        raise ConfigError(problems)
    properties, chains = dict(known.properties), dict(known.chains)
    for old, new in waiting.items():
        stored = properties[old]
        properties[new] = replace(stored, key=new, moved_from=old)
        properties[old] = replace(stored, retired=True)
        chains[stored.chain_id] = replace(chains[stored.chain_id], keys=(new,))
    missing, held_out = (
        {waiting.get(key, key): users for key, users in counts.items()} for counts in (known.absent, known.held_out)
    )
    return replace(known, properties=properties, chains=chains, absent=missing, held_out=held_out, moves=waiting)


def _is_done(stored: StoredState, old: str, new: str) -> bool:
    before, after = stored.properties.get(old), stored.properties.get(new)
    return before is not None and after is not None and before.retired and before.definition == after.definition


def _refusal(stored: StoredState, old: str, new: str, seeding: frozenset[str]) -> str | None:
    move = f"--move-key {old}={new}"
    if stored.properties[old].retired:
        return f"{move}: the key '{old}' is retired and has no members"
    if new in stored.properties:
        return f"{move}: the key '{new}' is there already. A key can only be moved to a new one"
    if old in stored.frozen:
        return f"{move}: audience '{old}' is {freeze_text(stored.frozen[old])}"
    if old in seeding:
        return f"{move}: audience '{old}' is being seeded by hand. Finish that first: audience-sync seed {old}"
    return None


def _has_entry(stored: Property | None) -> bool:
    """Whether it is an audience with its own entry in the config."""
    return stored is not None and stored.kind is PropertyKind.AUDIENCE and stored.origin is None


def _may_move(stored: Property) -> bool:
    return _has_entry(stored) and not stored.retired


def check_moves(moves: Mapping[str, str], audiences: Sequence[AudienceConfig]) -> None:
    """Raise ConfigError if the config still has an old key, or lacks a new one."""
    keys = {config.property_key for config in audiences}
    problems = [
        Problem("", f"--move-key {old}={new}: the config {reason}")
        for old, new in moves.items()
        for reason in (
            f"still has the key '{old}'" if old in keys else "",
            "" if new in keys else f"has no audience with the key '{new}': give it `key: {new}`",
        )
        if reason
    ]
    if problems:
        raise ConfigError(problems)


def move_keys(context: RunContext) -> Detection:
    """The exits of all members from the old keys; the new keys have them already."""
    return Detection.total(_move(context, old, new) for old, new in context.stored.moves.items())


def _move(context: RunContext, old: str, new: str) -> Detection:
    workspace, stored = context.workspace, context.stored.properties[new]
    chain = context.reader.chain(stored.chain_id)
    left = workspace.table("left", f"select user_id, false as present from ({current_rows_query(chain)})")
    log = workspace.view(
        "members_log",
        f"select user_id, {quote_literal(old)} as key, 'false' as value, 'true' as before from {left}",
    )
    no_users = write_snapshot_file(
        workspace, BASE, f"select user_id, {context.run} as run_id, present from {left} where present"
    )
    empty = Chain(id=None, kind=PropertyKind.AUDIENCE, keys=(old,), user_count=0).with_base(no_users, 0)
    change = ChainChange(chain=empty, files=(no_users,), log=log, members=left, moved_to=new)
    result = AudienceResult(
        key=old, name=stored.name, status=AudienceStatus.RETIRED, before=chain.user_count, left=chain.user_count
    )
    moves = f"audience '{stored.name}' moves from the key '{old}' to '{new}'; '{old}' closes for good."
    moved = Detection(
        changes=ChangeSet(chains=(change,), properties={old: PropertyChange(retired=True)}),
        findings=RunFindings(audiences=(result,), warnings=(moves,)),
    )
    return moved + supersede(context, (HoldKind.AUDIENCE, old), f"The audience moves to the key '{new}'")
