"""Build a store with years of history, and time the queries that pages and people make over its views.

    python benchmarks/growing/views.py sqlite:////tmp/years.db --members 10000000 --runs 10000
    python benchmarks/growing/views.py postgresql://user@host/empty --members 10000000 --runs 10000 --plans

The store has to be empty, or built by this script before. One audience has two fifths of the members. ``--plans``
prints the plan of each query as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, func, insert, select, text

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from audience_sync.store.connection.engine import WITHOUT_JIT, Store
from audience_sync.store.maintenance import migrate
from audience_sync.store.tables import runs

AUDIENCES, TRAITS, DESTINATIONS = 100, 10, 4
#: Seconds that a query may take, and all queries of the home page together.
ONE, HOME = 1.0, 0.3
NUMBERS = "with recursive n(i) as (select 1 union all select i + 1 from n where i < {count}) "
USER = "'C-' || cast(10000000 + {number} as varchar)"
#: The members of one audience, and of each other one.
LARGEST = "insert into members (property_id, user_id, run_id) {numbers}select 1, {user}, 1 + i % {runs} from n"
OTHERS = """
insert into members (property_id, user_id, run_id)
{numbers}select p.id, {user}, 1 + n.i % {runs} from properties p, n where p.kind = 'audience' and p.id > 1
"""
HISTORY = (
    """
    insert into run_audiences (run_id, audience_key, status, members_before, members_after, entered, "left", invalid)
    select r.id, p.key, case when r.id % 97 = 0 and p.id % 20 = 1 then 'held' else 'synced' end, 100, 100, 3, 3, 0
    from runs r, properties p where p.kind = 'audience'
    """,
    """
    insert into run_destinations
        (run_id, destination_id, calls, delivered, refused, pending, retries, requests, seconds, error)
    select r.id, d.id, 500, 499, 1, 0, 1, 12, 2.5, case when r.id % 500 = 0 then '503: down' end
    from runs r, delivery_destinations d where d.id < {destinations} or r.id < 1000
    """,
    """
    insert into delivery_requests (destination_id, run_id, after_user, through_user, calls, refused, attempts,
        http_status, answer, answered_at, position, attempted_run)
    {numbers12}select d.destination_id, r.id, 'C-' || cast(10000000 + n.i * 50 as varchar),
        'C-' || cast(10000050 + n.i * 50 as varchar), 50, case when n.i = 1 then 1 else 0 end, 1 + n.i / 12,
        case when n.i = 1 then 400 else 200 end, null, r.finished_at, r.id - 1, r.id
    from runs r join run_destinations d on d.run_id = r.id, n
    """,
    """
    insert into request_attempts (destination_id, run_id, after_user, through_user, attempt, calls, sent_at, seconds,
        http_status, answer)
    select q.destination_id, q.run_id, q.after_user, q.through_user, 1, q.calls, q.answered_at, 0.5,
        case when q.id % 2 = 0 then 503 end, 'down' from delivery_requests q where q.id % 20 = 0
    """,
    """
    update delivery_requests set sent_at = answered_at, seconds = 0.25
    """,
    """
    insert into stage_log (run_id, number, stage, subject, started_at, seconds)
    {numbers100}select r.id, n.i, case when n.i % 2 = 0 then 'load' else 'compare' end,
        'audience_' || cast(1 + n.i / 2 as varchar), r.started_at, 0.1 from runs r, n where r.id > {runs} - 2000
    """,
    """
    insert into decision_log (decided_at, command, subject, run_id, decided_by, host)
    select r.started_at, 'retry', 'destination_1', r.id, 'ann', 'ops' from runs r where r.id % 5 = 0
    """,
    """
    insert into unaccepted_calls (request_id, user_id, reason, http_status, accepted_run)
    select q.id, 'C-' || cast(10000000 + q.id % 250000 as varchar), 'reason ' || cast(q.id % 7 as varchar), 400,
        case when q.id % 3 = 0 then q.run_id + 1 end
    from delivery_requests q where q.refused = 1
    """,
    """
    insert into open_refusals (destination_id, user_id, run_id, reason, http_status, attempts, refused_at)
    {numbers100000}select 1 + n.i % 3, 'C-' || cast(10000000 + n.i as varchar), r.id,
        'reason ' || cast(n.i % 7 as varchar), 400, 1, r.finished_at
    from n join runs r on r.id = 1 + n.i % {runs}
    """,
    """
    insert into changes (run_id, user_id, property_id, value, previous_value)
    {numbers100}select r.id, 'C-' || cast(10000000 + (r.id * 7919 + n.i * 104729) % 1000000 as varchar),
        1 + n.i % {properties}, case when n.i % {properties} < {audiences} then 'true' else '"gold"' end, 'null'
    from runs r, n
    """,
    """
    insert into run_invalid_rows (run_id, number, audience_key, file, "row", user_id, reason)
    {numbers10}select r.id, n.i, 'audience_1', 'audience_1.csv', n.i * 100, null, 'no user id' from runs r, n
    """,
    """
    insert into held_snapshots (kind, key, run_id, last_run_id, status, reason, together, members_before, entered,
        "left", held_at)
    select 'audience', p.key, r.id, r.id, case when r.id > {runs} - 97 then 'held' else 'superseded' end, 'too many',
        false, 100, 0, 60, r.started_at
    from runs r, properties p where r.id % 97 = 0 and p.kind = 'audience' and p.id % 20 = 1
    """,
    """
    insert into held_out_users (property_id, user_id, run_id)
    {numbers500000}select 1, 'C-' || cast(80000000 + n.i as varchar), 1 from n
    """,
    """
    insert into user_traits (user_id, chain_id, traits)
    {numbers100000}select 'C-' || cast(10000000 + n.i as varchar), {audiences} + 1, '{{' || (
        select '"trait_1":"\\"gold\\""' || replace(
            ',"trait_2":"1","trait_3":"2","trait_4":"3","trait_5":"4","trait_6":"5","trait_7":"6","trait_8":"7",'
            || '"trait_9":"8","trait_10":"9"', '"1"', '"' || cast(n.i % 100 as varchar) || '"')
    ) || '}}' from n
    """,
    """
    insert into schedule_slots (schedule, due_at, run_id, missed) select 'every 15m', r.started_at, r.id, 0 from runs r
    """,
    "insert into delivery_cursors (destination_id, position) select d.id, {runs} from delivery_destinations d",
    """
    insert into subscriptions (destination_id, property_id, since_run, backfill)
    select d.id, p.id, 1, true from delivery_destinations d, properties p
    """,
    "update snapshot_chains set user_count = (select count(*) from members m where m.property_id = snapshot_chains.id)",
    "update properties set holdout = 0.1, holdout_salt = key where id = 1",
)
#: By page and element, the query, with names in braces for a run, a user and the prefix of views.
QUERIES: Mapping[str, str] = {
    "home: holds": "select * from {views}holds where status = 'held' order by run",
    "home: refused, by reason": (
        "select destination, reason, count(*), max(run) from {views}refused_calls group by destination, reason"
    ),
    "home: last 46 runs": "select * from {views}sync_runs order by run desc limit 46",
    "home: audiences": (
        "select key, name, source, members, last_run, last_status, changed_at, flags from {views}audiences"
    ),
    "home: destinations": "select * from {views}destinations order by name",
    "home: pending": "select * from {views}pending_calls order by destination",
    "home: open alerts": "select * from {views}alerts where ended_at is null",
    "audiences: all columns": "select * from {views}audiences order by key",
    "audience: its row": "select * from {views}audiences where key = 'audience_1'",
    "audience: last 100 results": (
        "select * from {views}audience_syncs where audience_key = 'audience_1' order by run desc limit 100"
    ),
    "audience: last changes": (
        "select * from {views}membership_changes where audience_key = 'audience_1' and run in ("
        "select run from {views}audience_syncs where audience_key = 'audience_1' and entered + \"left\" > 0 "
        "order by run desc limit 50) order by run desc, user_id limit 50"
    ),
    "audience: last changes, without the runs": (
        "select * from {views}membership_changes where audience_key = 'audience_1' order by run desc, user_id limit 50"
    ),
    "audience: invalid rows": "select reason, count(*) from {views}invalid_rows where run = {run} group by reason",
    "audience: members": "select count(*) from {views}audience_members where audience_key = 'audience_1'",
    "audience: newest members": (
        "select user_id from {views}audience_members where audience_key = 'audience_2' order by user_id limit 50"
    ),
    "computed traits": "select * from {views}computed_traits order by key",
    "run": "select * from {views}sync_runs where run = {run}",
    "run: audiences": "select * from {views}audience_syncs where run = {run} order by audience_key",
    "run: deliveries": "select * from {views}deliveries where run = {run} order by destination",
    "run: refusals": "select * from {views}refusals where run = {run} limit 50",
    "run: changes": "select * from {views}membership_changes where run = {run} limit 50",
    "user: memberships": "select * from {views}audience_members where user_id = '{user}'",
    "user: refused now": "select * from {views}refused_calls where user_id = '{user}'",
    "user: held out": "select * from {views}held_out_members where user_id = '{user}'",
    "user: changes": "select * from {views}membership_changes where user_id = '{user}' order by run",
    "user: trait changes": "select * from {views}trait_changes where user_id = '{user}' order by run",
    "user: refusals": "select * from {views}refusals where user_id = '{user}' order by run",
    "destination: last refusals": (
        "select * from {views}refused_calls where destination = 'destination_1' order by refused_at desc limit 50"
    ),
    "destination: deliveries": (
        "select * from {views}deliveries where destination = 'destination_1' order by run desc limit 100"
    ),
    "trait: values": "select value, count(*) from {views}trait_values where trait_key = 'trait_1' group by value",
    "user: trait values": "select * from {views}trait_values where user_id = '{user}'",
    "trait: last changes": (
        "select * from {views}trait_changes where trait_key = 'trait_1' order by run desc, user_id limit 50"
    ),
    "run: stages": "select * from {views}run_stages where run = {run} order by started_at",
    "run: requests": "select * from {views}requests where run = {run} order by destination, request, attempt limit 50",
    "destination: answers by hour": (
        "select substr(cast(sent_at as varchar), 1, 13), status, count(*), avg(seconds) from {views}requests "
        "where destination = 'destination_1' and run > {run} - 192 group by 1, 2 order by 1, 2"
    ),
    "decisions": "select * from {views}decisions order by decision desc limit 50",
    "next runs": "select * from {views}scheduled_runs order by due_at desc limit 10",
}


def build(connection: Connection, members: int, count: int) -> None:
    """Fill an empty store. Runs are a quarter of an hour apart, and the last one has just ended."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = ((run, now - timedelta(minutes=15 * (count - run) + 5)) for run in range(1, count + 1))
    same = {"command": "sync", "status": "succeeded", "seconds": 9.5, "holder": "", "version": "", "covers_all": True}
    rows = [{"id": run, "started_at": at, "committed_at": at, "finished_at": at, **same} for run, at in times]
    connection.execute(insert(runs), rows)
    for number in range(1, AUDIENCES + TRAITS + 1):
        is_audience = number <= AUDIENCES
        kind, name = (
            ("audience", f"audience_{number}") if is_audience else ("computed_trait", f"trait_{number - AUDIENCES}")
        )
        connection.execute(
            text("insert into snapshot_chains (kind, user_count, changed_run_id) values (:kind, 0, :run)"),
            {"kind": kind, "run": count},
        )
        connection.execute(
            text(
                "insert into properties (kind, key, name, chain_id, created_run_id, source) "
                "values (:kind, :key, :key, :chain, 1, 'shop')"
            ),
            {"kind": kind, "key": name, "chain": number},
        )
    for number in range(1, DESTINATIONS + 1):
        row = {"name": f"destination_{number}", "at": rows[0]["started_at"].replace(tzinfo=None)}
        created = "insert into delivery_destinations (name, type, created_at) values (:name, 'segment', :at)"
        connection.execute(text(created), row)
    largest = members * 2 // 5
    each = (members - largest) // (AUDIENCES - 1)
    user = USER.format(number="n.i")
    connection.execute(text(LARGEST.format(numbers=NUMBERS.format(count=largest), user=user, runs=count)))
    connection.execute(text(OTHERS.format(numbers=NUMBERS.format(count=each), user=user, runs=count)))
    names = {f"numbers{size}": NUMBERS.format(count=size) for size in (10, 12, 100, 100_000, 500_000)}
    sizes = {"runs": count, "audiences": AUDIENCES, "destinations": DESTINATIONS, "properties": AUDIENCES + TRAITS}
    for statement in HISTORY:
        connection.execute(text(statement.format(**names, **sizes)))
    if connection.dialect.name == "postgresql":  # its server does it by itself, and SQLite never does
        connection.execute(text("analyze"))


