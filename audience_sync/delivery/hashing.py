"""Hash values as SHA-256: e-mail addresses and other texts trimmed and in lower case, phone numbers in E.164."""

from __future__ import annotations

import json
import re
from hashlib import sha256

from audience_sync.errors import UnsendableError

#: A value that is a SHA-256 already.
_HASHED = re.compile(r"[0-9a-fA-F]{64}")
#: Traits whose values are phone numbers.
PHONES = frozenset({"phone", "phone_number", "mobile", "mobile_phone"})


def hash_value(key: str, value: str) -> str:
    """Return the JSON text of the SHA-256 of a value. A missing value stays null, and a hash is not hashed again."""
    text = json.loads(value)
    if text is None or text == "":
        return "null"
    text = text if isinstance(text, str) else json.dumps(text)
    if _HASHED.fullmatch(text.strip()):
        return f'"{text.strip().lower()}"'
    normalised = _e164(key, text) if key in PHONES else text.strip().lower()
    return f'"{sha256(normalised.encode()).hexdigest()}"'


def _e164(key: str, text: str) -> str:
    """Return a number in E.164. Raises UnsendableError for a text that is not an international number."""
    import phonenumbers

    reason = f"'{key}' is not an international phone number (+49 30 ...), so that it can't be hashed"
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise UnsendableError(reason, {key: reason}) from None
    if not phonenumbers.is_possible_number(number):
        raise UnsendableError(reason, {key: reason})
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
