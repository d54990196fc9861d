"""Record what the program sends to Segment and RudderStack when a user enters and leaves an audience.

``record_calls FILE`` writes the messages that arrived at a recorder, by type, way to send and day.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from destinations.receiver import Receiver, Reply

USER = "C-00001"
#: What a shop has of a user; the first call carries all of it, a later one only what changed.
TRAITS = {
    "email": "ana@example.com",
    "phone": "+4930901820",
    "name": "Ana Lind",
    "firstName": "Ana",
    "lastName": "Lind",
    "title": "Dr",
    "company": "Example Ltd",
    "country": "DE",
    "city": "Berlin",
    "createdAt": "2024-03-01T10:00:00Z",
}
#: By type of destination: the identifiers and envelope of each way to send.
WAYS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "segment": {
        "plain": {},
        "plain, identifiers: [email]": {"identifiers": ["email"]},
        "plain, identifiers: [email, name, title]": {"identifiers": ["email", "name", "title"]},
        "personas": {"envelope": "personas"},
        "personas, identifiers: [email]": {"envelope": "personas", "identifiers": ["email"]},
    },
    "rudderstack": {
        "plain": {},
        "plain, identifiers: [email]": {"identifiers": ["email"]},
        "plain, identifiers: [email, name]": {"identifiers": ["email", "name"]},
    },
}
#: Each way with its place in the table, by the name of its destination.
DESTINATIONS = {f"{kind}_{number}": (kind, way) for kind, ways in WAYS.items() for number, way in enumerate(ways)}
DAYS = ("baseline", "enter", "exit")


def config(url: str) -> dict[str, Any]:
    destinations = {
        name: {"type": kind, "write_key": "key", "url": f"{url}/{name}", "events": True, **WAYS[kind][way]}
        for name, (kind, way) in DESTINATIONS.items()
    }
    for each in destinations.values():
        if "envelope" in each:
            each["external_audience_ids"] = {"vip": "1234567"}
    return {
        "store": "sqlite:///store.db",
        "sources": {"shop": {"files": "."}},
        "audiences": [{"name": "vip", "source": "shop", "file": "vip.csv", "user_id": "user_id"}],
        "computed_traits": [{"source": "shop", "file": "users.csv", "user_id": "user_id", "traits": list(TRAITS)}],
        "destinations": destinations,
    }


def write_day(folder: Path, *, is_there: bool, is_member: bool) -> None:
    users = ["user_id," + ",".join(TRAITS), "C-00002" + ",x" * len(TRAITS)]
    users += [f"{USER},{','.join(TRAITS.values())}"] * is_there
    (folder / "users.csv").write_text("\n".join(users) + "\n")
    (folder / "vip.csv").write_text("\n".join(["user_id", "C-00002", *[USER] * is_member]) + "\n")


def recorded() -> dict[str, dict[str, dict[str, list[Any]]]]:
    """Run the program on three days, on which the user is not there, enters, and leaves."""
    found: dict[str, dict[str, dict[str, list[Any]]]] = {
        kind: {way: {"enter": [], "exit": []} for way in ways} for kind, ways in WAYS.items()
    }
    with tempfile.TemporaryDirectory() as name, Receiver() as recorder:
        recorder.will_answer(Reply(200, b'{"success": true}'))
        folder = Path(name)
        (folder / "config.yaml").write_text(yaml.safe_dump(config(recorder.url)))
        for day in DAYS:
            write_day(folder, is_there=day != "baseline", is_member=day == "enter")
            recorder.requests.clear()
            subprocess.run(
                [sys.executable, "-m", "audience_sync", "sync"], cwd=folder, check=True, stdout=subprocess.PIPE
            )
            for each in recorder.requests if day != "baseline" else ():
                kind, way = DESTINATIONS[each.path.split("/")[1]]
                messages = json.loads(each.body)["batch"]
                found[kind][way][day] += [message for message in messages if message["userId"] == USER]
    return found


def main(file: str) -> int:
    Path(file).write_text(json.dumps(recorded(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
