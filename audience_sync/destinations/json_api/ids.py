"""Write message ids in the forms that services ask for, so that they drop a call that is sent again."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from hashlib import md5

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARACTERS = 26


def message_uuid(message_id: str) -> str:
    """Return a UUID (version 8) of the message id; the same id always gives the same UUID."""
    digest = md5(message_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-a{digest[17:20]}-{digest[20:]}"


#: ``message_uuid`` in SQL.
MESSAGE_UUID_SQL = (
    "concat(md5(message_id)[:8], '-', md5(message_id)[9:12], '-8', md5(message_id)[14:16], "
    "'-a', md5(message_id)[18:20], '-', md5(message_id)[21:])"
)


def message_ulid(message_id: str, timestamp: str) -> str:
    """Return a ULID: 48 bits of the time in milliseconds and 80 bits of the message id."""
    digest = md5(message_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()
    number = (epoch_milliseconds(timestamp) << 80) | int.from_bytes(digest[:10], "big")
    return "".join(_CROCKFORD[(number >> 5 * position) & 31] for position in reversed(range(_ULID_CHARACTERS)))


@lru_cache(maxsize=64)  # a run has few times
def epoch_milliseconds(timestamp: str) -> int:
    """Return the milliseconds since 1970 of an ISO 8601 time."""
    return round(datetime.fromisoformat(timestamp).timestamp() * 1000)


def epoch_seconds(timestamp: str) -> int:
    """Return the whole seconds since 1970 of an ISO 8601 time."""
    return epoch_milliseconds(timestamp) // 1000
