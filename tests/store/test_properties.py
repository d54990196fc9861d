"""The store lists its audiences and computed traits, and keeps their keys."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import update

from audience_sync.errors import StoreError
from audience_sync.model import PropertyId, PropertyKind, RunId
from audience_sync.store.audiences.properties import (
    Property,
    create_property,
    read_chains,
    read_properties,
    rename_property,
)
from audience_sync.store.connection.engine import Store
from audience_sync.store.snapshots.chain import Chain
from audience_sync.store.tables import properties

from .examples import a_store_with

VIP = {"kind": "audience", "key": "vip", "name": "VIP", "chain_id": 1, "created_run_id": 1}


def test_what_was_created_is_known_by_its_key(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with store.reading() as connection:
        known = read_properties(connection)
    assert list(known.values()) == [
        Property(
            id=PropertyId(1),
            kind=PropertyKind.AUDIENCE,
            key="vip",
            name="Vip",
            origin=None,
            definition=None,
            chain_id=PropertyId(1),
            created_run=RunId(1),
            retired=False,
        )
    ]


def test_a_retired_key_is_still_known(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with store.writing() as connection:
        connection.execute(update(properties).values(retired_at=datetime(2026, 3, 2, tzinfo=UTC)))
        assert read_properties(connection)["vip"].retired


def test_a_key_is_given_once(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with pytest.raises(StoreError), store.writing() as connection:
        create_property(connection, VIP)


def test_keys_that_differ_in_case_are_two(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with store.writing() as connection:
        create_property(connection, {**VIP, "key": "Vip"})
        assert list(read_properties(connection)) == ["vip", "Vip"]


def test_a_new_name_keeps_the_key(store: Store) -> None:
    a_store_with(store, audiences=["vip", "new"])
    with store.writing() as connection:
        rename_property(connection, "vip", "Big Spenders", "abc")
        known = read_properties(connection)
    assert [(each.key, each.name, each.definition) for each in known.values()] == [
        ("vip", "Big Spenders", "abc"),
        ("new", "New", None),
    ]


def test_traits_that_were_created_together_share_a_chain(store: Store) -> None:
    a_store_with(store, audiences=["vip"])
    with store.writing() as connection:
        create_property(connection, {**VIP, "key": "rev_180"})
        create_property(connection, {**VIP, "key": "plan"})
        known = read_properties(connection)
        chains = read_chains(connection, known.values())
    assert chains == {1: Chain(id=1, kind=PropertyKind.AUDIENCE, keys=("vip", "rev_180", "plan"), user_count=0)}
