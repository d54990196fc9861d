"""Name the pages of the dashboard and their addresses."""

from __future__ import annotations

from audience_sync.web.links import Links

#: A user's id is in the query, because it may be anything.
href = Links(
    {
        "home": "/",
        "audiences": "/audiences",
        "audience": "/audiences/{key}",
        "runs": "/runs",
        "run": "/runs/{run}",
        "users": "/users",
        "user": "/users",
        "destinations": "/destinations",
        "query": "/query",
    }
)
