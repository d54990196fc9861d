"""Play days of a shop: audiences change, commands are killed, destinations fail; then compare what they believe."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from audience_sync.store.connection.engine import Store

from .alias_rules import NEWCOMERS
from .check_explain import wrong
from .check_views import read_views, requests_by_destination, wrong_pending, wrong_views
from .commands import KILLED, POINTS
from .harness import Harness
from .hold_rules import APPROVE, PLANNED, REJECT
from .mapping_rules import ADDRESSES, Mapped, MappingRules, address
from .project_files import AUDIENCES, DESTINATIONS, FILES, SENT_AUDIENCES, TRAITS, TYPES
from .receiver import FAULTS, TOO_LARGE
from .retire_rules import MOVE, RETIRE

USERS = tuple(f"user-{number}" for number in range(9))
SEEDED_AT_ONCE, MOST_ERASED = 2, 2
#: Commands between two checks of the views; after a kill they are checked at once.
VIEWS_EVERY = 4
#: The commands that make a run.
RUNS = ("sync", "seed", "resync", "retry", "approve", "undo", "retire")

users = st.sampled_from(USERS)
#: Snapshots that are often held: empty, or with less than half of the members.
members = st.frozensets(users, min_size=4) | st.frozensets(users)
changes = st.dictionaries(st.sampled_from(FILES), members)
cities = st.dictionaries(users, st.sampled_from(["Oslo", "Rome"]))
addresses = st.fixed_dictionaries(dict.fromkeys(USERS, st.sampled_from([*ADDRESSES, "a", "a", None])))
crashes = st.none() | st.tuples(st.sampled_from(sorted(POINTS)), st.integers(1, 4))
faults = st.dictionaries(
    st.sampled_from(DESTINATIONS),
    st.one_of(
        st.tuples(st.sampled_from([*sorted(FAULTS), TOO_LARGE]), st.integers(0, 2)),
        st.tuples(st.just("refusing"), st.frozensets(users, min_size=1, max_size=3)),
    ),
    max_size=2,
)
commands = st.sampled_from(
    [
        ("sync",),
        ("sync",),
        ("retry",),
        ("resync", "vip"),
        ("resync", "buyers", "--destination", "first"),
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


class Shop(MappingRules):
    """The model: suppressed users, the events of a day, and what destinations must believe after it."""

    harness: Harness
    names = USERS
    #: Whether a run has counted the pending calls since the config or the suppressed users changed.
    is_counted = False
    #: What was there when the views were last checked, and the commands since then.
    newest, came_before, unchecked, has_kill = 0, dict.fromkeys(DESTINATIONS, 0), 0, False

    def configure(self) -> None:
        super().configure()
        self.is_counted = False

    @initialize(
        first=st.fixed_dictionaries(dict.fromkeys(FILES, members)),
        first_cities=cities,
        first_ends=addresses,
        forgetful=st.booleans(),
    )
    def open(
        self,
        first: dict[str, frozenset[str]],
        first_cities: dict[str, str],
        first_ends: dict[str, str | None],
        forgetful: bool,
    ) -> None:
        self.folder = self.harness.folder / f"shop-{next(self.harness.numbers)}"
        self.folder.mkdir()
        self.harness.commands.move_to(self.folder)
        self.harness.receivers.restart()
        self.store, self.url, self.types = self.harness.new_store(), self.harness.receivers.url, self.harness.types
        self.state = self.harness.state
        self.members, self.cities, self.forgetful = first, first_cities, forgetful
        self.subscribed, self.left_out = dict.fromkeys(SENT_AUDIENCES, frozenset(DESTINATIONS)), frozenset()
        self.suppressed: set[str] = set()
        self.erased: set[str] = set()
        self.frozen, self.holdouts, self.group, self.new_ids = {}, {}, (), {}
        self.emails, self.traits_for = _addresses(first_ends), {}
        self.mapped = {name: Mapped() for name in DESTINATIONS}
        self.configure()
        self.write()

    @rule(
        audience=st.sampled_from(SENT_AUDIENCES),
        destinations=st.sampled_from([(), ("first",), ("second",), DESTINATIONS]),
    )
    def an_audience_is_for_other_destinations(self, audience: str, destinations: tuple[str, ...]) -> None:
        self.subscribed = {**self.subscribed, audience: frozenset(destinations)}
        self.configure()

    @rule(left_out=st.sampled_from([(), ("first",), ("second",)]))
    def destinations_come_and_go(self, left_out: tuple[str, ...]) -> None:
        self.left_out = frozenset(left_out)
        self.configure()

    @rule(user=users, crash=crashes)
    def a_user_is_suppressed(self, user: str, crash: tuple[str, int] | None) -> None:
        if self.has_several_ids(user):
            return
        self._until_done("suppress", user, crash=crash)
        self.suppressed.add(user)
        self._forbid()

    @precondition(lambda self: len(self.erased) < MOST_ERASED)
    @rule(user=users, crash=crashes)
    def a_user_is_erased(self, user: str, crash: tuple[str, int] | None) -> None:
        if self.has_several_ids(user):
            return
        self._until_done("erase", user, crash=crash)
        self.suppressed.add(user)
        self.erased.add(user)
        self._forbid()

    @precondition(lambda self: self.suppressed)
    @rule(data=st.data())
    def a_user_is_no_longer_suppressed(self, data: st.DataObject) -> None:
        user = data.draw(st.sampled_from(sorted(self.suppressed)))
        self.suppressed.discard(user)
        self._forbid()
        self._until_done("unsuppress", user)

    def a_day_passes(
        self,
        changed: dict[str, frozenset[str]],
        request: tuple[str, ...],
        meeting: dict[str, tuple[str, Any]],
        crash: tuple[str, int] | None,
        now: dict[str, str],
        ends: dict[str, str | None] | None,
    ) -> None:
        """Change some snapshots, and run a command, which may be killed or have faults."""
        self.members, self.cities = {**self.members, **changed}, now
        self.emails = self.emails if ends is None else _addresses(ends)
        self.write()
        for name, (fault, detail) in meeting.items():
            receiver = self.harness.receivers.each[name]
            if fault == "refusing":
                receiver.refusing = self.ids_of(detail)
            else:
                receiver.fault, receiver.spared = fault, detail
        ended = self.run_command(*self.resolve_command(request), crash=crash)
        assert ended.code in (0, 1, 2, 3, 4, KILLED), ended
        assert "Traceback" not in ended.output, ended.output
        assert "is not what a run would do now" not in ended.output, ended.output
        for receiver in self.harness.receivers.each.values():
            receiver.heal()
        if request in (RETIRE, MOVE):
            self.settle_keys()
        self._explained()

    day = rule(changed=changes, request=commands, meeting=faults, crash=crashes, now=cities, ends=st.none() | addresses)
    #: Several rules, so that most steps are days.
    monday, tuesday, wednesday, thursday = day(a_day_passes), day(a_day_passes), day(a_day_passes), day(a_day_passes)

    def check_everything(self) -> None:
        """Destinations believe the truth after one good run of each kind, and a repeat sends nothing."""
        try:
            self.everything_is_sent()
        except AssertionError as error:
            self.harness.failures.append(str(error))
            raise

    everything_goes_well = rule()(check_everything)

    @rule()
    def requests_are_too_large(self) -> None:
        """Requests with several calls are divided until every call is accepted."""
        for receiver in self.harness.receivers.each.values():
            receiver.fault, receiver.spared = TOO_LARGE, 0
        self.check_everything()
        for receiver in self.harness.receivers.each.values():
            receiver.heal()

    def everything_is_sent(self) -> None:
        whole = self.run_command("db", "check")  # after any kill
        assert whole.code == 0, whole
        self._everyone_is_wanted()
        self.emails = {user: self.emails.get(user, address(user, "a")) for user in USERS}
        self.write()
        seeded = self.run_and_approve("seed", "wave")
        assert seeded.code in ((2,) if "wave" in self.frozen else (0, 1)), seeded  # 1: earlier calls are still refused
        retried = self.run_and_approve("retry")
        assert retried.code == 0, retried
        self.end_min_stay()
        self.check()
        before = self.messages()
        self.run_successfully("sync")
        assert self.messages() == before, "a repeat of a run sent something"
        self._explained(settled=True)
        self.harness.done["checks"] += 1

    def teardown(self) -> None:
        with suppress(AttributeError):  # it never opened
            self.check_everything()
            self.harness.done["messages"] += self.messages()

    def _everyone_is_wanted(self) -> None:
        self.subscribed, self.left_out = dict.fromkeys(self.subscribed, frozenset(DESTINATIONS)), frozenset()
        self.configure()

    def _until_done(self, *command: str, crash: tuple[str, int] | None = None) -> None:
        if self.run_command(*command, crash=crash).code == KILLED:
            self.run_successfully(*command)

    def run_command(self, *command: str, crash: tuple[str, int] | None = None) -> Any:
        ended = self.harness.commands.run(*command, crash=crash, bug=self.harness.bug)
        while ended.code == 5:  # the lease of one that was killed
            time.sleep(0.1)
            ended = self.harness.commands.run(*command, crash=crash, bug=self.harness.bug)
        if ended.code in (0, 1, 3, 4) and command[0] in RUNS:
            self.is_counted = True
        elif command[0] in ("suppress", "unsuppress", "erase"):
            self.is_counted = False
        self.unchecked, self.has_kill = self.unchecked + 1, self.has_kill or ended.code == KILLED
        if not self.harness.bug and (ended.code == KILLED or self.unchecked >= VIEWS_EVERY):
            self._check_views(erased=bool(self.erased) or command[0] == "erase")
        self.harness.done["commands"] += 1
        self.harness.done["kills"] += ended.code == KILLED
        self.last_output = ended.output
        return ended

    def _check_views(self, *, erased: bool) -> None:
        """The views agree with each other at any moment, and with the requests that came since the last check.

        A killed run may have sent a request that it did not store.
        """
        store = Store(self.store)
        try:
            views = read_views(store)
        finally:
            store.close()
        problems = wrong_views(views, erased=erased, forgetful=self.forgetful)
        now = {name: each.requests for name, each in self.harness.receivers.each.items()}
        if self.harness.types == TYPES and not (self.forgetful or self.has_kill):
            sent = requests_by_destination(views, after=self.newest)
            came = {name: now[name] - self.came_before[name] for name in sent}
            problems += [
                f"{name}: {came[name]} requests came, {sent[name]} are shown"
                for name in sent
                if sent[name] != came[name]
            ]
        assert not problems, problems
        newest = max((each["run"] for each in views["sync_runs"]), default=0)
        self.newest, self.came_before, self.unchecked, self.has_kill = newest, now, 0, False

    def _explained(self, *, settled: bool = False) -> None:
        """Check `explain` for all users who were not erased."""
        store, waiting = Store(self.store), dict[str, dict[str, set[str]]]()
        try:
            for user in sorted({*USERS, *NEWCOMERS} - self.erased):
                problems = wrong(
                    store,
                    user,
                    self.harness.receivers.each,
                    settled=settled and user not in self.suppressed,
                    forgetful=self.forgetful,
                    mapped={name for name, each in self.mapped.items() if each.options},
                    waiting=waiting,
                )
                assert not problems, problems
            if self.is_counted and not self.harness.bug:
                problems = wrong_pending(
                    read_views(store, "pending_calls"),
                    waiting,
                    seeded="wave",
                    left_out=self.left_out,
                    returned=self.erased - self.suppressed,
                )
                assert not problems, problems
        finally:
            store.close()

    def messages(self) -> int:
        return sum(each.messages for each in self.harness.receivers.each.values())

    def _forbid(self) -> None:
        for receiver in self.harness.receivers.each.values():
            receiver.forbidden = self.ids_of(self.suppressed)

    def check(self) -> None:
        for name, receiver in self.harness.receivers.each.items():
            assert not receiver.belief.wrong, receiver.belief.wrong
            for user in sorted({*USERS, *NEWCOMERS} - self.suppressed - receiver.joined):
                self._check_user(user, name, receiver.belief.users)

    def _check_user(self, user: str, name: str, users: dict[str, dict[str, Any]]) -> None:
        """Compare what a destination believes of a user. It may keep what it was sent before an erasure."""
        mapped, there = self.mapped[name], self.id_at(name, user)
        believed = users.get(there or "", {})
        for key, value in self._truth(user).items():
            is_erased = user in self.erased and (not value or key in self.frozen)
            if there is None or not mapped.is_sent(key, value) or is_erased:
                continue
            nothing = None if key in TRAITS else False
            found, expected = believed.get(mapped.name(key), nothing), mapped.value(key, value)
            assert found == expected, (name, user, key, believed, self._truth(user), mapped)
        if user not in self.erased and not self.has_several_ids(user):
            stays = {each for each in mapped.ended_names() if believed.get(each)}
            assert not stays, f"{name}, {user}: former names still have a value: {stays}, {mapped}"

    def _truth(self, user: str) -> dict[str, Any]:
        sent = {key: user in self.counted(key) for key in AUDIENCES}
        address_there = {"email": self.address_of(user)} if self.types == TYPES else {}
        return {**sent, **self.passing_truth(user), "city": self.city_of(user), **address_there}


def _addresses(ends: dict[str, str | None]) -> dict[str, str]:
    return {user: address(user, end) for user, end in ends.items() if end is not None}
