"""Does every destination keep what all must keep?"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from audience_sync.destinations.base import Destination
from audience_sync.destinations.file import FileDestination, FileOptions

from .examples import ABOUT, PRIVATE_KEY, WRITE_KEY, connect, segment
from .standard import DestinationStandard, HttpDestinationStandard


class TestFile(DestinationStandard):
    def destination(self) -> Destination:
        return FileDestination(FileOptions(path="calls.jsonl"), ABOUT)


class TestSegment(HttpDestinationStandard):
    secrets = (WRITE_KEY, b64encode(f"{WRITE_KEY}:".encode()).decode())

    def destination(self) -> Destination:
        return segment()


class TestSegmentInPersonasEnvelope(TestSegment):
    def destination(self) -> Destination:
        return segment(envelope="personas")


class TestZendeskConnect(HttpDestinationStandard):
    secrets = (PRIVATE_KEY,)

    def destination(self) -> Destination:
        return connect()

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["user_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = message["attributes"]
        return attributes
