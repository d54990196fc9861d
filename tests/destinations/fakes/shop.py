"""A shop whose destinations are vendors' fakes, and days on which its snapshots change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cli.conftest import Project, Result
from forks import forks

from .server import FakeServer
from .state import Properties, State, StoredEvent

AUDIENCE = {"name": "VIP", "source": "shop", "file": "vip.csv"}
#: Options that a fake needs for events; HubSpot has none by user id.
EVENTS: dict[str, dict[str, Any]] = {"hubspot": {}}


class Shop(Project):
    """A project with a destination at each of ``vendors``, of the same name.

    ``bug``: one of ``model.bugs`` that is planted into the commands.
    """

    def __init__(self, folder: Path, server: FakeServer, vendors: Sequence[str], bug: str | None = None) -> None:
        super().__init__(folder)
        self.server, self.vendors, self.bug = server, vendors, bug

    def run(self, *arguments: str) -> Result:
        prepare = ("model.bugs:plant", self.bug) if self.bug else None
        code, out, err = forks().run(arguments, folder=self.folder, environment=self.environment, prepare=prepare)
        return Result(code, out.decode(), err.decode())

    def state(self, vendor: str) -> State:
        return self.server.states[vendor]

    def users(self) -> dict[str, dict[str, Properties]]:
        """The users' properties at each vendor, in the snapshots' types."""
        return {vendor: self.server.users(vendor) for vendor in self.vendors}

    def events(self) -> dict[str, list[StoredEvent]]:
        """The events at each vendor, in the order of their users."""
        return {vendor: sorted(self.state(vendor).events.values()) for vendor in self.vendors}

    def meet(self, **faults: Any) -> None:
        """Give the account at each vendor these faults."""
        for vendor in self.vendors:
            self.server.change(vendor, **faults)

    def connect(self, *traits: str, **options: Any) -> None:
        """Write the config, with these computed traits, and these options of each destination."""
        computed = {"source": "shop", "file": "customers.csv", "traits": list(traits)}
        self.configure(
            audiences=[AUDIENCE],
            computed_traits=[computed] if traits else [],
            aliases=[{"source": "shop", "file": "aliases.csv"}],
            guard={"max_removed": "100%", "max_added": "100000%"},
            destinations={
                vendor: self.server.destination(vendor, **{**EVENTS.get(vendor, {"events": True}), **options})
                for vendor in self.vendors
            },
        )

    def customers(self, *lines: str) -> None:
        self.write("customers.csv", "\n".join([*lines, ""]))

    def aliases(self, *lines: str) -> None:
        self.write("aliases.csv", "\n".join(["previous_id,user_id", *lines, ""]))

    def calls(self, *command: str) -> dict[str, tuple[int, int, int]]:
        """Run a command. Return the delivered, refused and pending calls of each destination."""
        found = self.run(*command, "--json").json["destinations"]
        return {each["name"]: (each["delivered"], each["refused"], each["pending"]) for each in found}

    def error(self, vendor: str) -> str:
        """Sync. Return why the destination stopped."""
        error: str = self.sync().destination(vendor)["error"]
        return error

    def refusals(self, vendor: str) -> dict[str, str]:
        """The reasons of the refused calls, by user."""
        query = "select user_id, reason from refused_calls where destination = "
        return dict(self.query(f"{query}'{vendor}'"))
