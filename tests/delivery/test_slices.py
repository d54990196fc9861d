"""Pending calls that are made in slices of users are those that are made at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from audience_sync.delivery.mapping import DestinationMapping
from audience_sync.delivery.pending.calls import pending_calls
from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.mapped import MappedValues
from audience_sync.delivery.pending.slices import Slice, find_slices
from audience_sync.delivery.pending.values import PendingOptions, most_users, pending_values
from audience_sync.delivery.send.calls import CallReader
from audience_sync.delivery.state.cursors import DeliveryCursor, Subscription
from audience_sync.delivery.state.ranges import Range
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.model import PropertyKind, RunId, UserId
from audience_sync.sql import quote_literal
from audience_sync.store.snapshots.chain import BASE, DELTA, Chain, current_rows_query, write_snapshot_file
from audience_sync.workspace import Workspace

from .scripted_destination import ScriptedDestination
from .test_pending import audience, rows, traits

#: In the order of their bytes, which is not that of a dictionary.
USERS = ("007", "1e5", "A", "B", "a", "a b", "a'b", "aa", "b", "bob@example.com", "z", "é", "日本", "\U0001f600")
RUNS = range(1, 6)
KEYS = ("vip", "city", "plan")


# Where slices end.


def found(workspace: Workspace, size: int, *members: Mapping[str, int], **options: Any) -> list[tuple[str, str | None]]:
    """The slices of these audiences, which are all in backfill."""
    chains = {f"key_{number}": audience(workspace, f"key_{number}", each) for number, each in enumerate(members)}
    log = rows(workspace, options.pop("log", ()))
    inputs = DeliveryInputs(log=log, refused=log, chains=chains)
    cursor, only_sent = options.pop("cursor", DeliveryCursor()), options.pop("only_sent", False)
    subscriptions = [Subscription(key=key, since_run=RunId(1)) for key in chains]
    parts = find_slices(workspace, inputs, cursor, subscriptions, only_sent=only_sent, size=size)
    return [(each.after, each.through) for each in parts]


FIVE = dict.fromkeys(["ann", "bob", "cem", "dan", "eve"], 1)


def test_a_slice_has_at_most_so_many_users(workspace: Workspace) -> None:
    assert found(workspace, 2, FIVE) == [("", "bob"), ("bob", "dan"), ("dan", None)]


def test_a_user_of_several_audiences_counts_once(workspace: Workspace) -> None:
    assert found(workspace, 3, FIVE, FIVE, {"fay": 1}) == [("", "cem"), ("cem", "fay"), ("fay", None)]


def test_users_who_have_changes_are_divided_too(workspace: Workspace) -> None:
    log = [(user, "key_0", "false", 2) for user in ("ada", "ben", "cyd")]
    cursor = DeliveryCursor(attempted_run=RunId(1))
    assert found(workspace, 2, {"bob": 1}, log=log, cursor=cursor) == [
        ("", "ben"),
        ("ben", "cyd"),
        ("cyd", None),
    ]


def test_few_users_are_in_one_slice(workspace: Workspace) -> None:
    assert found(workspace, 6, FIVE) == [("", None)]


def test_whether_there_are_few_is_known_without_a_query(workspace: Workspace) -> None:
    chains = {"vip": audience(workspace, "vip", FIVE), "buyers": audience(workspace, "buyers", FIVE)}
    nothing = rows(workspace, ())
    inputs = DeliveryInputs(log=nothing, refused=nothing, chains=chains, changed_users=3)
    both = [Subscription(key="vip", since_run=RunId(1)), Subscription(key="buyers", since_run=RunId(2))]
    assert most_users(inputs, DeliveryCursor(), both) == 13
    assert most_users(inputs, DeliveryCursor(position=RunId(1)), both) == 8
    assert most_users(inputs, DeliveryCursor(position=RunId(2)), both) == 3


def test_only_users_with_pending_calls_are_divided(workspace: Workspace) -> None:
    reached = DeliveryCursor(ranges=(Range(UserId(""), UserId("cem"), RunId(1)),))
    assert found(workspace, 2, FIVE, cursor=reached) == [("", "eve"), ("eve", None)]


def test_a_seed_that_others_keep_up_to_date_divides_the_users_that_it_has_reached(workspace: Workspace) -> None:
    reached = DeliveryCursor(ranges=(Range(UserId(""), UserId("cem"), RunId(1)),))
    log = [(user, "key_0", "false", 2) for user in ("ann", "bob", "dan", "eve")]
    parts = found(workspace, 1, FIVE, cursor=reached, log=log, only_sent=True)
    assert parts == [("", "ann"), ("ann", "bob"), ("bob", None)]


def test_the_ends_of_large_slices_are_found_by_a_sample(workspace: Workspace) -> None:
    workspace.run("create table many as select 'user-' || lpad(i::varchar, 6, '0') as user_id from range(50000) t(i)")
    file = write_snapshot_file(workspace, BASE, "select user_id, 1 as run_id, true as present from many")
    chain = Chain(id=1, kind=PropertyKind.AUDIENCE, keys=("vip",), user_count=50_000, files=(file,))
    nothing = rows(workspace, ())
    inputs = DeliveryInputs(log=nothing, refused=nothing, chains={"vip": chain})
    vip = Subscription(key="vip", since_run=RunId(1))
    found = find_slices(workspace, inputs, DeliveryCursor(), [vip], only_sent=False, size=10_000)
    sizes = [workspace.one(f"select count(*) from many where {each.users}")[0] for each in found]
    assert len(found) in (5, 6)
    assert sum(sizes) == 50_000
    assert max(sizes) < 11_000


# The same calls in slices of any size.


class Scenario(Struct, frozen=True, kw_only=True):
    """The members of an audience, in a base and a delta, the values of two traits, and what is pending of them."""

    base: Mapping[str, int]
    delta: Mapping[str, tuple[int, bool]]
    values: Mapping[str, tuple[int, Sequence[str | None]]]
    log: Sequence[tuple[str, str, str | None, int]]
    refused: Sequence[tuple[str, str, str | None, int]]
    withheld: Sequence[tuple[str, str, str | None, int]]
    suppressed: Sequence[str]
    merged: Mapping[str, str]
    former: Sequence[tuple[str, str, str]]
    cursor: DeliveryCursor
    subscriptions: Sequence[Subscription]
    options: Mapping[str, Any]
    identifiers: Sequence[str]
    user_id: str | None

    def inputs(self, workspace: Workspace) -> DeliveryInputs:
        values = ", ".join(f"({quote_literal(each)})" for each in ("", *self.suppressed))
        pairs = ", ".join(
            f"({quote_literal(old)}, {quote_literal(new)})" for old, new in {"": "", **self.merged}.items()
        )
        return DeliveryInputs(
            log=rows(workspace, self.log),
            refused=rows(workspace, self.refused),
            withheld=rows(workspace, self.withheld),
            chains={"vip": self._audience(workspace), **dict.fromkeys(("city", "plan"), self._traits(workspace))},
            suppressed=workspace.table("suppressed", f"from (values {values}) t(user_id) where user_id <> ''"),
            aliases=workspace.table("aliases", f"from (values {pairs}) t(previous_id, user_id) where user_id <> ''"),
            changed_users=len(self.log),
        )

    def _audience(self, workspace: Workspace) -> Chain:
        chain = audience(workspace, "vip", self.base)
        if not self.delta:
            return chain
        values = ", ".join(f"({quote_literal(user)}, {run}, {is_in})" for user, (run, is_in) in self.delta.items())
        delta = write_snapshot_file(workspace, DELTA, f"select * from (values {values}) t(user_id, run_id, present)")
        return chain.with_delta(delta, len(self.base) + len(self.delta))

    def _traits(self, workspace: Workspace) -> Chain:
        return traits(workspace, ("city", "plan"), {"!": (1, [None, None]), **self.values})

    def mapped(self, workspace: Workspace) -> MappedValues:
        names = ", ".join(
            f"({quote_literal(user)}, '{key}', '{name}')" for user, key, name in (("", "", ""), *self.former)
        )
        former = workspace.table("former", f"from (values {names}) t(user_id, key, name) where user_id <> ''")
        return MappedValues(
            identifiers=self.identifiers,
            user_id=self.user_id,
            former=former if self.former else None,
            names={"vip": "vip", "city": "town", "plan": "plan"},
        )


users = st.sampled_from(USERS)
runs = st.sampled_from(RUNS)
texts = st.sampled_from(['"x"', '"it\'s"', "1", '""', None])


def change(user: str, key: str, run: int) -> tuple[str, str, str | None, int]:
    """A run gives a user one value of a property, wherever it is stored."""
    values = ("true", "false") if key == "vip" else ('"x"', '"it\'s"', "1", '""', None)
    return user, key, values[(sum(user.encode()) + 3 * run) % len(values)], run


places = st.tuples(users, st.sampled_from(KEYS), runs)
changes = st.lists(places, max_size=12, unique=True).map(lambda each: [change(*place) for place in each])
undelivered = st.lists(places, max_size=5, unique_by=lambda each: each[:2]).map(
    lambda each: [change(*place) for place in each]
)


@st.composite
def cursors(draw: st.DrawFn) -> DeliveryCursor:
    """At most two ranges between users, each further than the position."""
    ends = sorted(draw(st.sets(users, max_size=4)), key=lambda user: user.encode())
    pairs = list(zip(ends[::2], ends[1::2], strict=False))
    position = draw(st.integers(0, 3))
    return DeliveryCursor(
        id=1,
        position=RunId(position),
        attempted_run=draw(st.sampled_from([None, RunId(1), RunId(2), RunId(4)])),
        ranges=tuple(
            Range(UserId(after), UserId(through), RunId(draw(st.integers(position, 5)))) for after, through in pairs
        ),
    )


@st.composite
def subscriptions(draw: st.DrawFn, key: str) -> Subscription:
    former = SentForm(former=draw(st.sampled_from([(), ("old name",)])))
    return Subscription(
        key=key,
        since_run=RunId(draw(st.integers(1, 5))),
        backfill=draw(st.booleans()),
        previously_delivered_run=draw(st.sampled_from([None, RunId(1), RunId(2)])),
        sent_as=former.text,
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    options = {
        "companions": draw(st.sampled_from([(), (("city", "plan"),)])),
        "retry_refused": draw(st.booleans()),
        "only_sent": draw(st.booleans()),
    }
    return Scenario(
        base=draw(st.dictionaries(users, runs)),
        delta=draw(st.dictionaries(users, st.tuples(runs, st.booleans()), max_size=4)),
        values=draw(st.dictionaries(users, st.tuples(runs, st.tuples(texts, texts)))),
        log=draw(changes),
        refused=draw(undelivered),
        withheld=draw(undelivered),
        suppressed=draw(st.lists(users, max_size=3, unique=True)),
        merged=draw(st.dictionaries(users, users, max_size=2)),
        former=draw(st.lists(st.tuples(users, st.sampled_from(["plan"]), st.just("town")), max_size=2, unique=True)),
        cursor=draw(cursors()),
        subscriptions=[draw(subscriptions(key)) for key in KEYS],
        options=options,
        identifiers=draw(st.sampled_from([(), ("city",), ("city", "plan")])),
        user_id=draw(st.sampled_from([None, "plan"])),
    )


#: A call: its user, message id, body, and all that a mapping adds.
Sent = tuple[Any, ...]


def calls(
    workspace: Workspace, inputs: DeliveryInputs, each: Scenario, mapped: MappedValues
) -> tuple[list[Sent], list[Any]]:
    """The calls in order, as a destination gets them, and the values that suppressed users are not sent."""
    withheld = workspace.name("withheld")
    options = PendingOptions(withheld_table=withheld, mapped=mapped, **each.options)
    table = pending_calls(workspace, inputs, each.cursor, each.subscriptions, options)
    reader = CallReader(
        workspace=workspace,
        table=table.name,
        installation="here",
        destination="there",
        times={RunId(run): f"2026-03-{run:02}T06:00:00.000Z" for run in RUNS},
        nonces={RunId(run): f"nonce-{run}" for run in RUNS},
        event_start_runs={"vip": RunId(1)},
        mapping=DestinationMapping(identifiers=tuple(each.identifiers), places_identifiers=True),
        is_mapped=table.is_mapped,
    )
    sent = [(*call, ScriptedDestination().encode(call)) for call in reader]
    return sent, workspace.all(f"from {withheld} order by all")


@pytest.fixture(scope="module")
def opened() -> Iterator[Workspace]:
    with Workspace(768_000_000, ["/"]) as opened:
        yield opened


@settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(each=scenarios(), size=st.integers(1, 5))
def test_slices_of_any_size_have_the_same_calls_in_the_same_order(opened: Workspace, each: Scenario, size: int) -> None:
    with opened.scratch() as workspace:
        inputs, mapped = each.inputs(workspace), each.mapped(workspace)
        at_once, withheld = calls(workspace, inputs, each, mapped)
        only_sent = each.options["only_sent"]
        parts = find_slices(workspace, inputs, each.cursor, each.subscriptions, only_sent=only_sent, size=size)
        found, counted = list[Sent](), 0
        withheld_by_slice = list[Any]()
        for part in parts:
            with workspace.scratch() as own:
                sent, kept = calls(own, inputs.within(own, part.users), each, mapped)
            found += sent
            withheld_by_slice += kept
            counted += count(workspace, inputs, each, mapped, part)
    assert found == at_once
    assert sorted(withheld_by_slice, key=repr) == sorted(withheld, key=repr)
    assert counted == len(at_once)


def count(workspace: Workspace, inputs: DeliveryInputs, each: Scenario, mapped: MappedValues, part: Slice) -> int:
    """The number of calls in a slice, without making them."""
    with workspace.scratch() as own:
        few = inputs.within(own, part.users)
        options = PendingOptions(withheld_table=own.name("withheld"), mapped=mapped, **each.options)
        values = pending_values(own, few, each.cursor, each.subscriptions, options)
        return int(own.one(f"select count(distinct user_id) from ({values.users})")[0])


def test_a_slice_reads_only_its_users_of_a_snapshot(workspace: Workspace) -> None:
    changed = "('ann', 2, false), ('dan', 2, false), ('dee', 2, true), ('cyd', 2, true)"
    delta = write_snapshot_file(workspace, DELTA, f"select * from (values {changed}) t(user_id, run_id, present)")
    chain = audience(workspace, "vip", FIVE)
    within = Slice(UserId("bob"), UserId("dan")).users
    expected = {chain: ["cem", "dan"], chain.with_delta(delta, 5): ["cem", "cyd"]}
    for each, members in expected.items():
        rows = current_rows_query(replace(each, within=within))
        assert workspace.all(f"select user_id from ({rows}) order by user_id") == [(user,) for user in members]
