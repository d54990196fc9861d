"""Every destination passes the standard tests."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from audience_sync.destinations.base import Destination
from audience_sync.destinations.file import FileDestination, FileOptions

from .examples import ABOUT, PRIVATE_KEY, SIGNING_SECRET, TOKEN, WRITE_KEY, connect, rudderstack, segment, webhook
from .standard import DestinationStandard, HttpDestinationStandard


class TestFile(DestinationStandard):
    def destination(self) -> Destination:
        return FileDestination(FileOptions.model_validate({"path": "calls.jsonl"}), ABOUT)


class TestSegment(HttpDestinationStandard):
    secrets = (WRITE_KEY, b64encode(f"{WRITE_KEY}:".encode()).decode())

    def destination(self) -> Destination:
        return segment()


class TestSegmentInPersonasEnvelope(TestSegment):
    def destination(self) -> Destination:
        return segment(envelope="personas")


class TestRudderStack(HttpDestinationStandard):
    secrets = (WRITE_KEY, b64encode(f"{WRITE_KEY}:".encode()).decode())

    def destination(self) -> Destination:
        return rudderstack()


class TestWebhookOfOneCall(HttpDestinationStandard):
    secrets = (TOKEN, SIGNING_SECRET, "key-of-the-query", "/key/of/the/path")

    def destination(self) -> Destination:
        return webhook(
            url="https://hooks.example.test/key/of/the/path?api_key=key-of-the-query",
            headers={"Authorization": f"Bearer {TOKEN}"},
            secret=SIGNING_SECRET,
        )


class TestWebhookOfManyCalls(HttpDestinationStandard):
    def destination(self) -> Destination:
        return webhook(body="batch")


class TestZendeskConnect(HttpDestinationStandard):
    secrets = (PRIVATE_KEY,)

    def destination(self) -> Destination:
        return connect()

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["user_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = message["attributes"]
        return attributes
