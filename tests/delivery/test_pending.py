"""The pending calls of a destination in scenarios, run by run, with every value that is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from audience_sync.delivery.pending.calls import pending_calls
from audience_sync.delivery.pending.inputs import DeliveryInputs
from audience_sync.delivery.pending.values import PendingOptions
from audience_sync.delivery.state.cursors import DeliveryCursor, DestinationState, Subscription
from audience_sync.delivery.state.pending_rule import log_floor
from audience_sync.delivery.state.ranges import Range
from audience_sync.delivery.state.subscriptions import subscribe
from audience_sync.model import MAX_RUN, PropertyKind
from audience_sync.sql import TableName, quote_literal
from audience_sync.store.snapshots.chain import BASE, Chain, trait_column, write_snapshot_file
from audience_sync.workspace import Workspace

#: User, key, value as JSON (None: removed), run.
Change = tuple[str, str, str | None, int]
Calls = dict[str, dict[str, Any]]


def rows(workspace: Workspace, changes: Sequence[Change]) -> TableName:
    values = ", ".join(
        f"({quote_literal(user)}, {quote_literal(key)}, {'null' if value is None else quote_literal(value)}, {run})"
        for user, key, value, run in [("no user", "no key", None, 0), *changes]
    )
    columns = "user_id, key, value::varchar as value, run_id"
    query = f"select {columns} from (values {values}) t(user_id, key, value, run_id) where run_id > 0"
    return workspace.table("rows", query)


def audience(workspace: Workspace, key: str, members: Mapping[str, int]) -> Chain:
    """``members``: the run of each membership."""
    values = ", ".join(
        f"({quote_literal(user)}, {run}, {str(run > 0).lower()})" for user, run in {"": 0, **members}.items()
    )
    query = f"select * from (values {values}) t(user_id, run_id, present) where present"
    return Chain(
        id=1,
        kind=PropertyKind.AUDIENCE,
        keys=(key,),
        user_count=len(members),
        files=(write_snapshot_file(workspace, BASE, query),),
    )


def traits(workspace: Workspace, keys: Sequence[str], values: Mapping[str, tuple[int, Sequence[str | None]]]) -> Chain:
    """``values``: the run of the last change, and the values as JSON."""
    columns = ", ".join(trait_column(key) for key in keys)
    table = ", ".join(
        f"({quote_literal(user)}, {run}, {', '.join('null' if each is None else quote_literal(each) for each in row)})"
        for user, (run, row) in values.items()
    )
    query = f"select * from (values {table}) t(user_id, run_id, {columns})"
    return Chain(
        id=2,
        kind=PropertyKind.COMPUTED_TRAIT,
        keys=tuple(keys),
        user_count=len(values),
        files=(write_snapshot_file(workspace, BASE, query),),
    )


class Store:
    """The stored snapshots, and the calls that are pending with them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.chains: dict[str, Chain] = {}

    def members(self, key: str, **since: int) -> None:
        self.chains[key] = audience(self.workspace, key, since)

    def traits(self, *keys: str, **values: tuple[int, Sequence[str | None]]) -> None:
        self.chains |= dict.fromkeys(keys, traits(self.workspace, keys, values))

    def table(
        self,
        cursor: DeliveryCursor,
        *subscriptions: Subscription,
        log: Sequence[Change] = (),
        refused: Sequence[Change] = (),
        suppressed: TableName | None = None,
        aliases: TableName | None = None,
        **options: Any,
    ) -> TableName:
        inputs = DeliveryInputs(
            log=rows(self.workspace, log),
            refused=rows(self.workspace, refused),
            chains=self.chains,
            suppressed=suppressed,
            aliases=aliases,
        )
        return pending_calls(self.workspace, inputs, cursor, subscriptions, PendingOptions(**options)).name

    def calls(self, cursor: DeliveryCursor, *subscriptions: Subscription, **options: Any) -> Calls:
        table = self.table(cursor, *subscriptions, **options)
        return {user: json.loads(traits) for user, traits in self.workspace.all(f"select user_id, traits from {table}")}

    def versions(
        self, cursor: DeliveryCursor, *subscriptions: Subscription, **options: Any
    ) -> list[tuple[str, str, int]]:
        table = self.table(cursor, *subscriptions, **options)
        return self.workspace.all(f"select user_id, versions, run_id from {table} order by user_id")


