"""Compare the public views with each other, and with what the receivers got."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from audience_sync.history.view_rows import Row, read
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import VIEWS

#: The status of an attempt that was not the last.
SENT_AGAIN = ("sent again", "no answer")
COUNTS = ("delivered", "refused", "pending")

Views = Mapping[str, list[Row]]


def read_views(store: Store, *names: str) -> Views:
    """All rows of these views, or of all, at one moment."""
    with store.reading() as connection:
        return {name: read(connection, f"select * from {{views}}{name}") for name in names or VIEWS}


def wrong_views(views: Views, *, erased: bool, forgetful: bool) -> list[str]:
    """What the views contradict each other in.

    ``erased``: rows of some users are gone. ``forgetful``: rows of earlier runs may be pruned.
    """
    found = [*_of_destinations(views), *_of_audiences(views), *_of_traits(views)]
    if not forgetful:
        found += [*_of_runs(views), *_of_stages(views), *_of_deliveries(views, erased=erased)]
        found += [] if erased else [*_of_changes(views)]
    return found


def requests_by_destination(views: Views, *, after: int) -> dict[str, int]:
    """How many requests the runs after this one have sent, by destination."""
    found = Counter[str]()
    for each in views["deliveries"]:
        found[each["destination"]] += each["requests"] if each["run"] > after else 0
    return dict(found)


def wrong_pending(
    views: Views,
    waiting: Mapping[str, Mapping[str, set[str]]],
    *,
    seeded: str,
    left_out: Collection[str],
    returned: Collection[str],
) -> list[str]:
    """The destinations whose pending calls are not those of the users of whom `explain` says that they wait.

    ``waiting``: the users by destination and property. Those who wait for the audience that is ``seeded`` by hand may
    have a call of its own. ``left_out``: destinations that the last run did not have. ``returned``: erased users who
    may be sent again; `explain` is not asked for them.
    """
    problems = []
    for each in views["pending_calls"]:
        mine = waiting.get(each["destination"], {})
        first = mine.get(seeded, set())
        others = set[str]().union(*(users for key, users in mine.items() if key != seeded))
        least, most = len(first | others), len(first) + len(others) + 2 * len(returned)
        if each["destination"] not in left_out and not least <= each["calls"] <= most:
            problems.append(f"{each}, but these users wait: {mine}")
    return problems


def _equal(what: str, shown: Any, expected: Any) -> Iterator[str]:
    if shown != expected:
        yield f"{what}: {shown} instead of {expected}"


def _of_runs(views: Views) -> Iterator[str]:
    results, deliveries = _by(views["audience_syncs"], "run"), _by(views["deliveries"], "run")
    for run in views["sync_runs"]:
        mine, sent, what = results[run["run"]], deliveries[run["run"]], f"run {run['run']}"
        yield from _equal(f"{what}: audiences", run["audiences"], len(mine))
        for name in ("entered", "left"):
            yield from _equal(f"{what}: {name}", run[name], sum(each[name] for each in mine))
        for status in ("held", "failed"):
            yield from _equal(f"{what}: {status}", run[status], sum(each["status"] == status for each in mine))
        for name in COUNTS:
            yield from _equal(f"{what}: {name}", run[name], sum(each[name] for each in sent))
        is_running = run["status"] == "running"
        yield from _equal(f"{what}: finished_at is NULL", run["finished_at"] is None, is_running)
        yield from _equal(f"{what}: seconds is NULL", run["seconds"] is None, is_running)
        if not is_running and (run["finished_at"] < run["started_at"] or run["seconds"] < 0):
            yield f"{what} ended before it started: {run}"


def _of_stages(views: Views) -> Iterator[str]:
    whole = {each["run"] for each in views["sync_runs"] if each["status"] not in ("running", "interrupted", "failed")}
    for stage in views["run_stages"]:
        if stage["run"] in whole and stage["seconds"] is None:
            yield f"a stage of a whole run has no end: {stage}"


def _of_deliveries(views: Views, *, erased: bool) -> Iterator[str]:
    requests, refusals = _by(views["requests"], "run", "destination"), _by(views["refusals"], "run", "destination")
    for each in views["deliveries"]:
        place, what = (each["run"], each["destination"]), f"delivery {each}"
        yield from _equal(f"{what}: calls", each["calls"], sum(each[name] for name in COUNTS))
        sent = requests[place]
        yield from _equal(f"{what}: retries", each["retries"], sum(one["status"] in SENT_AGAIN for one in sent))
        if each["requests"] < len(sent):
            yield f"{what}: it has more rows in requests: {sent}"
        if not erased:
            yield from _equal(f"{what}: refusals", each["refused"], len(refusals[place]))
        last = [one for one in sent if one["status"] not in SENT_AGAIN]
        yield from _equal(f"{what}: in requests", each["delivered"], sum(one["users"] - one["refused"] for one in last))
    for one in views["requests"]:
        if one["status"] not in SENT_AGAIN and one["request"] is None:
            yield f"a last attempt without a request: {one}"


def _of_destinations(views: Views) -> Iterator[str]:
    pending = {each["destination"]: each for each in views["pending_calls"]}
    refused = {(each["destination"], each["user_id"]) for each in views["refused_calls"]}
    still = {(each["destination"], each["user_id"]) for each in views["refusals"] if each["outcome"] == "refused"}
    yield from _equal("refusals that still are", still, refused)
    yield from _equal("destinations", sorted(pending), sorted(each["name"] for each in views["destinations"]))
    for each in views["destinations"]:
        mine = pending[each["name"]]
        yield from _equal(f"{each['name']}: pending", each["pending"], mine["calls"])
        yield from _equal(f"{each['name']}: refused", each["refused"], sum(name == each["name"] for name, _ in refused))
    for each in pending.values():
        if each["calls"] < 0 or not 0 <= each["waiting"] <= each["calls"]:
            yield f"impossible: {each}"
        yield from _equal(f"{each}: since_run is NULL", each["since_run"] is None, each["calls"] == 0)
        yield from _equal(f"{each}: since_at is NULL", each["since_at"] is None, each["calls"] == 0)


def _of_audiences(views: Views) -> Iterator[str]:
    tables = {"members": "audience_members", "held_out": "held_out_members", "absent": "absent_members"}
    held = {each["key"] for each in views["holds"] if each["status"] == "held" and each["kind"] == "audience"}
    for each in views["audiences"]:
        for column, view in tables.items():
            users = [row["user_id"] for row in views[view] if row["audience_key"] == each["key"]]
            yield from _equal(f"{each['key']}: {column}", each[column], len(users))
            yield from _equal(f"{view} of {each['key']} has a user twice", len(set(users)), len(users))
        flags = each["flags"].split(", ")
        yield from _equal(f"{each['key']}: held", "held" in flags, each["key"] in held)
        yield from _equal(f"{each['key']}: retired", "retired" in flags, each["retired_at"] is not None)
    starts = {run["run"]: run["started_at"] for run in views["sync_runs"]}
    for each in views["audience_members"]:
        yield from _equal(f"{each}", _utc(each["member_since"]), starts[each["since_run"]])
    for hold in views["holds"]:
        mine = [row for row in views["held_changes"] if all(row[name] == hold[name] for name in ("run", "kind", "key"))]
        for change in ("entered", "left"):
            if sum(row["change"] == change for row in mine) > hold[change]:
                yield f"more users than the hold has: {hold}, {mine}"


def _of_traits(views: Views) -> Iterator[str]:
    starts = {run["run"]: run["started_at"] for run in views["sync_runs"]}
    newest: dict[tuple[str, str], Row] = {}
    for each in sorted(views["trait_changes"], key=lambda row: row["run"]):
        newest[each["trait_key"], each["user_id"]] = each
    values = {(each["trait_key"], each["user_id"]): each for each in views["trait_values"]}
    yield from _equal("a value twice", len(values), len(views["trait_values"]))
    for place, each in values.items():
        yield from _equal(f"{each}", _utc(each["value_since"]), starts[each["since_run"]])
        if place in newest:
            change = newest[place]
            yield from _equal(f"{place}", (each["value"], each["since_run"]), (change["value"], change["run"]))
    for place, change in newest.items():
        if change["value"] is not None and place not in values:
            yield f"the last change has a value, and there is none: {change}"
    for trait in views["computed_traits"]:
        users = sum(key == trait["key"] for key, _ in values)
        yield from _equal(f"users of {trait['key']}", trait["users"], users)


def _of_changes(views: Views) -> Iterator[str]:
    changed = Counter((each["run"], each["audience_key"], each["change"]) for each in views["membership_changes"])
    for each in views["audience_syncs"]:
        if each["status"] != "created":
            for change in ("entered", "left"):
                logged = changed[each["run"], each["audience_key"], change]
                yield from _equal(f"{change} in {each}", each[change], logged)
        moved = each["members_after"] - each["members_before"]
        yield from _equal(f"members of {each}", moved, each["entered"] - each["left"])
    newest: dict[tuple[str, str], Row] = {}
    for each in sorted(views["membership_changes"], key=lambda row: row["run"]):
        newest[each["audience_key"], each["user_id"]] = each
    members = {(each["audience_key"], each["user_id"]): each for each in views["audience_members"]}
    for place, last in newest.items():
        if last["change"] == "left":
            yield from _equal(f"{place} after {last}", place in members, False)
        elif place not in members or members[place]["since_run"] != last["run"]:
            yield f"{place} after {last}: {members.get(place)}"


def _utc(moment: str | datetime) -> datetime:
    """A time of a column that ``read`` leaves as the database returns it."""
    found = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _by(rows: list[Row], *names: str) -> Mapping[Any, list[Row]]:
    found: dict[Any, list[Row]] = defaultdict(list)
    for each in rows:
        found[tuple(each[name] for name in names) if len(names) > 1 else each[names[0]]].append(each)
    return found
