"""Write the headers that prove who sends."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

from pydantic import SecretStr


def bearer(token: SecretStr) -> Mapping[str, str]:
    """Return the header of a token (RFC 6750)."""
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


def basic(user: SecretStr, password: SecretStr | None = None) -> Mapping[str, str]:
    """Return the header of basic authentication (RFC 7617): a key is a user without a password."""
    pair = f"{user.get_secret_value()}:{password.get_secret_value() if password else ''}"
    return {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