@pytest.fixture
def store(workspace: Workspace) -> Store:
    return Store(workspace)


NEW = DeliveryCursor(id=1, position=0)
VIP_SINCE_1 = Subscription(key="vip", since_run=1)
NAME_SINCE_1 = Subscription(key="name", since_run=1)


# First a backfill, then only changes.


def test_at_the_first_creation_every_member_is_sent_true(store: Store) -> None:
    store.members("vip", ann=1, bob=1)
    assert store.calls(NEW, VIP_SINCE_1) == {"ann": {"vip": True}, "bob": {"vip": True}}


def test_at_the_first_creation_every_value_is_sent_and_a_missing_one_is_not(store: Store) -> None:
    store.traits("name", "age", ann=(1, ['"Ann"', "42"]), bob=(1, ['"Bob"', None]))
    assert store.calls(NEW, NAME_SINCE_1, Subscription(key="age", since_run=1)) == {
        "ann": {"name": "Ann", "age": 42},
        "bob": {"name": "Bob"},
    }


def test_after_a_complete_backfill_nothing_is_pending(store: Store) -> None:
    store.members("vip", ann=1, bob=1)
    assert store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1) == {}


def test_after_a_backfill_only_changes_are_sent(store: Store) -> None:
    store.members("vip", ann=1, cem=2)
    log: list[Change] = [("bob", "vip", "false", 2), ("cem", "vip", "true", 2)]
    assert store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, log=log) == {
        "bob": {"vip": False},
        "cem": {"vip": True},
    }


def test_a_change_that_was_sent_is_not_sent_again(store: Store) -> None:
    store.members("vip", ann=1, cem=2)
    log: list[Change] = [("bob", "vip", "false", 2), ("cem", "vip", "true", 2)]
    assert store.calls(DeliveryCursor(id=1, position=2), VIP_SINCE_1, log=log) == {}


def test_all_properties_of_a_user_are_in_one_call(store: Store) -> None:
    store.members("vip", ann=1)
    store.members("buyers", ann=1)
    store.traits("name", ann=(1, ['"Ann"']))
    assert store.calls(NEW, VIP_SINCE_1, Subscription(key="buyers", since_run=1), NAME_SINCE_1) == {
        "ann": {"vip": True, "buyers": True, "name": "Ann"}
    }


@pytest.mark.parametrize("count", [16, 17, 300])
def test_any_number_of_properties_are_in_one_call_in_alphabetical_order(store: Store, count: int) -> None:
    keys = [f"key_{number:03}" for number in range(count)]
    for number, key in enumerate(keys):
        store.members(key, **{"ann" if number % 2 == 0 else "zoe": 1})
    log: list[Change] = [("ann", key, "false", 2) for key in keys[1::2]]
    table = store.table(NEW, *(Subscription(key=key, since_run=1, previously_delivered_run=0) for key in keys), log=log)
    calls = dict(store.workspace.all(f"select user_id, traits from {table}"))
    assert calls == {
        "ann": json.dumps({key: number % 2 == 0 for number, key in enumerate(keys)}, separators=(",", ":")),
        "zoe": json.dumps(dict.fromkeys(keys[1::2], True), separators=(",", ":")),
    }


def test_a_new_audience_and_a_change_of_an_old_one_are_in_one_call(store: Store) -> None:
    store.members("vip")
    store.members("buyers", ann=2)
    calls = store.calls(
        DeliveryCursor(id=1, position=1),
        VIP_SINCE_1,
        Subscription(key="buyers", since_run=2),
        log=[("ann", "vip", "false", 2)],
    )
    assert calls == {"ann": {"vip": False, "buyers": True}}


