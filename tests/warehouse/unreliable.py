"""Pass connections to PostgreSQL on, and cut or stop them at a statement or in the middle of its answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.warehouse import serving_in_thread


@dataclass(frozen=True)
class Fault:
    """What happens at the statement that matches ``at`` for this time.

    ``passes``: whether the server gets it. ``answered``: bytes that come back after it. ``stops``: then nothing comes
    any more, though the connection stays open.
    """

    at: bytes
    times: int = 1
    passes: bool = True
    answered: int = 0
    stops: bool = False


class UnreliableProxy:
    """``fault``: the fault of connections, or None. ``met``: how many have met it."""

    fault: Fault | None = None

    def __init__(self, target: Path) -> None:
        self.port, self.met = 0, 0
        self._target = target

    async def serve(self) -> asyncio.Server:
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind, to_behind = await asyncio.open_unix_connection(self._target)
        met = asyncio.Event()
        there = asyncio.create_task(self._pass_statements(reader, to_behind, met))
        back = asyncio.create_task(self._pass_answers(behind, writer, met))
        await asyncio.wait([there, back], return_when=asyncio.FIRST_COMPLETED)
        for task in (there, back):
            task.cancel()
        for each in (writer, to_behind):
            each.transport.abort()

    async def _pass_statements(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, met: asyncio.Event
    ) -> None:
        left = self.fault.times if self.fault else 0
        while block := await reader.read(1 << 20):
            if self.fault and re.search(self.fault.at, block):
                left -= 1
                if not left:
                    met.set()
                    self.met += 1
                    if not self.fault.passes:
                        return
            writer.write(block)
            await writer.drain()

    async def _pass_answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, met: asyncio.Event
    ) -> None:
        answered = 0
        while block := await reader.read(1 << 16):
            if met.is_set() and self.fault:
                if answered >= self.fault.answered:
                    if self.fault.stops:
                        await asyncio.Event().wait()
                    return
                answered += len(block)
            writer.write(block)
            await writer.drain()


@contextmanager
def unreliable_proxy(target: Path) -> Iterator[UnreliableProxy]:
    """In a thread of its own."""
    proxy = UnreliableProxy(target)
    with serving_in_thread(proxy.serve):
        yield proxy
