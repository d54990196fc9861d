"""Choose the proxy and the trusted certificates for an address."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Self
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from audience_sync.config.sections.egress import ENVIRONMENT, NO_PROXY, ca_variable


class Egress(Struct, frozen=True):
    """The proxy (an address, `environment`, `none` or None) and ``ca_file``, trusted in addition to the public CAs."""

    ca_file: str | None = None
    proxy: str | None = None

    @classmethod
    def of(cls, ca_file: str | None, proxy: str | None, variables: Mapping[str, str] | None = None) -> Self:
        """Build it from the options; ``variables`` replaces the environment if the options refer to it."""
        if proxy == ENVIRONMENT and ca_file is None:
            named = ca_variable(os.environ if variables is None else variables)
            return cls(named[1] if named else None, proxy)
        return cls(ca_file, proxy)

    def proxy_for(self, url: str) -> str | None:
        """Return the address of the proxy for a URL; None without a proxy."""
        if self.proxy in (None, NO_PROXY):
            return None
        if self.proxy != ENVIRONMENT:
            return self.proxy
        from requests.utils import get_environ_proxies, select_proxy

        found = select_proxy(url, get_environ_proxies(url))
        return found if not found or "://" in found else f"http://{found}"


def shown_proxy(proxy: str) -> str:
    """Return the proxy's address to show, without user and password."""
    try:
        url = urlsplit(proxy)
        if not url.hostname:
            return "of the environment"
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        return f"{url.scheme}://{host}{f':{url.port}' if url.port else ''}"
    except ValueError:  # the environment may hold any text
        return "of the environment"


def proxy_credentials(proxy: str) -> str | None:
    """Return the decoded ``user:password`` of a proxy's address; None without."""
    url = urlsplit(proxy)
    return None if url.username is None else f"{unquote(url.username)}:{unquote(url.password or '')}"