def test_a_removed_trait_is_sent_as_null(store: Store) -> None:
    store.traits("name", bob=(1, ['"Bob"']))
    assert store.calls(DeliveryCursor(id=1, position=1), NAME_SINCE_1, log=[("ann", "name", None, 2)]) == {
        "ann": {"name": None}
    }


def test_values_keep_their_json_types(store: Store) -> None:
    store.traits("a", "b", "c", "d", ann=(1, ['"007"', "12345678901234567890", "true", '{"x":[1.5]}']))
    subscriptions = [Subscription(key=key, since_run=1) for key in "abcd"]
    assert store.calls(NEW, *subscriptions) == {
        "ann": {"a": "007", "b": 12345678901234567890, "c": True, "d": {"x": [1.5]}}
    }


# By destination.


def test_a_destination_added_later_is_sent_the_current_members_only(store: Store) -> None:
    store.members("vip", ann=1, cem=3)
    log: list[Change] = [("bob", "vip", "false", 2), ("cem", "vip", "true", 3)]
    assert store.calls(NEW, Subscription(key="vip", since_run=5), log=log) == {
        "ann": {"vip": True},
        "cem": {"vip": True},
    }


def test_a_property_without_a_subscription_is_not_sent(store: Store) -> None:
    store.members("vip", ann=1)
    assert store.calls(NEW, log=[("ann", "vip", "true", 2)]) == {}


def test_after_a_baseline_only_later_changes_are_sent(store: Store) -> None:
    store.members("vip", ann=1, bob=3)
    log: list[Change] = [("ann", "vip", "true", 2), ("bob", "vip", "true", 3), ("cem", "vip", "false", 3)]
    baseline = Subscription(key="vip", since_run=2, backfill=False)
    assert store.calls(DeliveryCursor(id=1, position=1), baseline, log=log) == {
        "bob": {"vip": True},
        "cem": {"vip": False},
    }


# Lost answers and newer values.


def test_of_several_changes_only_the_newest_is_sent(store: Store) -> None:
    store.members("vip")
    log: list[Change] = [("ann", "vip", "false", 2), ("ann", "vip", "true", 3), ("ann", "vip", "false", 4)]
    assert store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, log=log) == {"ann": {"vip": False}}


def test_a_value_that_changed_during_a_backfill_is_sent_in_its_newest_version(store: Store) -> None:
    store.traits("name", ann=(3, ['"Anna"']), bob=(1, ['"Bob"']))
    cursor = DeliveryCursor(id=1, position=0, attempted_run=1)
    assert store.calls(cursor, NAME_SINCE_1, log=[("ann", "name", '"Anna"', 3)]) == {
        "ann": {"name": "Anna"},
        "bob": {"name": "Bob"},
    }


def test_a_user_who_left_after_an_unanswered_attempt_is_sent_false(store: Store) -> None:
    store.members("vip", bob=1)
    cursor = DeliveryCursor(id=1, position=0, attempted_run=1)
    assert store.calls(cursor, VIP_SINCE_1, log=[("ann", "vip", "false", 2)]) == {
        "ann": {"vip": False},
        "bob": {"vip": True},
    }


def test_a_user_who_left_before_the_first_attempt_is_sent_nothing(store: Store) -> None:
    store.members("vip", bob=1)
    assert store.calls(NEW, VIP_SINCE_1, log=[("ann", "vip", "false", 2)]) == {"bob": {"vip": True}}


def test_a_user_who_left_before_the_first_attempt_is_sent_nothing_by_the_second(store: Store) -> None:
    store.members("vip", bob=1)
    cursor = DeliveryCursor(id=1, position=0, attempted_run=3)
    log: list[Change] = [("ann", "vip", "false", 2), ("cem", "vip", "false", 4)]
    assert store.calls(cursor, VIP_SINCE_1, log=log) == {"bob": {"vip": True}, "cem": {"vip": False}}


