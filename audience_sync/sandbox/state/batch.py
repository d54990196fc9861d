"""Change the users of one request: loaded once, changed in memory, stored together."""

from __future__ import annotations

import sqlite3
from collections import Counter

from audience_sync.sandbox.json_text import json_value, storable, written
from audience_sync.sandbox.state.changes import Change, Counts, User, apply, merge
from audience_sync.sandbox.values import Call


class UserBatch:
    """The users of one request to one destination. ``at``: seconds since 1970."""

    def __init__(self, db: sqlite3.Connection, destination: str, at: float) -> None:
        self._db, self._destination, self._at = db, destination, at
        self._users: dict[str, User] = {}
        self._removed: set[str] = set()
        self._merged: list[tuple[str, str, str]] = []
        self._counts: Counts = Counter()
        self._events: list[tuple[int, str, str, str]] = []
        self.new_users = 0

    @property
    def events(self) -> int:
        return len(self._events)

    def apply(self, call: Call, number: int) -> list[Change]:
        if not call.user_id:
            return []
        changes = list[Change]()
        user = self._user(call.user_id)
        if call.previous_id and call.previous_id != call.user_id:
            previous = self._user(call.previous_id)
            changes += merge(previous, user, self._counts)
            if previous.first_at:
                self.new_users -= 1
            self._removed.add(call.previous_id)
            self._merged.append((call.user_id, self._destination, call.previous_id))
            self._users[call.previous_id] = User()
        if not user.first_at:
            self.new_users += 1
        self._removed.discard(call.user_id)
        changes += apply(call, user, self._at, self._counts)
        if call.group_sets and "group_id" in call.sets:
            self._store_group(str(call.sets["group_id"]), call)
        if call.event:
            self._events.append((number, call.user_id, call.event, written(call.properties)))
        return changes

    def _user(self, user_id: str) -> User:
        found = self._users.get(user_id)
        if found is None:
            row = self._db.execute(
                "select properties, calls, first_at, last_at from users where destination = ? and user_id = ?",
                (self._destination, user_id),
            ).fetchone()
            found = self._users[user_id] = User() if row is None else User(json_value(row[0]), *row[1:])
        return found

    def _store_group(self, group_id: str, call: Call) -> None:
        """Store what the members of a group inherit. Values are pairs, so that a patch replaces them whole."""
        values = {name: [value, self._at] for name, value in call.group_sets.items()}
        self._db.execute(
            "insert into groups values (?, ?, ?) on conflict (destination, group_id) do update set"
            " properties = json_patch(properties, excluded.properties)",
            (self._destination, storable(group_id), written(values)),
        )

    def store(self) -> None:
        users = [
            (self._destination, user_id, written(user.properties), user.calls, user.first_at, user.last_at)
            for user_id, user in self._users.items()
            if user_id not in self._removed and user.last_at
        ]
        self._db.executemany(
            "insert into users values (?, ?, ?, ?, ?, ?) on conflict (destination, user_id) do update set"
            " properties = excluded.properties, calls = excluded.calls, first_at = excluded.first_at,"
            " last_at = excluded.last_at",
            users,
        )
        for user_id in self._removed:
            self._db.execute("delete from users where destination = ? and user_id = ?", (self._destination, user_id))
        self._db.executemany(
            "insert into property_counts values (?, ?, ?, ?) on conflict (destination, property, kind)"
            " do update set users = users + excluded.users",
            [(self._destination, storable(name), kind, users) for (name, kind), users in self._counts.items() if users],
        )
        if self._events:
            self._store_events()
        for merged in self._merged:
            self._move_events(merged)

    def _move_events(self, merged: tuple[str, str, str]) -> None:
        """Give the events of a previous id to the user: (user, destination, previous id)."""
        self._db.execute("update events set user_id = ? where destination = ? and user_id = ?", merged)
        self._db.execute(
            "insert into user_events select destination, ?, event, times, first_at, last_at from user_events"
            " where destination = ? and user_id = ? on conflict (destination, user_id, event) do update set"
            " times = times + excluded.times, first_at = min(first_at, excluded.first_at),"
            " last_at = max(last_at, excluded.last_at)",
            merged,
        )
        self._db.execute("delete from user_events where destination = ? and user_id = ?", merged[1:])

    def _store_events(self) -> None:
        self._db.executemany(
            "insert into events values (?, ?, ?, ?, ?, ?)",
            [(number, self._at, self._destination, *event) for number, *event in self._events],
        )
        self._db.executemany(
            "insert into user_events values (?, ?, ?, 1, ?, ?) on conflict (destination, user_id, event)"
            " do update set times = times + 1, last_at = excluded.last_at",
            [(self._destination, user, event, self._at, self._at) for _, user, event, _ in self._events],
        )
