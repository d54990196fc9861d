"""What was one user told? The rule of the delivery, played through for one user, request by request."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from audience_sync.delivery.state.cursors import Subscription
from audience_sync.delivery.state.subscription_history import SubscriptionVersion
from audience_sync.history.explain.replay import (
    CallOutcome,
    RejectedCall,
    ReplayInput,
    ReplayState,
    Request,
    Suppression,
    replay,
)
from audience_sync.history.explain.value_history import ValueChange, ValueHistory
from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.store.audiences.properties import Property

NEW_YEAR = datetime(2026, 1, 1, 6, tzinfo=UTC)
REFUSED, SUPPRESSED_MEANWHILE = RejectedCall("no such profile", 400), RejectedCall(None, None)
TOLD, NOT_TAKEN, KEPT = CallOutcome.DELIVERED, CallOutcome.REFUSED, CallOutcome.WITHHELD


def day(run: int, hour: int = 0) -> datetime:
    """Run 1 is that of New Year's morning, run 2 the next one."""
    return NEW_YEAR + timedelta(days=run - 1, hours=hour)


def known(key: str, kind: PropertyKind, first: str | None, *changes: tuple[int, str | None]) -> ValueHistory:
    """A property that run 1 created, with this value, and its changes."""
    of = Property(
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
    return ValueHistory(of, ValueChange(1, first), tuple(ValueChange(*change) for change in changes))


def audience(first: str | None, *changes: tuple[int, str | None], key: str = "vip") -> ValueHistory:
    return known(key, PropertyKind.AUDIENCE, first, *changes)


def trait(key: str, first: str | None, *changes: tuple[int, str | None]) -> ValueHistory:
    return known(key, PropertyKind.COMPUTED_TRAIT, first, *changes)


def terms(from_run: int = 1, *, key: str = "vip", seeding: bool = False, **how: Any) -> SubscriptionVersion:
    return SubscriptionVersion(from_run, Subscription(key=key, **{"since_run": from_run, **how}), seeding)


def request(run: int, command: str = "sync", **how: Any) -> Request:
    """Answered an hour after the run, which had told everyone everything up to the run before."""
    usual = {"position": run - 1, "attempted_run": run, "http_status": 200}
    return Request(id=run, run=run, command=command, committed_at=day(run), answered_at=day(run, 1), **{**usual, **how})


def played(story: ReplayInput, *requests: Request) -> ReplayState:
    return replay(story, requests, day(99))


def calls(told: ReplayState) -> list[tuple[int, dict[str, str | None], CallOutcome]]:
    return [
        (call.request.run, {key: each.value for key, each in call.values.items()}, call.outcome) for call in told.calls
    ]


MEMBER, LEAVER = audience("true"), audience("true", (3, "false"))

#: Name -> what the user had, on which terms, in which requests they were, and the calls about them.
HISTORIES: dict[str, tuple[ValueHistory, list[SubscriptionVersion], list[Request], list[Any]]] = {
    "a member is told once": (MEMBER, [terms()], [request(1), request(2)], [(1, "true", TOLD)]),
    "who left is told false": (LEAVER, [terms()], [request(1), request(3)], [(1, "true", TOLD), (3, "false", TOLD)]),
    "who entered is told true": (audience(None, (2, "true")), [terms()], [request(1), request(2)], [(2, "true", TOLD)]),
    "who was not reached is told later, the newest": (
        LEAVER,
        [terms()],
        [request(4, position=2)],
        [(4, "false", TOLD)],
    ),
    "who left before anything was sent is told nothing": (
        audience("true", (2, "false")),
        [terms()],
        [request(3, position=0, attempted_run=3)],
        [],
    ),
    "who left after an answer may have been lost is told false": (
        audience("true", (2, "false")),
        [terms()],
        [request(3, position=0, attempted_run=1)],
        [(3, "false", TOLD)],
    ),
    "of a baseline only changes are told": (
        LEAVER,
        [terms(backfill=False)],
        [request(1), request(3)],
        [(3, "false", TOLD)],
    ),
    "a destination added later is told the members": (MEMBER, [terms(5)], [request(5)], [(5, "true", TOLD)]),
    "and nobody who left before": (LEAVER, [terms(5)], [request(5, attempted_run=5)], []),
    "what it is not told of it is not told": (MEMBER, [terms(key="other")], [request(1)], []),
    "what it is told of no longer is not told": (
        LEAVER,
        [terms(), terms(2, since_run=1, ended_run=2)],
        [request(1), request(3)],
        [(1, "true", TOLD)],
    ),
    "what comes back is told the changes since": (
        LEAVER,
        [terms(), terms(2, since_run=1, ended_run=2), terms(4, backfill=False, sent_through=1)],
        [request(1), request(4)],
        [(1, "true", TOLD), (4, "false", TOLD)],
    ),
    "and nobody again who has not changed": (
        MEMBER,
        [terms(), terms(2, since_run=1, ended_run=2), terms(4, backfill=False, sent_through=1)],
        [request(1), request(4)],
        [(1, "true", TOLD)],
    ),
    "resync tells a member again, as a change of its own": (
        MEMBER,
        [terms(), terms(4, sent_through=0)],
        [request(1), request(4)],
        [(1, "true", TOLD), (4, "true", TOLD)],
    ),
    "and who left false": (
        LEAVER,
        [terms(), terms(4, sent_through=0)],
        [request(1), request(3), request(4)],
        [(1, "true", TOLD), (3, "false", TOLD), (4, "false", TOLD)],
    ),
    "a refused call is told with the next change": (
        LEAVER,
        [terms()],
        [request(1, rejection=REFUSED), request(2), request(3)],
        [(1, "true", NOT_TAKEN), (3, "false", TOLD)],
    ),
    "or when it is retried": (
        MEMBER,
        [terms()],
        [request(1, rejection=REFUSED), request(2, "retry", retried=True)],
        [(1, "true", NOT_TAKEN), (2, "true", TOLD)],
    ),
    "a user suppressed in the middle of a run is not sent to": (
        MEMBER,
        [terms()],
        [request(1, rejection=SUPPRESSED_MEANWHILE)],
        [(1, "true", KEPT)],
    ),
    "an audience that is seeded is told by its seed alone": (
        MEMBER,
        [terms(seeding=True)],
        [
            request(1),
            request(1, seeding="vip", position=0),
            request(2, "seed", seeding="vip", position=0),
        ],
        [(2, "true", TOLD)],
    ),
    "and whom the seed has reached by every run": (
        LEAVER,
        [terms(seeding=True)],
        [request(1, "seed", seeding="vip", position=0), request(3, seeding="vip", position=0)],
        [(1, "true", TOLD), (3, "false", TOLD)],
    ),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_a_user_is_told(name: str) -> None:
    versions, history, requests, expected = HISTORIES[name]
    story = ReplayInput(versions={"vip": versions}, subscriptions={history[0].key: history})
    assert calls(played(story, *requests)) == [(run, {"vip": value}, outcome) for run, value, outcome in expected]


def test_all_that_changed_travels_in_one_call() -> None:
    versions = {"vip": LEAVER, "plan": trait("plan", '"free"', (3, '"pro"'))}
    story = ReplayInput(versions=versions, subscriptions={key: [terms(key=key)] for key in versions})
    told = played(story, request(1), request(3))
    assert calls(told) == [
        (1, {"vip": "true", "plan": '"free"'}, TOLD),
        (3, {"vip": "false", "plan": '"pro"'}, TOLD),
    ]
    assert {key: call.request.run for key, call in told.last_accepted.items()} == {"vip": 3, "plan": 3}


def test_what_was_refused_goes_along_with_any_change_and_is_then_forgotten() -> None:
    versions = {"vip": MEMBER, "plan": trait("plan", '"free"', (3, '"pro"'))}
    story = ReplayInput(versions=versions, subscriptions={key: [terms(key=key)] for key in versions})
    refused = played(story, request(1, rejection=REFUSED))
    assert {key: each.value for key, each in refused.refused.items()} == {"vip": "true", "plan": '"free"'}
    told = played(story, request(1, rejection=REFUSED), request(3))
    assert calls(told)[1:] == [(3, {"vip": "true", "plan": '"pro"'}, TOLD)]
    assert (told.refused, told.refusals) == ({}, [])


def test_of_a_call_sent_without_a_property_the_rest_is_delivered() -> None:
    versions = {"vip": MEMBER, "bio": trait("bio", '"long"'), "plan": trait("plan", '"free"')}
    story = ReplayInput(versions=versions, subscriptions={key: [terms(key=key)] for key in versions})
    replayed = played(story, request(1, rejection=RejectedCall("too large", None, frozenset({"bio"}))))
    outcomes = [(sorted(call.values), call.outcome) for call in replayed.calls]
    assert outcomes == [(["plan", "vip"], CallOutcome.DELIVERED), (["bio"], CallOutcome.REFUSED)]
    assert replayed.refused.keys() == {"bio"}


def test_traits_that_travel_together_join_a_changed_one_unless_they_are_gone() -> None:
    versions = {"token": trait("token", '"a"', (2, '"b"')), "type": trait("type", '"ios"'), "os": trait("os", None)}
    story = ReplayInput(
        versions=versions,
        subscriptions={key: [terms(key=key)] for key in versions},
        companions=[("token", "type", "os")],
    )
    assert calls(played(story, request(1), request(2)))[1:] == [(2, {"token": '"b"', "type": '"ios"'}, TOLD)]


class TestSuppressed:
    SINCE_RUN_2 = Suppression("command", day(2), day(5))
    STORY = ReplayInput(versions={"vip": LEAVER}, subscriptions={"vip": [terms()]}, suppressions=[SINCE_RUN_2])
    KEPT_BACK = replace(request(3), id=None)

    def test_users_are_told_afterwards_what_was_kept_back(self) -> None:
        told = played(self.STORY, request(1), self.KEPT_BACK, request(6))
        assert calls(told) == [(1, {"vip": "true"}, TOLD), (3, {"vip": "false"}, KEPT), (6, {"vip": "false"}, TOLD)]
        assert told.withheld == {}

    def test_users_are_told_nothing_meanwhile_by_others_requests(self) -> None:
        told = played(self.STORY, request(1), self.KEPT_BACK, request(4))
        assert calls(told) == [(1, {"vip": "true"}, TOLD), (3, {"vip": "false"}, KEPT)]
        assert {key: each.value for key, each in told.withheld.items()} == {"vip": "false"}

    def test_users_are_told_afterwards_what_they_had_been_refused_before(self) -> None:
        story = replace(self.STORY, versions={"vip": MEMBER})
        told = played(story, request(1, rejection=REFUSED), request(6))
        assert calls(told) == [(1, {"vip": "true"}, NOT_TAKEN), (6, {"vip": "true"}, TOLD)]

    def test_users_are_refused_nothing_any_more(self) -> None:
        told = played(self.STORY, request(1, rejection=REFUSED), self.KEPT_BACK)
        assert (told.refused, told.refusals) == ({}, [])
        assert {key: each.value for key, each in told.withheld.items()} == {"vip": "false"}