def test_a_repeated_call_has_the_same_versions(store: Store) -> None:
    store.members("vip", ann=1)
    store.traits("name", ann=(3, ['"Ann"']))
    log: list[Change] = [("ann", "name", '"Ann"', 3)]
    subscriptions = VIP_SINCE_1, NAME_SINCE_1
    cursors = NEW, DeliveryCursor(id=1, position=0, attempted_run=3), DeliveryCursor(id=1, position=0, attempted_run=1)
    versions = [store.versions(cursor, *subscriptions, log=log) for cursor in cursors]
    assert versions == [[("ann", "name@3,vip@1", 3)]] * 3


def test_a_resync_sends_a_change_with_its_own_run_so_that_the_message_id_is_new(store: Store) -> None:
    """The change of run 3 is refused, or its answer was lost: a receiver may know its id already."""
    store.members("vip", ann=1, bob=3)
    again = Subscription(key="vip", since_run=5, previously_delivered_run=1)
    versions = store.versions(DeliveryCursor(id=1, position=4), again, log=[("bob", "vip", "true", 3)])
    assert versions == [("ann", "vip@5", 5), ("bob", "vip@5", 5)]


def test_the_text_of_a_call_does_not_depend_on_the_order_of_subscriptions(store: Store) -> None:
    store.members("vip", ann=1)
    store.traits("name", "age", ann=(1, ['"Ann"', "42"]))
    age = Subscription(key="age", since_run=1)
    texts = [
        store.workspace.all(f"select traits from {store.table(NEW, *order)}")
        for order in [(VIP_SINCE_1, NAME_SINCE_1, age), (age, NAME_SINCE_1, VIP_SINCE_1)]
    ]
    assert texts == [[('{"age":42,"name":"Ann","vip":true}',)]] * 2


# How much of the log is needed.


@pytest.mark.parametrize(
    ("cursor", "subscriptions", "run"),
    [
        pytest.param(NEW, [], MAX_RUN, id="no subscription"),
        pytest.param(NEW, [VIP_SINCE_1], MAX_RUN, id="a backfill that was not attempted"),
        pytest.param(DeliveryCursor(id=1, position=0, attempted_run=4), [VIP_SINCE_1], 4, id="since the first attempt"),
        pytest.param(DeliveryCursor(id=1, position=7), [VIP_SINCE_1], 7, id="a complete backfill"),
        pytest.param(
            DeliveryCursor(id=1, position=7, attempted_run=8, ranges=(Range("", "m", 8),)),
            [VIP_SINCE_1],
            7,
            id="some users are further",
        ),
        pytest.param(DeliveryCursor(id=1, position=7), [Subscription(key="vip", since_run=8)], MAX_RUN, id="a new one"),
        pytest.param(
            DeliveryCursor(id=1, position=7),
            [VIP_SINCE_1, Subscription(key="buyers", since_run=8)],
            7,
            id="a new one next to an old one",
        ),
        pytest.param(
            DeliveryCursor(id=1, position=7),
            [Subscription(key="vip", since_run=8, previously_delivered_run=3)],
            3,
            id="a resumed one",
        ),
        pytest.param(
            DeliveryCursor(id=1, position=7),
            [Subscription(key="vip", since_run=5, previously_delivered_run=3)],
            7,
            id="a resumed one that was sent",
        ),
        pytest.param(NEW, [Subscription(key="vip", since_run=2, backfill=False)], 2, id="a baseline, nothing sent yet"),
        pytest.param(
            DeliveryCursor(id=1, position=0, attempted_run=4),
            [Subscription(key="vip", since_run=2, backfill=False)],
            2,
            id="a baseline, then an attempt",
        ),
        pytest.param(
            DeliveryCursor(id=1, position=7),
            [Subscription(key="vip", since_run=8, backfill=False)],
            8,
            id="a new baseline",
        ),
    ],
)
def test_the_log_is_needed_as_far_back_as_a_change_may_be_pending(
    cursor: DeliveryCursor, subscriptions: list[Subscription], run: int
) -> None:
    assert log_floor(cursor, subscriptions) == run


