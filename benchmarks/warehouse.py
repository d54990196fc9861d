"""Measure a source in a database, compared there or here: the bytes that a run fetches, and our CPU.

One member in a thousand changes after the first run.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.cases import Case
from benchmarks.results import Run
from benchmarks.rounds import Bench, home_of, measure_ours

CONFIG = """
store: sqlite:///store.db
members_table: false
sources: {{warehouse: {{database: "{url}", compare: {compare}}}}}
audiences: [{{name: Members, source: warehouse, query: select user_id from members}}]
destinations: {{}}
guard: {{max_removed: 100%, max_added: 100%}}
"""
#: Where each contender compares.
COMPARE = {"ours": "in_warehouse", "ours-here": "here"}
USER_ID = "md5('user' || i)::uuid::text"


def play(case: Case, bench: Bench, number: int) -> Iterator[Run]:
    assert bench.database is not None
    database, changes = bench.database.create(), case.users // 1000
    members = f"create table members as select {USER_ID} as user_id from generate_series(1, {case.users}) i"
    bench.database.run(database, "create schema audience_sync", members)
    try:
        with ExitStack() as after:
            proxy = after.enter_context(counting_proxy(bench.database.socket))
            address = urlsplit(database)
            url = address._replace(netloc=f"{address.username}@127.0.0.1:{proxy.port}", query="").geturl()
            homes = {who: after.enter_context(home_of(f"{case.name}-{who}", bench)) for who in case.contenders}
            for who, home in homes.items():
                (home / "config.yaml").write_text(CONFIG.format(url=url, compare=COMPARE[who]))
            for step in case.steps:
                if step != "first":
                    half = f"from generate_series(1, {changes // 2}) i"
                    leave = f"delete from members where user_id in (select {USER_ID} {half})"
                    bench.database.run(database, leave, f"insert into members select 'new-' || i {half}")
                for who, home in homes.items():
                    proxy.bytes = 0
                    measured = measure_ours(bench, home, "sync", "--json")
                    changed = float(changes if step != "first" else case.users)
                    yield who, step, replace(measured, amounts={"fetched": float(proxy.bytes), "changes": changed})
    finally:
        bench.database.drop(database)


class CountingProxy:
    """Passes connections on to a Unix socket, and counts the bytes that come back."""

    def __init__(self, target: Path) -> None:
        self.bytes, self.port = 0, 0
        self._target = target

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(_pipe(reader, to_behind), self._pipe_and_count(behind, writer))

    async def _pipe_and_count(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for block in _blocks(reader, writer):
            self.bytes += len(block)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    async for _ in _blocks(reader, writer):
        pass


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
def counting_proxy(target: Path) -> Iterator[CountingProxy]:
    """In a thread of its own, which counts while the program is waited for."""
    proxy, loop = CountingProxy(target), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(proxy.serve(), loop).result()
    try:
        yield proxy
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
