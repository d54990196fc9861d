"""Receivers that are accounts at vendors' fakes, which name refused users and answer without storing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from destinations.fakes import FAKES
from destinations.fakes.state import Properties, State
from destinations.receiver import NO_ANSWER, Received, Reply

from .receiver import TOO_LARGE, Destination

#: The lists of a request.
LISTS = ("attributes", "events", "users", "inputs", "merge_updates")
#: The fields that name a user of an item, and its properties.
USERS = ("external_id", "userId", "id")
PROPERTIES = ("dataFields", "properties")


@dataclass
class Account(Destination):
    """An account at a vendor. A removed property is believed to be None."""

    vendor: str = ""
    state: State = field(init=False)
    previous: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = State(key=FAKES[self.vendor].key)

    def answer(self, request: Received) -> Reply:
        items = _items(request)
        merges, others = [each for each in items if _merge(each)], [each for each in items if not _merge(each)]
        users = {_user(each) for each in others}
        if users & self.forbidden:
            self.belief.wrong.append(f"sent although suppressed: {users & self.forbidden}")
        if users & self.joined:
            self.belief.wrong.append(f"sent under a previous id: {users & self.joined}")
        fault = self.next_fault()
        if fault == "down":
            return NO_ANSWER
        if fault == "failing":
            return Reply(500)
        before = self.state.users
        after, reply = FAKES[self.vendor].answer(self._with(fault, len(items)), request)
        self.state = replace(State(key=FAKES[self.vendor].key), **_stored(after))
        if reply.status < 300 and items and after.users != before:
            self.messages += len(items)
        if reply.status < 300:
            self._merge_users([_merge(each) for each in merges], before)
            self._believe(others)
        return NO_ANSWER if fault == "answers lost" else reply

    def _with(self, fault: str | None, items: int) -> State:
        """The account with a fault for one request."""
        divided = fault == TOO_LARGE and items > 1
        return replace(
            self.state,
            key="another" if fault == "wrong key" else self.state.key,
            limited=int(fault == "limited"),
            silent=int(divided and self.vendor == "hubspot"),
            most_bytes=0 if divided and self.vendor != "hubspot" else sys.maxsize,
            blocked=frozenset(self.refusing),
        )

    def _merge_users(self, merges: Sequence[tuple[str, str]], before: Mapping[str, Properties]) -> None:
        for previous, new in merges:
            if previous not in self.joined:
                self.joined.add(previous)
                self.previous[new] = previous
                self.inherited[new] = before.get(previous, {}).keys() - before.get(new, {}).keys()

    def _believe(self, items: Sequence[dict[str, Any]]) -> None:
        for user, properties in FAKES[self.vendor].users(self.state).items():
            merged = {"$alias": [self.previous[user]]} if user in self.previous else {}
            self.belief.users[user] = {**properties, **merged}
        for each in items:
            if _user(each) not in self.refusing:
                properties = next((each[name] for name in PROPERTIES if name in each), each)
                self.inherited.get(_user(each), set()).difference_update(properties)


def _stored(state: State) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("users", "merged", "events", "types", "versions")}


def _items(request: Received) -> list[dict[str, Any]]:
    """What a request has of users; nothing if it is about fields."""
    if "/properties/" in request.path:
        return []
    body = json.loads(request.body)
    if request.path.endswith("/users/merge") and "merge_updates" not in body:
        return [body]
    return [item for name in LISTS for item in body.get(name, ())]


def _merge(item: dict[str, Any]) -> Any:
    """The previous id and the new one of a merge, or None."""
    if "sourceUserId" in item:
        return item["sourceUserId"], item["destinationUserId"]
    if "identifier_to_merge" in item:
        return item["identifier_to_merge"]["external_id"], item["identifier_to_keep"]["external_id"]
    return None


def _user(item: dict[str, Any]) -> str:
    return next(str(item[name]) for name in USERS if name in item)
