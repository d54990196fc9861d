"""A random project: its config, its snapshots day by day, and the commands that people give.

One seed gives the same project for every version that plays it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

USERS = [f"u{number:03}" for number in range(60)]
PLANS = ("free", "pro", 3, 4.5, True, None)
CITIES = ("Oslo", "Rome", "Bern")
REGIONS = ("North", "South", "East", "West End")
#: No audience can be made of these: the key is another audience's, or there is none.
WRONG_REGIONS = ("vip", "??")
#: In a command, the newest run; ``RUN-2`` is the run two before it.
RUN = "RUN"
FEATURES = (
    "aliases",
    "events",
    "holdout",
    "min_stay",
    "names_from",
    "priority_group",
    "second_entry",
    "suppressed",
    "traits",
)
#: What the HTTP destinations do on a day.
FAULTS = ("well", "well", "well", "refuses users", "refuses the key", "slows down once")


class Project:
    """``features``: which parts of the config it has. ``files``: the text of each snapshot by its name."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.features = {name for name in FEATURES if self._random.random() < 0.6}
        self.files: dict[str, str] = {}
        self._changed: dict[str, int] = {}
        self._day = 0
        self._keys = {name: name for name in ("vip", "buyers", "gold", "silver")}
        self._members = {name: set(self._sample(USERS, 0, 40)) for name in self._keys}
        self._plans = {user: self._random.choice(PLANS) for user in USERS}

    def _sample(self, values: Sequence[str], least: int, most: int) -> list[str]:
        return self._random.sample(values, self._random.randint(least, most))

    def _happens(self, chance: float) -> bool:
        return self._random.random() < chance

    def next_day(self) -> str:
        """Change some snapshots. Returns the fault of the day."""
        self._day += 1
        for name in self._members:
            if self._day == 1 or self._happens(0.65):
                self._put(f"{name}.csv", self._audience(name))
        for name, write, chance in (
            ("many.csv", self._regions, 0.7),
            ("traits.csv", self._traits, 0.7),
            ("more.csv", self._cities, 0.5),
            ("aliases.csv", self._aliases, 0.5),
            ("suppressed.csv", self._suppressed, 0.5),
        ):
            if self._day == 1 or self._happens(chance):
                self._put(name, write())
        return self._random.choice(FAULTS)

    def _put(self, name: str, text: str) -> None:
        if self.files.get(name) != text:
            self.files[name], self._changed[name] = text, self._day

    def _audience(self, name: str) -> str:
        """Mostly some users enter and leave; sometimes the snapshot is empty, another one, or has another header."""
        kind, now = self._random.random(), self._members[name]
        if kind < 0.06:
            now = set()
        elif kind < 0.85:
            now = now ^ set(self._sample(USERS, 0, 9))
        else:
            now = set(self._sample(USERS, 0, 40))
        self._members[name] = now
        if self._day > 1 and self._happens(0.05):
            return "other\n1\n"
        return _csv(["user_id"], [[user] for user in sorted(now)] + ([['""']] if self._happens(0.2) else []))

    def _regions(self) -> str:
        regions = self._sample(REGIONS, 1, 4) + (self._sample(WRONG_REGIONS, 0, 1) if self._happens(0.2) else [])
        rows = [[self._random.choice(USERS), region] for region in regions for _ in range(self._random.randint(1, 8))]
        return _csv(["user_id", "region"], rows)

    def _traits(self) -> str:
        for user in self._sample(USERS, 8, 8):
            self._plans[user] = self._random.choice(PLANS)
        share = 0.97 if self._happens(0.8) else 0.5
        rows = [
            [user, "" if plan is None else plan, len(str(plan))]
            for user, plan in self._plans.items()
            if self._happens(share)
        ]
        return _csv(["user_id", "plan", "score"], rows)

    def _cities(self) -> str:
        return _csv(["user_id", "city"], [[user, self._random.choice(CITIES)] for user in self._sample(USERS, 30, 30)])

    def _aliases(self) -> str:
        pairs = [self._sample(USERS, 2, 2) for _ in range(self._random.randint(0, 5))]
        return _csv(["previous_id", "user_id"], pairs)

    def _suppressed(self) -> str:
        return _csv(["user_id"], [[user] for user in self._sample(USERS, 0, 12)])

    def commands(self) -> list[list[str]]:
        """The commands of the day: a sync, often a plan before it, some decisions and questions after it."""
        before = [["plan", *self._json()]] if self._happens(0.4) else []
        if self._day > 1 and self._happens(0.2):
            before.append(["freeze", self._random.choice(["vip", "buyers"])])
        decision = [["approve", RUN]] if self._happens(0.25) else []
        later = self._random.sample(self._later(), self._random.randint(0, 3))
        some = [*before, ["sync", *self._json()], *decision, *later]
        if self._day > 1 and self._happens(0.1) and self._keys["silver"] == "silver":
            self._keys["silver"] = "argent"
            some = [["sync", "--move-key", "silver=argent"]]
        retirable = "buyers" in self._keys and "priority_group" not in self.features
        if self._day > 1 and self._happens(0.1) and retirable:
            del self._keys["buyers"]
            some += [["retire", "buyers", "--dry-run"], ["retire", "buyers", "--yes"]]
        return some

    def _later(self) -> list[list[str]]:
        user, other = self._random.choice(USERS), self._random.choice(USERS)
        earlier = f"{RUN}-{self._random.randint(0, 3)}"
        return [
            ["approve", RUN],
            ["approve", RUN, *self._json()],
            ["reject", RUN],
            ["resync"],
            ["resync", "vip", "--destination", "crm"],
            ["retry"],
            ["retry", "--json"],
            ["undo", earlier, "--dry-run"],
            ["undo", earlier, "--yes"],
            ["seed", "gold", "--limit", "9"],
            ["seed", "gold"],
            ["seed", "gold", "--no-send"],
            ["seed", "gold", "--ramp", "30%,100%"],
            ["sync", "buyers"],
            ["sync", "--accept", "vip", *self._json()],
            ["suppress", user],
            ["unsuppress", user],
            ["erase", other],
            ["unfreeze", "vip"],
            ["unfreeze", "buyers"],
            ["explain", user, *self._json()],
            ["members", "vip"],
            ["show", RUN],
            ["show", RUN, "--json"],
            ["history"],
        ]

    def _json(self) -> list[str]:
        return ["--json"] if self._happens(0.3) else []

    def write(self, folder: Path, url: str) -> None:
        """Write config and snapshots. ``url``: where the HTTP destinations are."""
        (folder / "config.yaml").write_text(json.dumps(self._config(url), indent=1), "utf-8")
        for name, text in self.files.items():
            path = folder / name
            path.write_text(text, "utf-8")
            os.utime(path, (self._changed[name], self._changed[name]))

    def _config(self, url: str) -> dict[str, Any]:
        http = {"concurrency": 1, "give_up_after": "20s"}
        config: dict[str, Any] = {
            "sources": {"shop": {"files": "."}},
            "audiences": [self._audience_entry(name, key) for name, key in self._keys.items()],
            "guard": {"max_removed": "40%", "at_least": 4},
            "destinations": {
                "log": {"type": "file", "path": "calls.jsonl"},
                "crm": {"type": "segment", "write_key": "k", "url": f"{url}/crm", "batch_size": 7, **http},
                "hook": {"type": "webhook", "url": f"{url}/hook", "body": "batch", "batch_size": 20, **http},
            },
        }
        if "events" in self.features:
            config["destinations"]["crm"]["events"] = True
        if "names_from" in self.features:
            config["audiences"].append({"names_from": "region", "source": "shop", "file": "many.csv"})
        if "priority_group" in self.features:
            config["priority_groups"] = {"campaign": [self._keys["vip"], self._keys["buyers"]]}
        if "traits" in self.features:
            config["computed_traits"] = [{"source": "shop", "file": "traits.csv", "traits": ["plan", "score"]}]
            if "second_entry" in self.features:
                config["computed_traits"].append({"source": "shop", "file": "more.csv", "traits": ["city"]})
        for name in ("aliases", "suppressed"):
            if name in self.features:
                config[name] = [{"source": "shop", "file": f"{name}.csv"}]
        return config

    def _audience_entry(self, name: str, key: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"name": name, "source": "shop", "file": f"{name}.csv"}
        if key != name:
            entry["key"] = key
        if name == "vip" and "min_stay" in self.features:
            entry["min_stay"] = "2 runs"
        if name == "buyers" and "holdout" in self.features:
            entry["holdout"] = "25%"
        if name == "gold":
            entry["initial"] = "manual"
        if name == "silver":
            entry |= {"destinations": ["log", "hook"], "guard": {"max_removed": "80%"}}
        return entry


def _csv(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    return "".join(",".join(map(str, row)) + "\n" for row in [header, *rows])