# Interrupted.


@pytest.fixture
def interrupted(store: Store) -> Store:
    """Users up to m have been sent everything up to run 5, those after it up to run 3."""
    store.members("vip", ann=4, zoe=4)
    return store


HALF = DeliveryCursor(id=1, position=3, attempted_run=5, ranges=(Range("", "m", 5),))


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        pytest.param(("ann", "vip", "true", 4), {}, id="of run 4, sent before"),
        pytest.param(("ann", "vip", "false", 6), {"ann": {"vip": False}}, id="of run 6, to a user sent up to 5"),
        pytest.param(("zoe", "vip", "true", 4), {"zoe": {"vip": True}}, id="of run 4, to a user sent up to 3"),
        pytest.param(("zoe", "vip", "true", 3), {}, id="of run 3, sent before"),
        pytest.param(("m", "vip", "true", 5), {}, id="the last user of the range"),
        pytest.param(("m1", "vip", "true", 5), {"m1": {"vip": True}}, id="the next user"),
    ],
)
def test_after_an_interruption_each_user_is_sent_the_rest(interrupted: Store, change: Change, calls: Calls) -> None:
    assert interrupted.calls(HALF, VIP_SINCE_1, log=[change]) == calls


def test_an_interrupted_backfill_continues_where_it_stopped(interrupted: Store) -> None:
    cursor = DeliveryCursor(id=1, position=3, attempted_run=4, ranges=(Range("", "m", 4),))
    assert interrupted.calls(cursor, Subscription(key="vip", since_run=4)) == {"zoe": {"vip": True}}


def test_an_interrupted_backfill_fills_the_gaps_between_answers(store: Store) -> None:
    store.members("vip", ann=4, bob=4, cem=4)
    cursor = DeliveryCursor(id=1, position=3, attempted_run=4, ranges=(Range("", "ann", 4), Range("bob", "cem", 4)))
    assert store.calls(cursor, Subscription(key="vip", since_run=4)) == {"bob": {"vip": True}}


def test_only_the_users_whom_a_seed_has_reached_are_kept_up_to_date(interrupted: Store) -> None:
    cursor = DeliveryCursor(id=1, position=0, attempted_run=4, ranges=(Range("", "m", 4),), seeding="vip")
    log: list[Change] = [("ann", "vip", "false", 5), ("tom", "vip", "false", 5)]
    calls = interrupted.calls(cursor, Subscription(key="vip", since_run=4), log=log, only_sent=True)
    assert calls == {"ann": {"vip": False}}


# Refused.


def test_refused_values_wait_for_a_change_of_the_user(store: Store) -> None:
    assert store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, refused=[("ann", "vip", "true", 1)]) == {}


def test_refused_values_are_sent_again_by_a_retry(store: Store) -> None:
    calls = store.calls(
        DeliveryCursor(id=1, position=1), VIP_SINCE_1, refused=[("ann", "vip", "true", 1)], retry_refused=True
    )
    assert calls == {"ann": {"vip": True}}


def test_refused_values_are_sent_again_with_the_user_s_next_change(store: Store) -> None:
    refused: list[Change] = [("ann", "vip", "true", 1), ("bob", "vip", "true", 1)]
    log: list[Change] = [("ann", "name", '"Ann"', 2)]
    assert store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, NAME_SINCE_1, log=log, refused=refused) == {
        "ann": {"vip": True, "name": "Ann"}
    }


