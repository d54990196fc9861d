"""Does a store of every earlier schema, with what was in it, become today's, and go on where it was?"""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import PostgreSQL
from destinations.receiver import Receiver, Reply

from audience_sync.store.connection.engine import Store
from audience_sync.store.maintenance import migrate

from .conftest import TAKEN, Project, received, segment

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"
REVISIONS = sorted(each.name[:4] for each in VERSIONS.glob("*.py"))
#: Users may be suppressed since then.
SUPPRESSED = "0002"
VIP = {"name": "VIP", "source": "shop", "file": "vip.csv"}
CHURN = {"name": "Churn", "source": "shop", "file": "churn.csv"}
TRAITS = {"source": "shop", "file": "traits.csv", "traits": ["plan"]}


def used(project: Project, receiver: Receiver, store: str, revision: str) -> Project:
    """Two runs: users entered and left, one call is refused, one user is suppressed, where the schema knows that."""
    project.configure(
        store=store,
        audiences=[VIP, CHURN],
        computed_traits=[TRAITS],
        destinations={"seg": segment(receiver, batch_size=1, concurrency=1)},
    )
    project.write("traits.csv", "user_id,plan\nada,gold\nbob,free\n")
    project.write_members("churn.csv", "ada", "eve")
    project.write_members("vip.csv", "ada", "bob", "cyd")
    receiver.will_answer(Reply(400), TAKEN)
    assert project.run("db", "upgrade").code == 0
    if revision >= SUPPRESSED:
        assert project.run("suppress", "eve").code == 0
    assert project.sync().code == 1
    project.write_members("vip.csv", "bob", "cyd", "dan")
    project.sync()
    return project


def go_back(url: str, revision: str) -> None:
    store = Store(url)
    migrate.downgrade(store, revision)
    assert migrate.current(store) == revision
    store.close()


def goes_on(project: Project, receiver: Receiver, members: str, revision: str) -> None:
    """Nothing is told again, and what changes is."""
    before = len(received(receiver))
    ended = project.sync("--upgrade")
    assert [ended.audience(key)["status"] for key in ("vip", "churn")] == ["unchanged", "unchanged"]
    assert len(received(receiver)) == before
    assert project.run("members", "vip").stdout == members
    assert project.run("db", "check").code == 0
    project.write_members("vip.csv", "bob", "cyd", "eve", "fay")
    project.write_members("churn.csv", "ada", "fay")
    assert project.sync().code == 0
    told = {each["userId"]: each["traits"] for each in received(receiver)[before:]}
    of_eve = {} if revision >= SUPPRESSED else {"eve": {"vip": True, "churn": False}}
    assert told == {"dan": {"vip": False}, "fay": {"vip": True, "churn": True}, **of_eve}


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_store_on_sqlite(vip: Project, receiver: Receiver, revision: str) -> None:
    used(vip, receiver, "sqlite:///audience_sync.db", revision)
    members = vip.run("members", "vip").stdout
    go_back(f"sqlite:///{vip.store}", revision)
    goes_on(vip, receiver, members, revision)


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_store_on_postgresql(vip: Project, receiver: Receiver, postgresql: PostgreSQL, revision: str) -> None:
    vip.environment["STORE"] = postgresql.create()
    used(vip, receiver, "${STORE}", revision)
    members = vip.run("members", "vip").stdout
    go_back(vip.environment["STORE"], revision)
    goes_on(vip, receiver, members, revision)
