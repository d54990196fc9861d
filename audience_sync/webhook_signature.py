"""Sign a webhook by Standard Webhooks: an HMAC-SHA256 of id, time and body."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import datetime

from pydantic import SecretStr

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: The rest of a secret with this prefix is the key in base64.
PREFIX = "whsec_"


def signature_headers(key: bytes, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """Return the headers that go with ``webhook-id``. Receivers refuse a time that is some minutes off."""
    seconds = str(int(at.timestamp()))
    digest = hmac.digest(key, f"{message_id}.{seconds}.".encode() + body, "sha256")
    return {TIMESTAMP: seconds, SIGNATURE: f"v1,{b64encode(digest).decode()}"}


def signing_key(secret: SecretStr) -> bytes:
    """Return the key. Raises ValueError, without the secret, if the text after ``whsec_`` is not base64."""
    text = secret.get_secret_value()
    if not text.startswith(PREFIX):
        return text.encode()
    try:
        return b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError(f"must be base64 after `{PREFIX}`: was it copied whole?") from None


def usable_secret(secret: SecretStr) -> SecretStr:
    if not signing_key(secret):
        raise ValueError("is empty: is its environment variable set?")
    return secret