def test_refused_values_are_sent_again_when_the_user_enters_a_new_audience(store: Store) -> None:
    store.members("buyers", ann=2)
    calls = store.calls(
        DeliveryCursor(id=1, position=1),
        VIP_SINCE_1,
        Subscription(key="buyers", since_run=2),
        refused=[("ann", "vip", "true", 1)],
    )
    assert calls == {"ann": {"vip": True, "buyers": True}}


@pytest.mark.parametrize("retry", [False, True])
def test_a_newer_value_replaces_a_refused_one(store: Store, retry: bool) -> None:
    refused: list[Change] = [("ann", "vip", "true", 1)]
    log: list[Change] = [("ann", "vip", "false", 2)]
    calls = store.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, log=log, refused=refused, retry_refused=retry)
    assert calls == {"ann": {"vip": False}}


@pytest.mark.parametrize("retry", [False, True])
def test_refused_values_of_a_property_without_a_subscription_wait(store: Store, retry: bool) -> None:
    refused: list[Change] = [("ann", "vip", "true", 1)]
    log: list[Change] = [("ann", "name", '"Ann"', 2)]
    calls = store.calls(DeliveryCursor(id=1, position=1), NAME_SINCE_1, log=log, refused=refused, retry_refused=retry)
    assert calls == {"ann": {"name": "Ann"}}


def test_suppressed_users_are_sent_nothing(store: Store) -> None:
    store.members("vip", ann=1, bob=1)
    store.workspace.run("create table suppressed as select 'ann' as user_id")
    calls = store.calls(
        NEW, VIP_SINCE_1, suppressed=TableName("suppressed"), refused=[("ann", "vip", "true", 1)], retry_refused=True
    )
    assert calls == {"bob": {"vip": True}}


# Merged ids.


@pytest.fixture
def merged(store: Store) -> Store:
    """The id old was merged into ann, and so was older, which has left since."""
    store.workspace.run(
        "create table aliases as from (values ('old', 'ann'), ('older', 'ann')) t(previous_id, user_id)"
    )
    store.members("vip", ann=1, old=1)
    return store


def test_nothing_is_backfilled_under_a_merged_id(merged: Store) -> None:
    assert merged.calls(NEW, VIP_SINCE_1, aliases=TableName("aliases")) == {"ann": {"vip": True}}


def test_no_change_is_sent_under_a_merged_id(merged: Store) -> None:
    log: list[Change] = [("older", "vip", "false", 2), ("bob", "vip", "false", 2)]
    calls = merged.calls(DeliveryCursor(id=1, position=1), VIP_SINCE_1, log=log, aliases=TableName("aliases"))
    assert calls == {"bob": {"vip": False}}


def test_a_new_alias_is_sent_and_a_removed_one_is_not(merged: Store) -> None:
    merged.traits("$alias", ann=(2, ['["old"]']))
    log: list[Change] = [("ann", "$alias", '["old"]', 2), ("bob", "$alias", None, 2)]
    alias = Subscription(key="$alias", since_run=1)
    calls = merged.calls(DeliveryCursor(id=1, position=1), alias, log=log, aliases=TableName("aliases"))
    assert calls == {"ann": {"$alias": ["old"]}}


# Companions.

DEVICE = [("device_token", "device_type")]


@pytest.fixture
def devices(store: Store) -> Store:
    store.traits("device_token", "device_type", "age", ann=(2, ['"t2"', '"ios"', "42"]), bob=(1, ['"t1"', None, "7"]))
    return store


DEVICE_TRAITS = (
    Subscription(key="device_token", since_run=1),
    Subscription(key="device_type", since_run=1),
    Subscription(key="age", since_run=1),
)


