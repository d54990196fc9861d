"""Write a call as a curl command, with variables in place of keys."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from urllib.parse import quote

from audience_sync.sandbox.keys import CONNECT_PAIRS, RUDDERSTACK_KEY, SEGMENT_KEY
from audience_sync.sandbox.values import Service

_JSON = "-H 'Content-Type: application/json'"
#: Headers of a webhook that its receiver looks at. The signature is of one moment, and is left out.
_KEPT_HEADERS = ("content-type", "webhook-id")


def curl_command(
    base: str,
    *,
    service: str,
    destination: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    type: str,
    message: str,
    with_keys: bool = False,
) -> str:
    """Return the command that sends one call again. ``base``: the sandbox's address, without a slash at its end.

    ``with_keys``: the sandbox's own keys in place of ``$SEGMENT_WRITE_KEY``; keys of others are not stored.
    """
    body = shell_quoted(message)
    match service:
        case Service.SEGMENT | Service.RUDDERSTACK:
            is_segment = service == Service.SEGMENT
            variable = "SEGMENT_WRITE_KEY" if is_segment else "RUDDERSTACK_WRITE_KEY"
            key = (SEGMENT_KEY if is_segment else RUDDERSTACK_KEY) if with_keys else f"${variable}"
            if re.search(r"/(?:batch|b|import)/?$", path):
                body = shell_quoted(f'{{"batch":[{message}]}}')
            return f'curl -u "{key}:" {base}{path} {_JSON} --data-raw {body}'
        case Service.CONNECT:
            key = _connect_key(destination) if with_keys else "$CONNECT_PRIVATE_KEY"
            single = path.removesuffix("/").removesuffix("/batch")
            return f'curl {base}{single} -H "X-Outbound-Key: {key}" {_JSON} --data-raw {body}'
        case _:
            kept = [f"-H {shell_quoted(f'{name}: {headers[name]}')}" for name in _KEPT_HEADERS if name in headers]
            verb = "" if method == "POST" else f"-X {method} "
            if type == "text":  # stored as JSON, and sent as the text itself
                body = ansi_quoted(json.loads(message))
            return " ".join([f"curl {verb}{base}{quote(path)}", *kept, f"--data-raw {body}"])


def shell_quoted(text: str) -> str:
    """Return JSON as one word of a shell; characters that a terminal acts on become escapes of JSON."""
    return shlex.quote("".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text))


def ansi_quoted(text: str) -> str:
    """Return any text as one word of bash, zsh or a later shell, without a character that a terminal acts on."""
    if text.isprintable():
        return shlex.quote(text)
    marked = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(each if each.isprintable() else _octal(each) for each in marked) + "'"


def _octal(sign: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in sign.encode())


def _connect_key(destination: str) -> str:
    for pair in CONNECT_PAIRS:
        if destination == f"connect {pair.environment}":
            return pair.private
    return CONNECT_PAIRS[0].private
