"""The calls of one user, reconstructed from the requests one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from audience_sync.delivery.state.cursors import Subscription
from audience_sync.delivery.state.sent_form import SentForm
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.calls import CallOutcome, Request, Suppression, UnacceptedCall
from audience_sync.history.explain.replay import ReplayInput, ReplayState, replay
from audience_sync.history.explain.value_history import ValueChange, ValueHistory
from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.store.audiences.properties import Property

NEW_YEAR = datetime(2026, 1, 1, 6, tzinfo=UTC)
REFUSAL, SUPPRESSED_MEANWHILE = UnacceptedCall("no such profile", 400), UnacceptedCall(None, None)
DELIVERED, REFUSED, WITHHELD = CallOutcome.DELIVERED, CallOutcome.REFUSED, CallOutcome.WITHHELD


def day(run: int, hour: int = 0) -> datetime:
    """The day of a run: run 1 is on New Year's morning, run 2 on the next one."""
    return NEW_YEAR + timedelta(days=run - 1, hours=hour)


def history(key: str, kind: PropertyKind, first: str | None, *changes: tuple[int, str | None]) -> ValueHistory:
    """The values of a property that run 1 created."""
    definition = Property(
        id=PropertyId(1),
        kind=kind,
        key=key,
        name=key,
        origin=None,
        definition=None,
        chain_id=1,
        created_run=RunId(1),
        retired=False,
    )
    return ValueHistory(definition, ValueChange(1, first), tuple(ValueChange(*change) for change in changes))


def audience(first: str | None, *changes: tuple[int, str | None], key: str = "vip") -> ValueHistory:
    return history(key, PropertyKind.AUDIENCE, first, *changes)


def trait(key: str, first: str | None, *changes: tuple[int, str | None]) -> ValueHistory:
    return history(key, PropertyKind.COMPUTED_TRAIT, first, *changes)


def version(from_run: int = 1, *, key: str = "vip", seeding: bool = False, **how: Any) -> SubscriptionVersion:
    return SubscriptionVersion(from_run, Subscription(key=key, **{"since_run": from_run, **how}), seeding)


def request(run: int, command: str = "sync", **how: Any) -> Request:
    """A request answered an hour after its run. The run before had been delivered completely."""
    usual = {"position": run - 1, "attempted_run": run, "http_status": 200}
    return Request(id=run, run=run, command=command, committed_at=day(run), answered_at=day(run, 1), **{**usual, **how})


def replay_of(inputs: ReplayInput, *requests: Request) -> ReplayState:
    return replay(inputs, requests, day(99))


def calls(state: ReplayState) -> list[tuple[int, dict[str, str | None], CallOutcome]]:
    return [
        (call.request.run, {key: each.value for key, each in call.values.items()}, call.outcome) for call in state.calls
    ]


MEMBER, LEAVER = audience("true"), audience("true", (3, "false"))

