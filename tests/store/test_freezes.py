"""The store lists freezes, their ends, and past ones."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from audience_sync.store.audiences.freezes import Freeze, freeze, read_frozen, unfreeze
from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import view_prefix

from .examples import FIRST_MORNING, a_store_with

HOUR = timedelta(hours=1)
IDS = {"vip": 1, "buyers": 2}


def test_a_freeze_ends_at_its_time_or_by_a_person(store: Store) -> None:
    a_store_with(store, audiences=["vip", "buyers"])
    vip = Freeze("vip", FIRST_MORNING, FIRST_MORNING + 2 * HOUR, "a reason")
    buyers = Freeze("buyers", FIRST_MORNING)
    with store.writing() as connection:
        freeze(connection, IDS, vip, "ada")
        freeze(connection, IDS, buyers, "bob")
        assert read_frozen(connection, FIRST_MORNING + HOUR) == {"vip": vip, "buyers": buyers}
        assert read_frozen(connection, FIRST_MORNING + 2 * HOUR) == {"buyers": buyers}
        assert not unfreeze(connection, IDS["vip"], FIRST_MORNING + 2 * HOUR, "ada")
        assert unfreeze(connection, IDS["buyers"], FIRST_MORNING + 2 * HOUR, "ada")
        assert read_frozen(connection, FIRST_MORNING + 2 * HOUR) == {}


def test_a_new_freeze_takes_the_place_of_the_one_before(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    longer = Freeze("vip", FIRST_MORNING + HOUR, FIRST_MORNING + 3 * HOUR)
    with store.writing() as connection:
        freeze(connection, IDS, Freeze("vip", FIRST_MORNING), "ada")
        freeze(connection, IDS, longer, "bob")
        assert read_frozen(connection, FIRST_MORNING + 2 * HOUR) == {"vip": longer}
        freezes = f"{view_prefix(connection)}freezes"
        query = text(f"select audience_key, frozen_by, unfrozen_by from {freezes} order by frozen_at")
        assert connection.execute(query).all() == [("vip", "ada", "bob"), ("vip", "bob", None)]
