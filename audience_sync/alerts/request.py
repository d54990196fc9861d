"""Make one HTTP request about a run, through the config's proxy, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPException
from typing import Literal

from msgspec import Struct

from audience_sync.destinations.http.egress import Egress

#: Bytes of an answer that are read: only its status counts.
MOST_READ = 64_000
#: Seconds that an answer can ask to wait.
LONGEST_WAIT = 86_400.0


class Outcome(Struct, frozen=True):
    """``problem``: why there was no answer, or None. ``retry_after``: in seconds, if the answer asks for it."""

    status: int | None = None
    problem: str | None = None
    retry_after: float | None = None


def request(
    method: Literal["GET", "POST"],
    url: str,
    egress: Egress,
    *,
    timeout: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Outcome:
    """Make a request. ``timeout``: seconds for all of it. A GET follows redirects. No message has the address."""
    import requests
    from urllib3.exceptions import HTTPError

    from audience_sync.destinations.http.deadline import Deadline, DeadlineAdapter
    from audience_sync.destinations.http.proxy_errors import tunnel_message
    from audience_sync.destinations.http.statuses import retry_after, server_time
    from audience_sync.destinations.http.transport import PROXY_LOGIN_STATUS, no_answer

    deadline, proxy = Deadline(time.monotonic), egress.proxy_for(url)
    deadline.start(timeout)
    with requests.Session() as session:
        session.trust_env = False
        for scheme in ("http://", "https://"):
            session.mount(scheme, DeadlineAdapter(deadline, egress.ca_file))
        try:
            with (
                session.request(
                    method,
                    url,
                    data=body,
                    headers=dict(headers or {}),
                    timeout=timeout,
                    allow_redirects=method == "GET",
                    proxies={"http": proxy, "https": proxy} if proxy else {},
                    stream=True,
                ) as answer,
                suppress(HTTPError, HTTPException, OSError),
            ):  # its status is known, and that alone counts
                answer.raw.read(MOST_READ, decode_content=False)
        except (requests.RequestException, HTTPException, OSError, ValueError) as error:
            return Outcome(problem=no_answer(error, proxy, url).error)
    if proxy and answer.status_code == PROXY_LOGIN_STATUS:
        return Outcome(problem=tunnel_message(proxy, PROXY_LOGIN_STATUS, url))
    given = {name.lower(): value for name, value in answer.headers.items()}
    return Outcome(answer.status_code, retry_after=retry_after(given, server_time(given), LONGEST_WAIT))
