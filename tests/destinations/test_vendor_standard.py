"""Does every vendor's destination keep what all must keep?"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from audience_sync.destinations.base import Destination

from .standard import HttpDestinationStandard
from .vendors import vendor

TEXTS = {"a": "true", "b": "", "c": "1.5", "d": "12345678901234567890123", "e": "é", "f": "[1]", "g": '{"h":{}}'}


class TestAmplitude(HttpDestinationStandard):
    secrets = ("invented-key",)

    def destination(self) -> Destination:
        return vendor("amplitude")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["user_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        operations = message["user_properties"]
        return {**operations.get("$set", {}), **dict.fromkeys(operations.get("$unset", {}))}


class TestBraze(HttpDestinationStandard):
    secrets = ("invented-key",)

    def destination(self) -> Destination:
        return vendor("braze")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["external_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in message.items() if key != "external_id"}


class TestBrazeByAlias(HttpDestinationStandard):
    secrets = ("invented-key",)

    def destination(self) -> Destination:
        return vendor("braze", id="alias", alias_label="crm_id")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["user_alias"]["alias_name"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in message.items() if key not in ("user_alias", "_update_existing_only")}


class TestCustomerIo(HttpDestinationStandard):
    secrets = ("site_id-1a2b3c", "api_key-4d5e6f", b64encode(b"site_id-1a2b3c:api_key-4d5e6f").decode())
    longest_id = 50

    def destination(self) -> Destination:
        return vendor("customerio", site_id="site_id-1a2b3c", api_key="api_key-4d5e6f")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["identifiers"]["id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        attributes: dict[str, Any] = message["attributes"]
        return attributes


class TestHubSpot(HttpDestinationStandard):
    secrets = ("invented-token",)
    membership = ("true", "false")
    written = TEXTS
    number = str

    def destination(self) -> Destination:
        return vendor("hubspot", id_property="customer_id")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        properties: dict[str, Any] = message["properties"]
        return properties


class TestIterable(HttpDestinationStandard):
    secrets = ("invented-key",)

    def destination(self) -> Destination:
        return vendor("iterable")

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = message["dataFields"]
        return fields


class TestMixpanel(HttpDestinationStandard):
    secrets = ("invented-token", b64encode(b"invented-token:").decode())
    longest_id = 63

    def destination(self) -> Destination:
        return vendor("mixpanel")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["$distinct_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        return {**message.get("$set", {}), **dict.fromkeys(message.get("$unset", []))}


class TestOneSignal(HttpDestinationStandard):
    secrets = ("invented-key-1a2b3c",)
    membership = ("true", "false")
    written = TEXTS
    number = str

    def destination(self) -> Destination:
        return vendor("onesignal", api_key="invented-key-1a2b3c")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["identity"]["external_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        tags: dict[str, Any] = message["properties"]["tags"]
        return tags


class TestPostHog(HttpDestinationStandard):
    secrets = ("phc_invented",)
    longest_id = 50

    def destination(self) -> Destination:
        return vendor("posthog")

    def user_id(self, message: dict[str, Any]) -> Any:
        return message["distinct_id"]

    def traits(self, message: dict[str, Any]) -> dict[str, Any]:
        properties = message["properties"]
        return {**properties.get("$set", {}), **dict.fromkeys(properties.get("$unset", []))}
