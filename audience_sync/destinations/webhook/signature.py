"""How does a receiver know who sent a webhook? By Standard Webhooks: an HMAC-SHA256 of id, time and body."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from datetime import datetime

from pydantic import SecretStr

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
#: Secrets that begin so are the base64 of the key.
PREFIX = "whsec_"


def signature_headers(key: bytes, message_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers beside ``webhook-id``; receivers refuse a time that is more than some minutes off."""
    seconds = str(int(at.timestamp()))
    digest = hmac.digest(key, f"{message_id}.{seconds}.".encode() + body, "sha256")
    return {TIMESTAMP: seconds, SIGNATURE: f"v1,{b64encode(digest).decode()}"}


def signing_key(secret: SecretStr) -> bytes:
    """Raises ValueError, without the secret, where the text after ``whsec_`` is no base64."""
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
