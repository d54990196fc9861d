"""A project whose snapshots are in a bucket changes and sends exactly what one whose store has them does."""

from __future__ import annotations

import random
from typing import Any

import pytest

from .conftest import Twins, chunks, named_objects

VIP: dict[str, Any] = {"name": "VIP", "source": "shop", "file": "vip.csv"}
LISTS: dict[str, Any] = {"names_from": "audience", "source": "shop", "file": "lists.csv"}
PLANS = {"source": "shop", "file": "plans.csv", "traits": ["plan", "city"]}
GUARD = {"max_removed": "30%", "at_least": 5}
COMMANDS = (
    ["sync", "vip"],
    ["undo", "{run}", "--yes"],
    ["approve", "{run}"],
    ["reject", "{run}"],
    ["resync"],
    ["resync", "vip"],
    ["erase", "user 3"],
    ["unsuppress", "user 3"],
    ["suppress", "user 4"],
    ["retire", "c_c", "--yes"],
    ["members", "vip", "--json"],
    ["plan", "--json"],
)


class Rows:
    """The rows of the sources, which change from day to day."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        users = [f"user {number}" for number in range(30)]
        self.vip = set(users[:20])
        self.lists = {(user, chance.choice(["A", "B"])) for user in users}
        self.plans = dict.fromkeys(users[:25], ("free", "here"))

    def change(self) -> None:
        chance = self._chance
        user, name = f"user {chance.randrange(35)}", chance.choice(["A", "B", "C c"])
        match chance.randrange(7):
            case 0:
                self.vip.add(user)
            case 1:
                self.vip.discard(user)
            case 2:
                self.lists.add((user, name))
            case 3:
                self.lists = {each for each in self.lists if each[0] != user}
            case 4:
                self.plans[user] = (chance.choice(["free", "pro"]), chance.choice(["here", "", "there"]))
            case 5:
                self.plans.pop(user, None)
            case 6:
                self.vip = set(sorted(self.vip)[: len(self.vip) // 2])

    def write(self, twins: Twins) -> None:
        plans = (f"{user},{plan},{city}" for user, (plan, city) in sorted(self.plans.items()))
        twins.write("vip.csv", "\n".join(["user_id", *sorted(self.vip), ""]))
        lists = (f"{user},{name}" for user, name in sorted(self.lists))
        twins.write("lists.csv", "\n".join(["user_id,audience", *lists, ""]))
        twins.write("plans.csv", "\n".join(["user_id,plan,city", *plans, ""]))


@pytest.mark.parametrize("seed", range(1))
def test_random_days_also_while_the_snapshots_move_between_buckets_and_the_store(seed: int, twins: Twins) -> None:
    chance = random.Random(seed)
    rows = Rows(chance)
    parts: dict[str, Any] = {"audiences": [VIP, LISTS], "computed_traits": [PLANS], "guard": GUARD}
    places = [f"{twins.bucket.url}/one", f"{twins.bucket.url}/two", None]
    place, log = places[0], list[str]()
    for day in range(1, 19):
        if chance.random() < 0.2:
            place = chance.choice(places)
            parts["members_table"] = chance.random() < 0.8
        log.append(f"state {place}")
        twins.configure(state=place, **parts)
        for _ in range(chance.randrange(4)):
            rows.change()
        rows.write(twins)
        [(last,)] = twins.here.query("select coalesce(max(id), 0) from runs")
        arguments = ["sync"] if day == 1 or chance.random() < 0.6 else chance.choice(COMMANDS)
        log.append(" ".join(arguments))
        try:
            done = twins.run(*(each.format(run=last) for each in arguments))
            assert "Help:" not in done.stderr, done.stderr
        except AssertionError as error:
            raise AssertionError("\n".join([str(error), *log])) from None

    for _ in range(2):  # the second one deletes what the first has replaced
        twins.configure(state=places[1], **parts)
        rows.vip.add(f"late {chance.random()}")
        rows.write(twins)
        twins.run("sync")
    named = named_objects(twins.there)
    assert chunks(twins.there) == 0
    assert {url.rsplit("/", 2)[0] for url in named} == {f"{twins.bucket.url}/two"}
    assert twins.bucket.objects().keys() == named
    assert "The store is intact" in twins.there.run("db", "check").stdout
    twins.run("explain", "user 3")
    twins.run("explain", "user 7")
