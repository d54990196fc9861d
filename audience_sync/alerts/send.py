"""Send one alert through Apprise, and call the dead-man's switch, through the config's proxy.

Apprise has no option for a proxy or for certificates, and reads the environment. So it runs in a process of its own,
whose environment has exactly what the config's `proxy` and `ca_file` ask for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from audience_sync.alerts import apprise_process as apprised
from audience_sync.alerts.request import request
from audience_sync.config.sections.egress import ENVIRONMENT, NO_PROXY, PROXY_VARIABLES
from audience_sync.destinations.http.egress import Egress, shown_proxy

#: Seconds that an address has to accept a message, in one request or several.
MESSAGE_TIMEOUT = 60
#: Seconds that the dead-man's switch has to answer.
PING_TIMEOUT = 10
#: Statuses from here on are errors.
FIRST_ERROR = 400
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def send(address: str, heading: str, text: str, egress: Egress, *, is_good: bool = True) -> str | None:
    """Send one message. Returns the problem with the address, if any, without the address."""
    message = json.dumps({"address": address, "title": heading, "body": text, "is_good": is_good})
    with _environment(egress) as environment:
        command = [sys.executable, "-P", "-m", apprised.__name__]
        try:
            done = subprocess.run(
                command, env=environment, input=message.encode(), capture_output=True, timeout=MESSAGE_TIMEOUT
            )
        except subprocess.TimeoutExpired:
            return f"did not accept the message within {MESSAGE_TIMEOUT} s"
    problem = apprised.PROBLEMS.get(done.returncode, apprised.PROBLEMS[apprised.NOT_ACCEPTED])
    return problem and f"{problem}{_proxy_note(egress) if done.returncode == apprised.NOT_ACCEPTED else ''}"


def _proxy_note(egress: Egress) -> str:
    if egress.proxy in (None, NO_PROXY):
        return ""
    if egress.proxy == ENVIRONMENT:
        return " (`proxy: environment`)"
    return f" (through the proxy {shown_proxy(egress.proxy)})"


@contextmanager
def _environment(egress: Egress) -> Iterator[Mapping[str, str]]:
    """This process's environment, with the proxies and certificates that the config asks for, and no others."""
    kept = dict(os.environ)
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))  # the same packages as in this process
    if egress.proxy != ENVIRONMENT:
        kept = {name: value for name, value in kept.items() if name.lower() not in PROXY_VARIABLES}
        kept = {name: value for name, value in kept.items() if name not in _BUNDLES[:2]}
    if egress.proxy not in (None, NO_PROXY, ENVIRONMENT):
        kept |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), egress.proxy)
    if egress.ca_file is None:
        yield kept
        return
    with TemporaryDirectory(prefix="audience-sync-") as folder:
        bundle = Path(folder, "trusted.pem")
        bundle.write_bytes(_public_cas() + b"\n" + Path(egress.ca_file).read_bytes())
        yield kept | dict.fromkeys(_BUNDLES, str(bundle))


def _public_cas() -> bytes:
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    return Path(DEFAULT_CA_BUNDLE_PATH).read_bytes()


def ping(url: str, egress: Egress) -> str | None:
    """Call the dead-man's switch. Returns the problem with it, if any, without the address."""
    outcome = request("GET", url, egress, timeout=PING_TIMEOUT)
    if outcome.status is None:
        return f"could not be called: {outcome.problem}"
    return None if outcome.status < FIRST_ERROR else f"answered {outcome.status}"