@pytest.mark.parametrize(
    ("change", "calls"),
    [
        pytest.param(
            ("ann", "device_token", '"t2"', 2), {"ann": {"device_token": "t2", "device_type": "ios"}}, id="added"
        ),
        pytest.param(("bob", "device_token", '"t1"', 2), {"bob": {"device_token": "t1"}}, id="no value to add"),
        pytest.param(("ann", "age", "42", 2), {"ann": {"age": 42}}, id="a trait without companions"),
        pytest.param(
            ("ann", "device_token", None, 2),
            {"ann": {"device_token": None, "device_type": "ios"}},
            id="a removed one",
        ),
    ],
)
def test_traits_with_a_meaning_only_together_are_sent_together(devices: Store, change: Change, calls: Calls) -> None:
    assert devices.calls(DeliveryCursor(id=1, position=1), *DEVICE_TRAITS, log=[change], companions=DEVICE) == calls


def test_a_companion_without_a_subscription_is_not_added(devices: Store) -> None:
    calls = devices.calls(
        DeliveryCursor(id=1, position=1),
        Subscription(key="device_token", since_run=1),
        log=[("ann", "device_token", '"t2"', 2)],
        companions=DEVICE,
    )
    assert calls == {"ann": {"device_token": "t2"}}


# Subscriptions that end and are resumed.


def test_a_resumed_subscription_sends_only_the_changes_since_it_ended(store: Store) -> None:
    log: list[Change] = [("ann", "vip", "false", 4), ("bob", "vip", "false", 6), ("cleo", "vip", "true", 7)]
    back = Subscription(key="vip", since_run=8, backfill=False, previously_delivered_run=5)
    assert store.calls(DeliveryCursor(id=1, position=7), back, log=log) == {
        "bob": {"vip": False},
        "cleo": {"vip": True},
    }


def test_a_resumed_backfill_is_sent_to_all_members_and_false_to_users_who_left_meanwhile(store: Store) -> None:
    store.members("vip", ann=1, bob=7)
    log: list[Change] = [("old", "vip", "false", 4), ("cem", "vip", "false", 6), ("bob", "vip", "true", 7)]
    back = Subscription(key="vip", since_run=8, previously_delivered_run=5)
    assert store.calls(DeliveryCursor(id=1, position=7), back, log=log) == {
        "ann": {"vip": True},
        "bob": {"vip": True},
        "cem": {"vip": False},
    }


def state_at(position: int, attempted: int | None = None, **subscriptions: Subscription) -> DestinationState:
    return DestinationState(
        name="connect",
        id=1,
        cursor=DeliveryCursor(id=1, position=position, attempted_run=attempted),
        subscriptions=subscriptions,
    )


@pytest.mark.parametrize(
    ("state", "previously_delivered_run"),
    [
        pytest.param(state_at(5, vip=VIP_SINCE_1), 5, id="a complete backfill"),
        pytest.param(
            state_at(5, vip=Subscription(key="vip", since_run=6)), None, id="a backfill that was not attempted"
        ),
        pytest.param(state_at(5, 6, vip=Subscription(key="vip", since_run=6)), 6, id="a backfill with an attempt"),
        pytest.param(
            state_at(5, vip=Subscription(key="vip", since_run=6, previously_delivered_run=2)),
            2,
            id="resumed, and not sent since",
        ),
        pytest.param(state_at(5, vip=Subscription(key="vip", since_run=5, backfill=False)), 5, id="a baseline"),
    ],
)
def test_an_ended_subscription_keeps_the_run_up_to_which_it_was_sent(
    state: DestinationState, previously_delivered_run: int | None
) -> None:
    assert subscribe(state, {}, run=9).subscriptions["vip"].previously_delivered_run == previously_delivered_run


def test_a_user_who_left_before_a_subscription_ended_twice_is_sent_false(store: Store) -> None:
    """Sent up to 2, then ended; resumed at 6 but not sent; ended again at 7; resumed at 9. Ann left in run 4."""
    store.members("vip")
    state = state_at(5, vip=Subscription(key="vip", since_run=6, previously_delivered_run=2))
    back = subscribe(subscribe(state, {}, run=7), {"vip": True}, run=9)
    assert store.calls(DeliveryCursor(id=1, position=8), *back.active(), log=[("ann", "vip", "false", 4)]) == {
        "ann": {"vip": False}
    }