#: By name: the values of the user, the versions of the subscription, the requests, and the expected calls.
HISTORIES: dict[str, tuple[ValueHistory, list[SubscriptionVersion], list[Request], list[Any]]] = {
    "a member is sent true once": (MEMBER, [version()], [request(1), request(2)], [(1, "true", DELIVERED)]),
    "a user who left is sent false": (
        LEAVER,
        [version()],
        [request(1), request(3)],
        [(1, "true", DELIVERED), (3, "false", DELIVERED)],
    ),
    "a user who entered is sent true": (
        audience(None, (2, "true")),
        [version()],
        [request(1), request(2)],
        [(2, "true", DELIVERED)],
    ),
    "a user not reached is sent the newest value later": (
        LEAVER,
        [version()],
        [request(4, position=2)],
        [(4, "false", DELIVERED)],
    ),
    "a user who left before the first call is sent nothing": (
        audience("true", (2, "false")),
        [version()],
        [request(3, position=0, attempted_run=3)],
        [],
    ),
    "a user who left after an unanswered call is sent false": (
        audience("true", (2, "false")),
        [version()],
        [request(3, position=0, attempted_run=1)],
        [(3, "false", DELIVERED)],
    ),
    "after a baseline only changes are sent": (
        LEAVER,
        [version(backfill=False)],
        [request(1), request(3)],
        [(3, "false", DELIVERED)],
    ),
    "a destination added later is sent the members": (MEMBER, [version(5)], [request(5)], [(5, "true", DELIVERED)]),
    "a destination added later is not sent users who left before": (
        LEAVER,
        [version(5)],
        [request(5, attempted_run=5)],
        [],
    ),
    "a property without a subscription is not sent": (MEMBER, [version(key="other")], [request(1)], []),
    "an ended subscription is not sent": (
        LEAVER,
        [version(), version(2, since_run=1, ended_run=2)],
        [request(1), request(3)],
        [(1, "true", DELIVERED)],
    ),
    "a resumed subscription sends the changes since it ended": (
        LEAVER,
        [version(), version(2, since_run=1, ended_run=2), version(4, backfill=False, previously_delivered_run=1)],
        [request(1), request(4)],
        [(1, "true", DELIVERED), (4, "false", DELIVERED)],
    ),
    "a resumed subscription sends no unchanged value again": (
        MEMBER,
        [version(), version(2, since_run=1, ended_run=2), version(4, backfill=False, previously_delivered_run=1)],
        [request(1), request(4)],
        [(1, "true", DELIVERED)],
    ),
    "a resync sends a member again, with a new run": (
        MEMBER,
        [version(), version(4, previously_delivered_run=0)],
        [request(1), request(4)],
        [(1, "true", DELIVERED), (4, "true", DELIVERED)],
    ),
    "a resync sends false to users who left": (
        LEAVER,
        [version(), version(4, previously_delivered_run=0)],
        [request(1), request(3), request(4)],
        [(1, "true", DELIVERED), (3, "false", DELIVERED), (4, "false", DELIVERED)],
    ),
    "a refused value is sent with the next change": (
        LEAVER,
        [version()],
        [request(1, unaccepted=REFUSAL), request(2), request(3)],
        [(1, "true", REFUSED), (3, "false", DELIVERED)],
    ),
    "a refused value is sent by a retry": (
        MEMBER,
        [version()],
        [request(1, unaccepted=REFUSAL), request(2, "retry", retried=True)],
        [(1, "true", REFUSED), (2, "true", DELIVERED)],
    ),
    "a user suppressed during a run is sent nothing": (
        MEMBER,
        [version()],
        [request(1, unaccepted=SUPPRESSED_MEANWHILE)],
        [(1, "true", WITHHELD)],
    ),
    "a seeded audience is sent by its seed only": (
        MEMBER,
        [version(seeding=True)],
        [
            request(1),
            request(1, seeding="vip", position=0),
            request(2, "seed", seeding="vip", position=0),
        ],
        [(2, "true", DELIVERED)],
    ),
    "a user whom the seed has reached is sent later changes by every run": (
        LEAVER,
        [version(seeding=True)],
        [request(1, "seed", seeding="vip", position=0), request(3, seeding="vip", position=0)],
        [(1, "true", DELIVERED), (3, "false", DELIVERED)],
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_user_is_sent(name: str) -> None:
    values, versions, requests, expected = HISTORIES[name]
    inputs = ReplayInput(versions={"vip": values}, subscriptions={versions[0].key: versions})
    assert calls(replay_of(inputs, *requests)) == [(run, {"vip": value}, outcome) for run, value, outcome in expected]


def test_all_changes_are_in_one_call() -> None:
    versions = {"vip": LEAVER, "plan": trait("plan", '"free"', (3, '"pro"'))}
    inputs = ReplayInput(versions=versions, subscriptions={key: [version(key=key)] for key in versions})
    state = replay_of(inputs, request(1), request(3))
    assert calls(state) == [
        (1, {"vip": "true", "plan": '"free"'}, DELIVERED),
        (3, {"vip": "false", "plan": '"pro"'}, DELIVERED),
    ]
    assert {key: call.request.run for key, call in state.last_accepted.items()} == {"vip": 3, "plan": 3}


def test_refused_values_are_sent_with_any_change_and_then_deleted() -> None:
    versions = {"vip": MEMBER, "plan": trait("plan", '"free"', (3, '"pro"'))}
    inputs = ReplayInput(versions=versions, subscriptions={key: [version(key=key)] for key in versions})
    refused = replay_of(inputs, request(1, unaccepted=REFUSAL))
    assert {key: each.value for key, each in refused.refused.items()} == {"vip": "true", "plan": '"free"'}
    state = replay_of(inputs, request(1, unaccepted=REFUSAL), request(3))
    assert calls(state)[1:] == [(3, {"vip": "true", "plan": '"pro"'}, DELIVERED)]
    assert (state.refused, state.refusals) == ({}, [])


def test_the_rest_of_a_call_without_a_refused_property_is_delivered() -> None:
    versions = {"vip": MEMBER, "bio": trait("bio", '"long"'), "plan": trait("plan", '"free"')}
    inputs = ReplayInput(versions=versions, subscriptions={key: [version(key=key)] for key in versions})
    replayed = replay_of(inputs, request(1, unaccepted=UnacceptedCall("too large", None, frozenset({"bio"}))))
    outcomes = [(sorted(call.values), call.outcome) for call in replayed.calls]
    assert outcomes == [(["plan", "vip"], CallOutcome.DELIVERED), (["bio"], CallOutcome.REFUSED)]
    assert replayed.refused.keys() == {"bio"}


def test_companions_are_sent_with_a_changed_trait_unless_they_were_removed() -> None:
    versions = {"token": trait("token", '"a"', (2, '"b"')), "type": trait("type", '"ios"'), "os": trait("os", None)}
    inputs = ReplayInput(
        versions=versions,
        subscriptions={key: [version(key=key)] for key in versions},
        companions=[("token", "type", "os")],
    )
    assert calls(replay_of(inputs, request(1), request(2)))[1:] == [(2, {"token": '"b"', "type": '"ios"'}, DELIVERED)]


class TestSuppressed:
    SINCE_RUN_2 = Suppression("command", day(2), day(5))
    INPUTS = ReplayInput(versions={"vip": LEAVER}, subscriptions={"vip": [version()]}, suppressions=[SINCE_RUN_2])
    WITHHELD_REQUEST = replace(request(3), id=None)

    def test_users_are_sent_withheld_values_afterwards(self) -> None:
        state = replay_of(self.INPUTS, request(1), self.WITHHELD_REQUEST, request(6))
        assert calls(state) == [
            (1, {"vip": "true"}, DELIVERED),
            (3, {"vip": "false"}, WITHHELD),
            (6, {"vip": "false"}, DELIVERED),
        ]
        assert state.withheld == {}

    def test_users_are_sent_nothing_by_other_users_requests_meanwhile(self) -> None:
        state = replay_of(self.INPUTS, request(1), self.WITHHELD_REQUEST, request(4))
        assert calls(state) == [(1, {"vip": "true"}, DELIVERED), (3, {"vip": "false"}, WITHHELD)]
        assert {key: each.value for key, each in state.withheld.items()} == {"vip": "false"}

    def test_users_are_sent_earlier_refused_values_afterwards(self) -> None:
        inputs = replace(self.INPUTS, versions={"vip": MEMBER})
        state = replay_of(inputs, request(1, unaccepted=REFUSAL), request(6))
        assert calls(state) == [(1, {"vip": "true"}, REFUSED), (6, {"vip": "true"}, DELIVERED)]

    def test_refused_values_of_suppressed_users_become_withheld(self) -> None:
        state = replay_of(self.INPUTS, request(1, unaccepted=REFUSAL), self.WITHHELD_REQUEST)
        assert (state.refused, state.refusals) == ({}, [])
        assert {key: each.value for key, each in state.withheld.items()} == {"vip": "false"}


BY_EMAIL = SentForm(user_id="email").text
EMAIL = trait("email", '"ada@example.com"', (3, '"ada@example.org"'))
#: By name: the audience of a user whose e-mail, the id at the destination, changes in run 3; its first subscription;
#: and what is sent then besides the e-mail.
NEW_IDS: dict[str, tuple[ValueHistory, dict[str, Any], dict[str, str | None]]] = {
    "a member is sent true again": (MEMBER, {}, {"vip": "true"}),
    "a user who left is sent false again": (audience("true", (2, "false")), {}, {"vip": "false"}),
    "a user who never was a member is sent nothing of it": (audience(None), {}, {}),
    "a member of a baseline, who was sent nothing, is sent nothing": (MEMBER, {"backfill": False}, {}),
    "a user who entered after the baseline is sent true again": (
        audience(None, (2, "true")),
        {"backfill": False},
        {"vip": "true"},
    ),
}


@pytest.mark.parametrize("name", NEW_IDS)
def test_under_another_id_a_user_is_sent_everything_again(name: str) -> None:
    vip, first, sent = NEW_IDS[name]
    inputs = ReplayInput(
        versions={"vip": vip, "email": EMAIL},
        subscriptions={
            "vip": [version(sent_as=BY_EMAIL, **first)],
            "email": [version(key="email", sent_as=BY_EMAIL)],
        },
    )
    state = replay_of(inputs, request(1), request(2), request(3))
    assert calls(state)[-1] == (3, {"email": '"ada@example.org"', **sent}, DELIVERED)
    assert {each.run for each in state.calls[-1].values.values()} == {3}  # so that the message id is new


def test_the_id_of_a_user_who_lost_it_is_no_new_one() -> None:
    lost = trait("email", '"ada@example.com"', (3, None))
    inputs = ReplayInput(
        versions={"vip": MEMBER, "email": lost},
        subscriptions={"vip": [version(sent_as=BY_EMAIL)], "email": [version(key="email", sent_as=BY_EMAIL)]},
    )
    assert calls(replay_of(inputs, request(1), request(3)))[-1] == (3, {"email": None}, DELIVERED)


@pytest.mark.parametrize(
    ("value", "sent"),
    [('"+49 30 901820"', [(2, {"vip": "true"}, DELIVERED)]), (None, [])],
    ids=["a new phone", "no phone any more"],
)
def test_what_was_refused_without_an_identifier_is_sent_when_it_comes(value: str | None, sent: list[Any]) -> None:
    """The phone is an identifier, and no property that the destination gets."""
    phone = trait("phone", '"call me"', (2, value))
    inputs = ReplayInput(
        versions={"vip": MEMBER, "phone": phone},
        subscriptions={"vip": [version(sent_as=SentForm(identifiers=("phone",)).text)]},
    )
    refused = request(1, unaccepted=REFUSAL)
    assert calls(replay_of(inputs, refused, request(2))) == [(1, {"vip": "true"}, REFUSED), *sent]


@pytest.mark.parametrize(
    ("run", "value"), [(1, '"ada@example.com"'), (3, '"ada@example.org"'), (9, '"ada@example.org"')]
)
def test_the_last_value_is_the_one_before_it_was_lost(run: int, value: str) -> None:
    lost = trait("email", '"ada@example.com"', (3, '"ada@example.org"'), (5, None), (6, '""'))
    last = lost.last_value(RunId(run))
    assert last is not None
    assert last.value == value
