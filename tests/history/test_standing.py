"""How does a destination stand with one user? Worked out of the calls, and of how far its feeds have got."""

from __future__ import annotations

import pytest

from audience_sync.delivery.pending.pending import NEVER
from audience_sync.delivery.state.cursors import Feed
from audience_sync.delivery.state.subscription_history import Terms
from audience_sync.history.explain.replay import Request, Story
from audience_sync.history.explain.status import State, standing
from audience_sync.history.explain.value_history import Versions

from .test_telling import LEAVER, MEMBER, REFUSED, audience, played, request, terms

NOBODY = audience(None)
ENDED = [terms(), terms(2, since_run=1, ended_run=2)]

#: Name -> what the user had, on which terms, in which requests they were, how far the feed is; and how it stands.
CASES: dict[str, tuple[Versions, list[Terms], list[Request], Feed, tuple[State, str | None]]] = {
    "told": (MEMBER, [terms()], [request(1)], Feed(1, 9), (State.TOLD, None)),
    "told, and the request is no longer kept": (MEMBER, [terms()], [], Feed(1, 9), (State.TOLD, None)),
    "owed": (MEMBER, [terms()], [], Feed(1, 0), (State.OWED, "true")),
    "owed the change": (LEAVER, [terms()], [request(1)], Feed(1, 2), (State.OWED, "false")),
    "owed nothing who left before anything was sent": (LEAVER, [terms()], [], Feed(1, 0), (State.NOTHING, None)),
    "owed false who may have been told true": (LEAVER, [terms()], [], Feed(1, 0, 1), (State.OWED, "false")),
    "refused": (MEMBER, [terms()], [request(1, untaken=REFUSED)], Feed(1, 9), (State.REFUSED, "true")),
    "owed with what it refused before": (
        LEAVER,
        [terms()],
        [request(1, untaken=REFUSED)],
        Feed(1, 2),
        (State.OWED, "false"),
    ),
    "waiting for a seed": (MEMBER, [terms(seeding=True)], [], Feed(2, 0, seeding="vip"), (State.WAITING, "true")),
    "recorded without sending": (MEMBER, [terms(tell_everyone=False)], [], Feed(1, 9), (State.BASELINE, None)),
    "not told of": (MEMBER, [terms(key="other")], [], Feed(1, 9), (State.NOT_TOLD_OF, None)),
    "told of no longer": (LEAVER, ENDED, [request(1)], Feed(1, 9), (State.ENDED, None)),
    "told nothing, as there was nothing": (NOBODY, [terms()], [], Feed(1, 9), (State.NOTHING, None)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_property_is(name: str) -> None:
    versions, history, requests, feed, expected = CASES[name]
    story = Story({"vip": versions}, {history[0].key: history})
    feeds = {feed.seeding: feed}
    (line,) = standing(story.versions, story.terms, played(story, *requests), feeds, NEVER, suppressed=False)
    assert (line.state, line.due and line.due.value) == expected


def test_all_that_is_due_is_withheld_from_a_suppressed_user() -> None:
    story = Story({"vip": LEAVER}, {"vip": [terms()]})
    lines = standing(story.versions, story.terms, played(story, request(1)), {None: Feed(1, 2)}, NEVER, suppressed=True)
    assert [(line.state, line.due and line.due.value) for line in lines] == [(State.WITHHELD, "false")]
