"""Keep the audiences of the model in a warehouse that compares them, some of them by ``names_from``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule
from sqlalchemy import Connection, NullPool, create_engine, select
from warehouse.kills import POINTS

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import source_states

from .commands import KILLED
from .machine import Shop, changes, members
from .project_files import DESTINATIONS, FILES

#: The audiences by ``names_from``, which are in one table.
LISTS = ("reds", "blues")
SCHEMA = "audience_sync"


class ShopInWarehouse(Shop):
    """A shop without ``aliases``, which such a source can't have.

    ``prepared``: the folder of the history that the warehouse has tables for.
    """

    prepared: Path | None = None
    a_user_gets_another_id: Any = None

    def a_run_is_killed(self, changed: dict[str, frozenset[str]], lists: dict[str, frozenset[str]], point: str) -> None:
        """Kill it while the warehouse compares, if it comes to that point."""
        self.members = {**self.members, **changed, **lists}
        self.write()
        ended = self.run_command("sync", crash=(point, 1))
        assert ended.code in (0, 1, 4, KILLED), ended

    kill = rule(changed=changes, lists=st.dictionaries(st.sampled_from(LISTS), members), point=st.sampled_from(POINTS))
    #: Several rules, so that many steps are kills.
    in_spring, in_summer, in_autumn = kill(a_run_is_killed), kill(a_run_is_killed), kill(a_run_is_killed)

    @rule(lists=st.dictionaries(st.sampled_from(LISTS), members, min_size=1))
    def lists_change(self, lists: dict[str, frozenset[str]]) -> None:
        self.members = {**self.members, **lists}
        self.write()

    def snapshot(self, key: str) -> dict[str, Any]:
        return {"source": "warehouse", "query": f"select user_id from {key}"}

    def write_config(self, config: dict[str, Any]) -> None:
        if self.prepared != self.folder:
            self._prepare()
        url = self.harness.warehouse
        config["sources"]["warehouse"] = {"database": url, "compare": "in_warehouse", "schema": SCHEMA}
        here = [name for name in DESTINATIONS if name not in self.left_out]
        query = "select user_id, list from lists"
        config["audiences"].append({"names_from": "list", "source": "warehouse", "query": query, "destinations": here})
        del config["aliases"]
        super().write_config(config)

    def write_members(self, key: str, names: Iterable[str]) -> None:
        with self._warehouse() as connection:
            if key in LISTS:
                connection.exec_driver_sql("delete from lists where list = %s", (key,))
                connection.exec_driver_sql("insert into lists select unnest(%s::text[]), %s", (sorted(names), key))
            else:
                connection.exec_driver_sql(f"delete from {key}")
                connection.exec_driver_sql(f"insert into {key} select unnest(%s::text[])", (sorted(names),))

    def everything_is_sent(self) -> None:
        super().everything_is_sent()
        assert self._tables() == self._named_tables(), "the warehouse has other tables than the store names"

    def _truth(self, user: str) -> dict[str, Any]:
        lists = {key: user in self.counted(key) for key in LISTS if key in self.members}
        return {**super()._truth(user), **lists}

    def _prepare(self) -> None:
        self.prepared = self.folder
        tables = [*FILES, "lists"]
        with self._warehouse() as connection:
            for name in tables:
                connection.exec_driver_sql(f"drop table if exists {name}")
                connection.exec_driver_sql(f"create table {name} (user_id text{', list text' * (name == 'lists')})")
            connection.exec_driver_sql(f"drop schema if exists {SCHEMA} cascade")
            connection.exec_driver_sql(f"create schema {SCHEMA}")

    def _tables(self) -> set[str]:
        with self._warehouse() as connection:
            query = f"select tablename from pg_tables where schemaname = '{SCHEMA}'"
            return set(connection.exec_driver_sql(query).scalars())

    def _named_tables(self) -> set[str]:
        store = Store(self.store)
        try:
            with store.reading() as connection:
                return set(connection.execute(select(source_states.c.table_name)).scalars())
        finally:
            store.close()

    @contextmanager
    def _warehouse(self) -> Iterator[Connection]:
        """A transaction."""
        engine = create_engine(self.harness.warehouse or "", poolclass=NullPool)
        with engine.begin() as connection:
            yield connection
