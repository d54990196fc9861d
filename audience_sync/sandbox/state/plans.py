"""Keep the planned answers in the file, and count their requests."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from threading import Lock
from typing import Any

from audience_sync.sandbox.answers import ACCEPT, Plan
from audience_sync.sandbox.values import Reading


class Plans:
    """At most one plan for each destination, and one for all. ``lock``: held while the connection is used."""

    def __init__(self, db: sqlite3.Connection, lock: Lock) -> None:
        self._db, self._lock = db, lock
        rows = db.execute("select destination, plan from plans")
        self._plans = {name: Plan(**json.loads(plan)) for name, plan in rows}

    def all(self) -> list[Plan]:
        return list(self._plans.values())

    def next_for(self, reading: Reading, random: Callable[[], float]) -> Plan | None:
        """Return the plan for this request, and count it: a plan ends after its requests."""
        with self._lock:
            plan = choose(self._plans, reading, random)
            if plan is not None and plan.requests is not None:
                self._store(replace(plan, requests=plan.requests - 1))
            return plan

    def set(self, plan: Plan) -> None:
        """Answer by this plan from now on; ``200`` ends the present one of its destination, or all of them."""
        with self._lock:
            if plan.answer != ACCEPT:
                self._store(plan)
            else:
                for name in [plan.destination] if plan.destination else list(self._plans):
                    self._store(Plan(destination=name, requests=0))

    def _store(self, plan: Plan) -> None:
        if plan.requests == 0:
            self._db.execute("delete from plans where destination = ?", [plan.destination])
            self._plans.pop(plan.destination, None)
        else:
            self._db.execute("insert or replace into plans values (?, ?)", [plan.destination, json.dumps(asdict(plan))])
            self._plans[plan.destination] = plan

    def settings(self) -> list[dict[str, Any]]:
        """Return the plans as values of JSON."""
        return [asdict(plan) | {"words": plan.words()} for plan in self.all()]


def choose(plans: Mapping[str, Plan], reading: Reading, random: Callable[[], float]) -> Plan | None:
    """Return the plan for a request: its destination's own before that for all. ``random``: from 0 to 1."""
    for place in (reading.destination, ""):
        plan = plans.get(place)
        if plan is None or (plan.user and all(call.user_id != plan.user for call in reading.calls)):
            continue
        if plan.share < 100 and random() * 100 >= plan.share:
            continue
        return plan
    return None
