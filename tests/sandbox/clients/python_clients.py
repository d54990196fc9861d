"""Send the same facts by a Python client: ``python_clients CLIENT URL KEY``, where requirements.txt is installed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

TRAITS = {"vip": True, "plan": "pro", "revenue": 120.5}


def fail(error: Any, *_: Any) -> None:
    raise SystemExit(f"the client reports an error: {error}")


def send_by_segment(url: str, key: str) -> None:
    from segment.analytics.client import Client

    client = Client(key, host=url, on_error=fail)
    client.identify("C-1", TRAITS)
    client.track("C-1", "Paid", {"total": 12.5})
    client.page("C-1", None, "Home")
    client.screen("C-1", None, "Start")
    client.group("C-1", "G-1", {"name": "Shop"})
    client.alias("anon-1", "C-1")
    client.flush()
    client.join()


def send_by_rudderstack(url: str, key: str) -> None:
    import rudderstack.analytics as rudder

    rudder.write_key = key
    rudder.dataPlaneUrl = url
    rudder.on_error = fail
    rudder.identify("C-1", TRAITS)
    rudder.track("C-1", "Paid", {"total": 12.5})
    rudder.page("C-1", "", "Home")
    rudder.screen("C-1", "", "Start")
    rudder.group("C-1", "G-1", {"name": "Shop"})
    rudder.alias("anon-1", "C-1")
    rudder.flush()


def send_by_outbound(url: str, key: str) -> None:
    import outbound

    setattr(outbound, "__BASE_URL", f"{url}/v2")
    outbound.init(key)

    def refuse(code: int, error: Any) -> None:
        fail(f"{code}: {error}")

    outbound.identify("C-1", first_name="Ana", email="ana@example.com", attributes=TRAITS, on_error=refuse)
    outbound.track("C-1", "Paid", properties={"total": 12.5}, on_error=refuse)


CLIENTS: Mapping[str, Callable[[str, str], None]] = {
    "segment": send_by_segment,
    "rudderstack": send_by_rudderstack,
    "outbound": send_by_outbound,
}

if __name__ == "__main__":
    CLIENTS[sys.argv[1]](*sys.argv[2:])