def timed(connection: Connection, *, plans: bool) -> Iterator[tuple[str, float, str]]:
    """The name of each query, the seconds of its second execution, and its plan."""
    if not (is_sqlite := connection.dialect.name == "sqlite"):
        connection.exec_driver_sql(WITHOUT_JIT)
    last = connection.execute(select(func.max(runs.c.id))).scalar_one()
    names = {"views": "" if is_sqlite else "audience_sync.", "run": last, "user": "C-10007919"}
    for name, query in QUERIES.items():
        statement = query.format(**names)
        connection.execute(text(statement)).all()
        started = time.perf_counter()
        connection.execute(text(statement)).all()
        seconds, plan = time.perf_counter() - started, ""
        if plans:
            explained = "explain query plan " if is_sqlite else "explain (analyze, buffers) "
            rows = connection.execute(text(explained + statement)).all()
            plan = "\n".join(f"    {row[-1]}" for row in rows)
        yield name, seconds, plan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", help="the URL of an empty database")
    parser.add_argument("--members", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--plans", action="store_true")
    chosen = parser.parse_args()
    store = Store(chosen.store)
    migrate.upgrade(store)
    with store.writing() as connection:
        if not connection.execute(select(func.count()).select_from(runs)).scalar_one():
            build(connection, chosen.members, chosen.runs)
    home = 0.0
    with store.reading() as connection:
        for name, seconds, plan in timed(connection, plans=chosen.plans):
            print(f"{seconds * 1000:9.1f} ms  {name}{'  TOO SLOW' if seconds > ONE else ''}")
            home += seconds if name.startswith("home") else 0.0
            if plan:
                print(plan)
    print(f"{home * 1000:9.1f} ms  home, all queries{'  TOO SLOW' if home > HOME else ''}")


if __name__ == "__main__":
    main()
