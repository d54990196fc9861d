"""Measure a source in a database, compared there or here: the bytes that a run fetches, our CPU, and the server's.

It has the members of an audience, or computed traits of users. After the first run one of them in a thousand changes,
or one in a hundred. Both contenders must send the same calls.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.cases import Case
from benchmarks.results import Run
from benchmarks.rounds import Bench, home_of, measure_ours

CONFIG = """
store: sqlite:///store.db
members_table: false
sources: {{warehouse: {{database: "{url}", compare: {compare}}}}}
{entry}
destinations: {{calls: {{type: file, path: calls.jsonl}}}}
guard: {{max_removed: 100%, max_added: 100%}}
"""
#: Where each contender compares.
COMPARE = {"ours": "in_warehouse", "ours-here": "here"}
#: By step, one member of how many changes.
CHANGING = {"0.1%": 1_000, "1%": 100}
USER_ID = "md5('{name}' || i)::uuid::text"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the table ``snapshot`` has, and how some of its rows change.

    ``rows``: the columns of row ``i``. ``change``: statements that change rows, by the number of rows that have changed
    before, how many change now, and the name of the step. ``sends_first``: whether the first run sends every user.
    """

    entry: str
    rows: str
    change: Callable[[int, int, str], Iterator[str]]
    sends_first: bool


def _exchange(before: int, count: int, step: str) -> Iterator[str]:
    """Let half as many members leave, after those who left before, and as many others enter."""
    first, half = before // 2 + 1, count // 2
    leaving = f"select {USER_ID.format(name='user')} from generate_series({first}, {first + half - 1}) i"
    yield f"delete from snapshot where user_id in ({leaving})"
    yield f"insert into snapshot select {USER_ID.format(name=step)} from generate_series(1, {half}) i"


def _increase(before: int, count: int, step: str) -> Iterator[str]:
    users = f"select {USER_ID.format(name='user')} from generate_series({before + 1}, {before + count}) i"
    yield f"update snapshot set revenue = revenue + 1 where user_id in ({users})"


#: By the kind of a case.
SNAPSHOTS = {
    "warehouse": Snapshot(
        entry="audiences: [{name: Members, source: warehouse, query: select user_id from snapshot, initial: none}]",
        rows=f"{USER_ID.format(name='user')} as user_id",
        change=_exchange,
        sends_first=False,
    ),
    "warehouse-traits": Snapshot(
        entry="computed_traits: [{source: warehouse, query: select * from snapshot, traits: [plan, revenue]}]",
        rows=f"{USER_ID.format(name='user')} as user_id, (array['free', 'pro', 'team'])[i % 3 + 1] as plan, "
        "(i % 10000 / 100.0)::numeric(10, 2) as revenue",
        change=_increase,
        sends_first=True,
    ),
}


def play(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    """Autovacuum is off, since it would count as the server's CPU of whichever run it meets."""
    assert bench.database is not None
    database, snapshot = bench.database.create(), SNAPSHOTS[case.kind]
    rows = f"select {snapshot.rows} from generate_series(1, {case.users}) i"
    bench.database.set(autovacuum="off")
    bench.database.run(database, "create schema audience_sync", f"create table snapshot as {rows}")
    try:
        with ExitStack() as after:
            proxy = after.enter_context(counting_proxy(bench.database.socket))
            address = urlsplit(database)
            url = address._replace(netloc=f"{address.username}@127.0.0.1:{proxy.port}", query="").geturl()
            homes = {who: after.enter_context(home_of(f"{case.name}-{who}", bench)) for who in case.contenders}
            for who, home in homes.items():
                config = CONFIG.format(url=url, compare=COMPARE[who], entry=snapshot.entry)
                (home / "config.yaml").write_text(config)
            changed = 0
            for step in case.steps:
                changes = case.users
                if step != "first":
                    changes = case.users // CHANGING[step]
                    bench.database.run(database, *snapshot.change(changed, changes, step))
                    changed += changes
                bench.database.run(database, "vacuum analyze snapshot", "checkpoint")
                for who, home in homes.items():
                    proxy.bytes, before = 0, bench.database.cpu()
                    measured = measure_ours(bench, home, "sync", "--json")
                    amounts = {"fetched": float(proxy.bytes), "changes": float(changes)}
                    yield who, step, replace(measured, amounts=amounts | {"server": bench.database.cpu() - before})
                _require_same_calls(homes, changes if step != "first" or snapshot.sends_first else 0)
    finally:
        bench.database.drop(database)
        bench.database.set(autovacuum="on")


def _require_same_calls(homes: Mapping[str, Path], count: int) -> None:
    """Raise RuntimeError if the contenders have not sent the same properties to the same users in this step."""
    found = {who: _calls(home / "calls.jsonl") for who, home in homes.items()}
    if len({*found.values()}) > 1 or any(calls != count for calls, _ in found.values()):
        raise RuntimeError(f"{count:,} calls were to be sent, the same by all: {found}")


def _calls(file: Path) -> tuple[int, str]:
    """The number of calls, and a digest of their users and properties in any order. Empties the file."""
    count, digest = 0, 0
    if file.exists():
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                call = json.loads(line)
                content = json.dumps([call["userId"], call["traits"]])
                count, digest = count + 1, digest + int.from_bytes(sha256(content.encode()).digest())
        file.unlink()
    return count, f"{digest:x}"


class CountingProxy:
    """Passes connections on to a Unix socket or a port, and counts the bytes of both directions."""

    def __init__(self, target: Path | int) -> None:
        self.bytes, self.port = 0, 0
        self._target = target

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, int):
            behind, to_behind = await asyncio.open_connection("127.0.0.1", self._target)
        else:
            behind, to_behind = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(self._pipe(reader, to_behind), self._pipe(behind, writer))

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for block in _blocks(reader, writer):
            self.bytes += len(block)


async def _blocks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> AsyncIterator[bytes]:
    """Yield what was read, after it was passed on."""
    try:
        while block := await reader.read(1 << 20):
            writer.write(block)
            await writer.drain()
            yield block
    except ConnectionError:
        pass
    finally:
        writer.close()


@contextmanager
def counting_proxy(target: Path | int) -> Iterator[CountingProxy]:
    """In a thread of its own, which counts while the program is waited for."""
    proxy = CountingProxy(target)
    with serving_in_thread(proxy.serve):
        yield proxy


@contextmanager
def serving_in_thread(serve: Callable[[], Coroutine[Any, Any, asyncio.Server]]) -> Iterator[None]:
    """Start a server in a thread of its own, and stop it at the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(serve(), loop).result()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
