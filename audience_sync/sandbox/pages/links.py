"""Name the pages of the sandbox and their addresses."""

from __future__ import annotations

from audience_sync.web.links import Links

href = Links(
    {
        "home": "/",
        "call": "/calls/{call}",
        "users": "/users",
        "user": "/user",
        "events": "/events",
        "setup": "/setup",
        "live": "/live",
    }
)
