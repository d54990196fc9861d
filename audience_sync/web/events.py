"""Send messages to an open page as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.responses import StreamingResponse

#: Milliseconds until a browser connects again.
RETRY = 3000


def message(data: str, *, event: str = "", id: str = "") -> str:
    """One message. Without ``event`` htmx swaps ``data`` into the page; with it the page gets an event of that name."""
    lines = [f"event: {event}"] * bool(event) + [f"id: {id}"] * bool(id)
    return "\n".join([*lines, *(f"data: {line}" for line in data.splitlines() or [""]), "", ""])


#: A comment, which keeps the connection and notices one that is closed.
HEARTBEAT = ": still here\n\n"


def event_stream(messages: AsyncIterator[str]) -> StreamingResponse:
    """An answer that stays open until the messages end or the reader leaves."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_with_retry(messages), media_type="text/event-stream", headers=headers)


async def _with_retry(messages: AsyncIterator[str]) -> AsyncIterator[str]:
    yield f"retry: {RETRY}\n\n"
    async for each in messages:
        yield each
