"""After a run that ends well each destination has the right values, whatever failed before.

Whole runs over an SQLite store, with snapshots, faults and changes of the config as Hypothesis invents them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from msgspec import structs

from audience_sync.config.models import AudienceConfig, ComputedTraitsConfig, Settings
from audience_sync.config.sections.base import DestinationOptions
from audience_sync.config.sections.snapshot import SourceConfig
from audience_sync.destinations.base import Audiencing, Destination, Judgement, Limits, Meaning, Message
from audience_sync.model import IdentifyCall, InitialSync
from audience_sync.sources.base import SnapshotRequest, SnapshotRows, Source
from audience_sync.sql import quote_identifier, quote_literal
from audience_sync.store.connection.engine import Store
from audience_sync.sync.run import sync
from audience_sync.sync.values.report import Report
from audience_sync.sync.values.request import (
    GuardExceptions,
    ProgressListener,
    Retry,
    RunDependencies,
    RunRequest,
    Seed,
    SendLimits,
    Sync,
)
from audience_sync.workspace import Workspace

from .snapshot_rows import valid_rows

USERS = ("a", "b", "c", "d", "e")
AUDIENCES = ("vip", "buyers")
DELIVERED = Judgement(Meaning.DELIVERED, status=200)
REFUSED = Judgement(Meaning.REFUSED, "HTTP 400", status=400)
STOP = Judgement(Meaning.STOP, "HTTP 401", status=401)

ACCEPT_ALL = GuardExceptions(accepted=(*AUDIENCES, "city"))
SYNC = Sync(exceptions=ACCEPT_ALL)
RETRY = Retry(exceptions=ACCEPT_ALL)
SEED = Seed(key="vip", exceptions=ACCEPT_ALL)
SEED_TWO = structs.replace(SEED, limits=SendLimits(calls=2))

Members = Mapping[str, frozenset[str]]
#: A store without data.
Fresh = Callable[[], Store]


@dataclass(frozen=True)
class Step:
    """One run: what the sources say, which audiences the destination is sent, and what it answers.

    ``faults``, request by request, then everything is taken: ``refuse``; ``lose``: the calls arrive, their
    answer doesn't, and nothing more is sent; ``stop``: they don't arrive.
    """

    members: Members
    cities: Mapping[str, str]
    subscribed: frozenset[str] = frozenset(AUDIENCES)
    faults: tuple[str, ...] = ()
    request: RunRequest = SYNC
    vip_is_seeded: bool = False


SETS = st.frozensets(st.sampled_from(USERS))
FAULTS = st.lists(st.sampled_from(["take", "refuse", "lose", "stop"]), max_size=4).map(tuple)
STEPS = st.builds(
    Step,
    members=st.fixed_dictionaries(dict.fromkeys(AUDIENCES, SETS)),
    cities=st.dictionaries(st.sampled_from(USERS), st.sampled_from(["Oslo", "Rom"])),
    subscribed=st.sampled_from([frozenset(AUDIENCES), frozenset(AUDIENCES), frozenset(["vip"]), frozenset(["buyers"])]),
    faults=FAULTS,
)
SEEDINGS = st.builds(
    Step,
    members=st.fixed_dictionaries(dict.fromkeys(AUDIENCES, SETS)),
    cities=st.dictionaries(st.sampled_from(USERS), st.sampled_from(["Oslo", "Rom"])),
    faults=FAULTS,
    request=st.sampled_from([SYNC, RETRY, SEED_TWO, SEED]),
    vip_is_seeded=st.just(True),
)


class Snapshots(Source):
    def __init__(self, step: Step) -> None:
        self._step = step

    def read(self, workspace: Workspace, wanted: SnapshotRequest) -> SnapshotRows:
        if wanted.traits:
            rows = [(user, json.dumps(city)) for user, city in self._step.cities.items()]
            select = _values(rows, "user_id", "city")
        else:
            select = _values([(user,) for user in self._step.members[wanted.file or ""]], "user_id")
        return valid_rows(select)

    def fingerprint(self, wanted: SnapshotRequest) -> str | None:
        return None

    def check(self) -> str:
        return "snapshots"


def _values(rows: Sequence[tuple[str, ...]], *columns: str) -> str:
    names = ", ".join(f"null::varchar as {quote_identifier(column)}" for column in columns)
    selects = [f"select {', '.join(quote_literal(value) for value in row)}" for row in rows]
    return " union all ".join([f"(select {names} where false)", *selects])


@dataclass
class Receiver:
    """What the destination knows: the value of every property of every user, and what each id carried."""

    view: dict[str, dict[str, Any]] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    calls: int = 0

    def take(self, call: IdentifyCall) -> None:
        self.calls += 1
        content = f"{call.user_id} {call.traits_json}"
        assert self.contents.setdefault(call.message_id, content) == content, "one message id, two contents"
        self.view.setdefault(call.user_id, {}).update(call.traits)


class Connect(Destination):
    limits = Limits(2, 1_000_000)
    address = "here"

    def __init__(self, receiver: Receiver, faults: Sequence[str]) -> None:
        super().__init__(DestinationOptions(type="scripted", concurrency=2), Audiencing("here"))
        self._receiver = receiver
        self._faults = list(faults)
        self._calls: dict[str, IdentifyCall] = {}

    def encode(self, call: IdentifyCall) -> list[Message]:
        self._calls[call.message_id] = call
        return [Message(call.message_id, b"{}")]

    def open(self) -> Connect:
        return self

    def close(self) -> None:
        pass

    def send(self, messages: Sequence[Message]) -> Judgement:
        fault = self._faults.pop(0) if self._faults else "take"
        if fault in ("take", "lose"):
            for message in messages:
                self._receiver.take(self._calls[message.message_id])
        return {"take": DELIVERED, "lose": STOP, "stop": STOP, "refuse": REFUSED}[fault]


def run(store: Store, receiver: Receiver, step: Step) -> Report:
    audiences = [
        AudienceConfig(
            name=key,
            source="shop",
            file=key,
            destinations=None if key in step.subscribed else [],
            initial=InitialSync.MANUAL if step.vip_is_seeded and key == "vip" else InitialSync.ALL,
        )
        for key in AUDIENCES
    ]
    config = Settings(
        folder=Path(),
        sources={"shop": SourceConfig(files=".")},
        audiences=audiences,
        computed_traits=[ComputedTraitsConfig.model_validate({"source": "shop", "file": "cities", "traits": ["city"]})],
        destinations={"connect": DestinationOptions(type="scripted")},
    )
    destination = Connect(receiver, step.faults)
    parts = RunDependencies(
        settings=config,
        store=store,
        sources={"shop": Snapshots(step)},
        destinations=lambda about: {"connect": destination},
    )
    return sync(parts, step.request, ProgressListener())


def truth(step: Step) -> dict[str, dict[str, Any]]:
    members = {user: {key: user in step.members[key] for key in AUDIENCES} for user in USERS}
    return {user: {**members[user], "city": step.cities.get(user)} for user in USERS}


def known(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """Of what a user was never sent: no member, no value."""
    nothing = {"vip": False, "buyers": False, "city": None}
    return {user: nothing | receiver.view.get(user, {}) for user in USERS}


def converges(store: Store, steps: Sequence[Step], last: Sequence[Step]) -> None:
    """After any steps, the last ones bring the truth, and a repeat of the very last sends nothing."""
    receiver = Receiver()
    for step in steps:
        run(store, receiver, step)
    reports = [run(store, receiver, step) for step in last]
    assert reports[-1].exit_code == 0
    assert known(receiver) == truth(last[-1])
    calls = receiver.calls
    run(store, receiver, last[-1])
    assert receiver.calls == calls
    store.close()


def healthy(step: Step, *requests: RunRequest) -> list[Step]:
    return [replace(step, subscribed=frozenset(AUDIENCES), faults=(), request=request) for request in requests]


@pytest.fixture
def fresh(sqlite_schema: Path, tmp_path: Path) -> Fresh:
    def store() -> Store:
        shutil.copy(sqlite_schema, tmp_path / "store.db")
        return Store(f"sqlite:///{tmp_path / 'store.db'}")

    return store


def some(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))


def members(vip: str = "", buyers: str = "") -> Members:
    return {"vip": frozenset(vip), "buyers": frozenset(buyers)}


def test_after_any_faults_the_destination_knows_the_truth(fresh: Fresh) -> None:
    @given(steps=st.lists(STEPS, max_size=5), last=STEPS)
    @example(  # the answer to everyone's first call is lost, and they leave
        steps=[Step(members("abcde"), {}, faults=("lose",))], last=Step(members("e"), {})
    )
    @example(  # they leave while the destination is not subscribed to it
        steps=[Step(members("abc"), {}), Step(members("ab"), {}, subscribed=frozenset(["buyers"]))],
        last=Step(members("a"), {}),
    )
    @example(  # they leave just before the destination is no longer sent of it, and that call is refused
        steps=[
            Step(members("abc"), {}),
            Step(members("a"), {}, faults=("refuse",) * 4),
            Step(members("a"), {}, subscribed=frozenset(["buyers"])),
        ],
        last=Step(members("a"), {}),
    )
    @some(6)
    def converge(steps: list[Step], last: Step) -> None:
        converges(fresh(), steps, healthy(last, RETRY))

    converge()


def test_after_any_faults_a_seed_by_hand_comes_to_the_truth(fresh: Fresh) -> None:
    @given(steps=st.lists(SEEDINGS, max_size=6), last=SEEDINGS)
    @example(  # the seed of an audience without members is complete; who enters is not sent, for a fault
        steps=[
            Step(members(), {}, request=SEED, vip_is_seeded=True),
            Step(members("a"), {}, faults=("stop",), vip_is_seeded=True),
        ],
        last=Step(members("a"), {}, vip_is_seeded=True),
    )
    @example(  # two of four are sent; one of them leaves
        steps=[
            Step(members("abcd"), {}, request=SEED_TWO, vip_is_seeded=True),
            Step(members("bcd"), {}, vip_is_seeded=True),
        ],
        last=Step(members("bcd"), {}, vip_is_seeded=True),
    )
    @some(6)
    def converge(steps: list[Step], last: Step) -> None:
        converges(fresh(), steps, healthy(last, SEED, RETRY))

    converge()
