"""What is a destination owed? Everything it has not been told, with the newest values, merged per user.

Nothing here is stored: it follows from the destination's position, the log of changes and the stored
snapshots, so that whatever is sent again after a failure carries the newest values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audience_sync.delivery.feeds import Feed, Subscription
from audience_sync.delivery.ranges import told_run
from audience_sync.model import PropertyKind
from audience_sync.store.chains import Chain, current, trait_column
from audience_sync.workspace import Workspace, literal

#: Greater than any run.
NEVER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Facts:
    """What there is to tell: tables in the workspace, and the stored snapshots by key.

    ``log`` holds the changes after first creations, ``refused`` what refused calls carried; both have the
    columns ``user_id``, ``key``, ``value`` (JSON; NULL = gone) and ``run_id``. So has ``withheld``: what users
    were not sent while they were suppressed. ``suppressed`` (``user_id``): who is now.
    """

    log: str
    refused: str
    chains: Mapping[str, Chain]
    suppressed: str | None = None
    withheld: str | None = None


def owed(
    workspace: Workspace,
    facts: Facts,
    feed: Feed,
    subscriptions: Sequence[Subscription],
    *,
    companions: Sequence[Sequence[str]] = (),
    retry_refused: bool = False,
    only_told: bool = False,
    kept_back: str | None = None,
) -> str:
    """A table with one row a user: ``user_id``, ``traits`` (a JSON object), ``versions`` and ``run_id``.

    ``versions`` names for each key the run that made its value (``key@run,key@run``); ``run_id`` is the newest
    of them. ``only_told`` leaves out the users whom the feed has not reached yet. ``kept_back`` names a table that
    is made of what suppressed users would have been sent.
    """
    items = workspace.name("items")
    log, walks = _from_log(facts, feed, subscriptions), _walks(facts, feed, subscriptions)
    known = [log, _refused(facts, subscriptions, [log, *walks], retry_refused), *_withheld(facts, subscriptions)]
    workspace.run(f"create table {items} as {_newest(known)}")
    if walks:
        workspace.run(
            f"insert into {items} select * from ({' union all '.join(walks)}) w "
            f"anti join {items} i using (user_id, key)"
        )
    _filter(workspace, items, feed, only_told)
    _renew(workspace, items, feed, subscriptions)
    _keep_back(workspace, items, facts, kept_back)
    _add_companions(workspace, items, facts, subscriptions, companions)
    return _merge_per_user(workspace, items)


def _from_log(facts: Facts, feed: Feed, subscriptions: Sequence[Subscription]) -> str:
    """The changes that came after what each user was told.

    Of a property that everyone is still to be told, the log matters only since the first attempt: who left
    after it may have been told ``true`` by a call whose answer was lost.
    """
    told = told_run(feed.ranges, feed.position)
    floors = ", ".join(
        f"({literal(each.key)}, {each.since_run}, {str(each.catches_up(feed)).lower()}, {_floor(feed, each)})"
        for each in subscriptions
    )
    if not floors:
        return f"select user_id, key, value, run_id from {facts.log} where false"
    return (
        f"select user_id, key, value, run_id from {facts.log} "
        f"join (values {floors}) s(key, since_run, catches_up, floor) using (key) "
        f"where run_id > case when catches_up and since_run > {told} then floor else greatest({told}, since_run) end"
    )


def needed_after(feed: Feed, subscriptions: Sequence[Subscription]) -> int:
    """The run after which the log is needed: no change up to it can be owed. NEVER where none is."""
    return min((_needed_after(feed, each) for each in subscriptions), default=NEVER)


def _needed_after(feed: Feed, subscription: Subscription) -> int:
    if subscription.catches_up(feed):
        return _floor(feed, subscription)
    return max(feed.lowest, subscription.since_run)


def _floor(feed: Feed, subscription: Subscription) -> int:
    known = [run for run in (feed.attempted_run, subscription.told_before) if run is not None]
    return min(known, default=NEVER)


def _walks(facts: Facts, feed: Feed, subscriptions: Sequence[Subscription]) -> list[str]:
    """Everyone, for the properties that have not been told to everyone yet."""
    told = told_run(feed.ranges, feed.position)
    new = [each for each in subscriptions if each.tell_everyone and each.since_run > feed.lowest]
    return [
        f"select user_id, {literal(each.key)} as key, {_value(facts.chains[each.key], each.key)} as value, run_id "
        f"from ({current(facts.chains[each.key])}) where {each.since_run} > {told} and value is not null"
        for each in new
    ]


def _value(chain: Chain, key: str) -> str:
    return "'true'" if chain.kind is PropertyKind.AUDIENCE else trait_column(key)


def _refused(facts: Facts, subscriptions: Sequence[Subscription], changed: Sequence[str], retry: bool) -> str:
    """What refused calls carried, of the users who changed again or when they are to be retried."""
    keys = ", ".join(literal(each.key) for each in subscriptions) or "null"
    everything = f"select user_id, key, value, run_id from {facts.refused} where key in ({keys})"
    if retry:
        return everything
    touched = " union all ".join(f"select user_id from ({query})" for query in changed)
    return f"{everything} and user_id in ({touched})"


def _withheld(facts: Facts, subscriptions: Sequence[Subscription]) -> list[str]:
    """What users were not sent while they were suppressed; of those who still are it is kept back again."""
    if facts.withheld is None:
        return []
    keys = ", ".join(literal(each.key) for each in subscriptions) or "null"
    return [f"select user_id, key, value, run_id from {facts.withheld} where key in ({keys})"]


def _newest(queries: Sequence[str]) -> str:
    return (
        f"select user_id, key, value, run_id from ({' union all '.join(queries)}) "
        "qualify row_number() over (partition by user_id, key order by run_id desc) = 1"
    )


def _filter(workspace: Workspace, items: str, feed: Feed, only_told: bool) -> None:
    if only_told:
        told = told_run(feed.ranges, feed.position)
        workspace.run(f"delete from {items} where {told} <= {feed.position}")


def _keep_back(workspace: Workspace, items: str, facts: Facts, kept_back: str | None) -> None:
    if facts.suppressed is None:
        return
    if kept_back is not None:
        workspace.run(f"create table {kept_back} as from {items} semi join {facts.suppressed} using (user_id)")
    workspace.run(f"delete from {items} where user_id in (select user_id from {facts.suppressed})")


def _renew(workspace: Workspace, items: str, feed: Feed, subscriptions: Sequence[Subscription]) -> None:
    """What is told again on purpose is a change of the run that wants it: its message ids are new ones."""
    told = told_run(feed.ranges, feed.position)
    for each in subscriptions:
        if each.told_before is not None and each.tell_everyone and each.since_run > feed.lowest:
            workspace.run(
                f"update {items} set run_id = {each.since_run} "
                f"where key = {literal(each.key)} and run_id < {each.since_run} and {each.since_run} > {told}"
            )


def _add_companions(
    workspace: Workspace,
    items: str,
    facts: Facts,
    subscriptions: Sequence[Subscription],
    companions: Sequence[Sequence[str]],
) -> None:
    """Traits that mean something only together travel together: the unchanged ones join the changed ones."""
    known = {each.key for each in subscriptions if each.key in facts.chains}
    for group in companions:
        keys = [key for key in group if key in known]
        if len(keys) > 1:
            _join_group(workspace, items, facts, keys)


def _join_group(workspace: Workspace, items: str, facts: Facts, keys: Sequence[str]) -> None:
    names = ", ".join(literal(key) for key in keys)
    touched = workspace.name("touched")
    workspace.run(f"create table {touched} as select distinct user_id from {items} where key in ({names})")
    if not workspace.one(f"select count(*) from {touched}")[0]:
        return
    for key in keys:
        chain = facts.chains[key]
        workspace.run(
            f"insert into {items} select user_id, {literal(key)} as key, {trait_column(key)} as value, run_id "
            f"from ({current(chain)}) semi join {touched} using (user_id) "
            f"anti join (select user_id from {items} where key = {literal(key)}) using (user_id) "
            "where value is not null"
        )


def _merge_per_user(workspace: Workspace, items: str) -> str:
    """One row a user. Lists are sorted afterwards: an aggregate that sorts within each group is 5 times slower."""
    calls = workspace.name("calls")
    pairs = "list('\"' || key || '\":' || coalesce(value, 'null'))"
    workspace.run(
        f"create table {calls} as select user_id, '{{' || array_to_string(list_sort({pairs}), ',') || '}}' as traits, "
        "array_to_string(list_sort(list(key || '@' || run_id)), ',') as versions, max(run_id) as run_id "
        f"from {items} group by user_id"
    )
    workspace.run(f"drop table {items}")
    return calls
