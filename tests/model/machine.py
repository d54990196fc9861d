"""A shop whose audiences change, commands that are killed, destinations that fail; and what must be believed then."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from audience_sync.store.engine import Store

from .commands import KILLED, POINTS, Commands
from .decisions import APPROVE, PLANNED, REJECT
from .explained import wrong
from .receiver import FAULTS, Receivers
from .retired import MOVE, RETIRE, Retired

USERS = tuple(f"user-{number}" for number in range(9))
#: `wave` is seeded by hand.
AUDIENCES = ("vip", "buyers", "wave")
#: Beside these there is one that is retired now and then.
FILES = (*AUDIENCES, "passing")
#: Those whose destinations change.
TOLD = ("vip", "buyers", "passing")
DESTINATIONS = ("segment", "webhook")
SEEDED_AT_ONCE, MOST_ERASED = 2, 2

users = st.sampled_from(USERS)
#: Often held: a snapshot where nobody, or less than half, is left.
members = st.frozensets(users, min_size=4) | st.frozensets(users)
changes = st.dictionaries(st.sampled_from(FILES), members)
cities = st.dictionaries(users, st.sampled_from(["Oslo", "Rome"]))
crashes = st.none() | st.tuples(st.sampled_from(sorted(POINTS)), st.integers(1, 4))
faults = st.dictionaries(
    st.sampled_from(DESTINATIONS),
    st.one_of(
        st.tuples(st.sampled_from(sorted(FAULTS)), st.integers(0, 2)),
        st.tuples(st.just("refusing"), st.frozensets(users, min_size=1, max_size=3)),
    ),
    max_size=2,
)
orders = st.sampled_from(
    [
        ("sync",),
        ("sync",),
        ("retry",),
        ("resync", "vip"),
        ("resync", "buyers", "--destination", "segment"),
        ("seed", "wave", "--limit", str(SEEDED_AT_ONCE)),
        ("seed", "wave"),
        ("seed", "wave", "--ramp", "20%,60%,100%", "--max-refused", "30%"),
        APPROVE,
        REJECT,
        PLANNED,
        RETIRE,
        MOVE,
    ]
)


class House:
    """What the machines share: the server of commands, the receivers, and new stores."""

    def __init__(self, folder: Path, new_store: Callable[[], str], bug: str | None = None) -> None:
        self.folder = folder
        self.new_store = new_store
        self.bug = bug
        self.numbers = count(1)
        self.commands = Commands(folder)
        self.receivers = Receivers(*DESTINATIONS)
        self.failures: list[str] = []
        self.done = {"commands": 0, "kills": 0, "messages": 0, "checks": 0}

    def close(self) -> None:
        self.receivers.close()


class Shop(Retired):
    """The model: what the sources say, and who is not to be told."""

    house: House
    names = USERS

    @initialize(
        first=st.fixed_dictionaries(dict.fromkeys(FILES, members)), first_cities=cities, forgetful=st.booleans()
    )
    def open(self, first: dict[str, frozenset[str]], first_cities: dict[str, str], forgetful: bool) -> None:
        self.folder = self.house.folder / f"shop-{next(self.house.numbers)}"
        self.folder.mkdir()
        self.house.commands.move_to(self.folder)
        self.house.receivers.restart()
        self.store = self.house.new_store()
        self.members, self.cities, self.forgetful = first, first_cities, forgetful
        self.told: dict[str, frozenset[str]] = dict.fromkeys(TOLD, frozenset(DESTINATIONS))
        self.left_out: frozenset[str] = frozenset()
        self.suppressed: set[str] = set()
        self.erased: set[str] = set()
        self.frozen, self.holdouts, self.group = {}, {}, ()
        self._configure()
        self._write()

    # What a person changes.

    @rule(
        audience=st.sampled_from(TOLD),
        destinations=st.sampled_from([(), ("segment",), ("webhook",), DESTINATIONS]),
    )
    def an_audience_is_for_other_destinations(self, audience: str, destinations: tuple[str, ...]) -> None:
        self.told = {**self.told, audience: frozenset(destinations)}
        self._configure()

    @rule(left_out=st.sampled_from([(), ("segment",), ("webhook",)]))
    def destinations_come_and_go(self, left_out: tuple[str, ...]) -> None:
        self.left_out = frozenset(left_out)
        self._configure()

    @rule(user=users, crash=crashes)
    def a_user_is_suppressed(self, user: str, crash: tuple[str, int] | None) -> None:
        self._until_done("suppress", user, crash=crash)
        self.suppressed.add(user)
        self._forbid()

    @precondition(lambda self: len(self.erased) < MOST_ERASED)
    @rule(user=users, crash=crashes)
    def a_user_is_erased(self, user: str, crash: tuple[str, int] | None) -> None:
        self._until_done("erase", user, crash=crash)
        self.suppressed.add(user)
        self.erased.add(user)
        self._forbid()

    @precondition(lambda self: self.suppressed)
    @rule(data=st.data())
    def a_user_is_not_suppressed_any_more(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(sorted(self.suppressed)))
        self.suppressed.discard(user)
        self._forbid()
        self._until_done("unsuppress", user)

    # What the job does.

    def a_day_passes(
        self,
        changed: dict[str, frozenset[str]],
        order: tuple[str, ...],
        meeting: dict[str, tuple[str, Any]],
        crash: tuple[str, int] | None,
        now: dict[str, str],
    ) -> None:
        """Some snapshots change, and a command runs, which may be killed or meet faults."""
        self.members, self.cities = {**self.members, **changed}, now
        self._write()
        for name, (fault, detail) in meeting.items():
            receiver = self.house.receivers.each[name]
            if fault == "refusing":
                receiver.refusing = detail
            else:
                receiver.fault, receiver.spared = fault, detail
        ended = self.run_command(*self.typed(order), crash=crash)
        assert ended.code in (0, 1, 2, 3, 4, KILLED), ended
        assert "Traceback" not in ended.output, ended.output
        assert "is not what a run would do now" not in ended.output, ended.output
        for receiver in self.house.receivers.each.values():
            receiver.heal()
        if order in (RETIRE, MOVE):
            self.settle_keys()
        self._explained()

    day = rule(changed=changes, order=orders, meeting=faults, crash=crashes, now=cities)
    #: Several rules, so that most of what happens is this.
    monday, tuesday, wednesday, thursday = day(a_day_passes), day(a_day_passes), day(a_day_passes), day(a_day_passes)

    @rule()
    def everything_goes_well(self) -> None:
        """The truth is believed after one good run of each kind, and a repeat sends nothing."""
        try:
            self.all_is_told()
        except AssertionError as error:
            self.house.failures.append(str(error))
            raise

    def all_is_told(self) -> None:
        self._everyone_is_wanted()
        seeded = self.approved("seed", "wave")
        assert seeded.code in ((2,) if "wave" in self.frozen else (0, 1)), seeded  # 1: earlier calls are still refused
        assert self.approved("retry").code == 0
        self.those_who_stay_leave()
        self.check()
        before = self.messages()
        self.well("sync")
        assert self.messages() == before, "a repeat of a run sent something"
        self._explained(settled=True)
        self.house.done["checks"] += 1

    def teardown(self) -> None:
        with suppress(AttributeError):  # it never opened
            self.everything_goes_well()
            self.house.done["messages"] += self.messages()

    # How that is carried out.

    def _everyone_is_wanted(self) -> None:
        self.told, self.left_out = dict.fromkeys(self.told, frozenset(DESTINATIONS)), frozenset()
        self._configure()

    def _until_done(self, *order: str, crash: tuple[str, int] | None = None) -> None:
        if self.run_command(*order, crash=crash).code == KILLED:
            self.well(*order)

    def run_command(self, *order: str, crash: tuple[str, int] | None = None) -> Any:
        ended = self.house.commands.run(*order, crash=crash, bug=self.house.bug)
        while ended.code == 5:  # the lease of one that was killed
            time.sleep(0.1)
            ended = self.house.commands.run(*order, crash=crash, bug=self.house.bug)
        self.house.done["commands"] += 1
        self.house.done["kills"] += ended.code == KILLED
        self.said = ended.output
        return ended

    def _explained(self, *, settled: bool = False) -> None:
        """Of users who were not erased."""
        store = Store(self.store)
        try:
            for user in sorted(set(USERS) - self.erased):
                problems = wrong(
                    store,
                    user,
                    self.house.receivers.each,
                    settled=settled and user not in self.suppressed,
                    forgetful=self.forgetful,
                )
                assert not problems, problems
        finally:
            store.close()

    def messages(self) -> int:
        return sum(each.messages for each in self.house.receivers.each.values())

    def _forbid(self) -> None:
        for receiver in self.house.receivers.each.values():
            receiver.forbidden = set(self.suppressed)

    def check(self) -> None:
        for name, receiver in self.house.receivers.each.items():
            assert not receiver.belief.wrong, receiver.belief.wrong
            for user in sorted(set(USERS) - self.suppressed):
                believed = receiver.belief.users.get(user, {})
                for key, value in self._truth(user).items():
                    if user in self.erased and not value:
                        continue  # what was told before the user was erased is the destination's to forget
                    nothing = None if key == "city" else False
                    assert believed.get(key, nothing) == value, (name, user, key, believed, self._truth(user))

    def _truth(self, user: str) -> dict[str, Any]:
        told = {key: user in self.counted(key) for key in AUDIENCES}
        return {**told, **self.passing_truth(user), "city": self.cities.get(user)}

    def _write(self) -> None:
        for key, names in self.members.items():
            self.write_members(key, names)
        _write_rows(self.folder / "cities.csv", ["user_id", "city"], sorted(self.cities.items()))

    def write_members(self, key: str, names: Iterable[str]) -> None:
        _write_rows(self.folder / f"{key}.csv", ["user_id"], ([user] for user in sorted(names)))

    def _configure(self) -> None:
        url = self.house.receivers.url
        known = {
            "segment": {"type": "segment", "write_key": "a-key", "url": f"{url}/segment", "events": True},
            "webhook": {"type": "webhook", "url": f"{url}/webhook/hook", "body": "batch"},
        }
        options = {"batch_size": 3, "concurrency": 2, "give_up_after": "300ms", "timeout": "20s"}
        here = {name: {**known[name], **options} for name in DESTINATIONS if name not in self.left_out}
        audiences = [
            {
                "name": self.passing_key if key == "passing" else key,
                "source": "shop",
                "file": f"{key}.csv",
                "destinations": sorted(wanted & here.keys()),
            }
            for key, wanted in self.told.items()
        ]
        next(each for each in audiences if each["name"] == "buyers")["min_stay"] = "2 runs"
        audiences.append({"name": "wave", "source": "shop", "file": "wave.csv", "initial": "manual"})
        for audience in audiences:
            audience["holdout"] = self.holdouts.get(audience["name"])
        config = {
            "store": self.store,
            "sources": {"shop": {"files": "."}},
            "audiences": audiences,
            "priority_groups": {"campaign": list(self.group)} if self.group else {},
            "computed_traits": [{"source": "shop", "file": "cities.csv", "traits": ["city"]}],
            "guard": {"max_removed": "50%", "max_added": len(USERS), "at_least": 0},
            "destinations": here,
            **({"retention": "1ms"} if self.forgetful else {}),
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))), "utf-8")


def _write_rows(path: Path, header: list[str], rows: Iterable[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    os.utime(path, (1, 1))  # long ago: what didn't change is not read again
