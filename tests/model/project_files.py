"""Write the config and the snapshots of the model."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from destinations.fakes import FAKES
from hypothesis.stateful import RuleBasedStateMachine

#: `wave` is seeded by hand.
AUDIENCES = ("vip", "buyers", "wave")
#: In addition, one that is retired now and then.
FILES = (*AUDIENCES, "passing")
#: The audiences whose destinations change.
SENT_AUDIENCES = ("vip", "buyers", "passing")
DESTINATIONS = ("first", "second")
#: The type of each, unless a harness has others: vendors, whose fakes are in ``destinations.fakes``.
TYPES = ("segment", "webhook")
#: Vendors' fakes get the city only.
TRAIT_FILES = {"city": "cities.csv", "email": "emails.csv"}
TRAITS = tuple(TRAIT_FILES)
#: Users that may enter an audience at once: more than there are.
MOST = 100


class ProjectFiles(RuleBasedStateMachine):
    """``members``: by file; ``cities``, ``emails`` and ``new_ids`` by user. ``subscribed``: by audience, the
    destinations; ``traits_for``: by trait. ``mapped``: by destination, an object whose ``options`` are in the config.

    Some destinations are ``left_out``. ``holdouts``: by key, the share that is never sent. A user is only in the
    first audience of ``group`` that has them. ``forgetful``: whether history is pruned at once.
    """

    folder: Path
    store: str
    members: dict[str, frozenset[str]]
    cities: dict[str, str]
    emails: dict[str, str]
    traits_for: dict[str, tuple[str, ...]]
    mapped: Mapping[str, Any]
    new_ids: dict[str, str]
    subscribed: dict[str, frozenset[str]]
    left_out: frozenset[str]
    holdouts: dict[str, str | None]
    group: tuple[str, ...]
    forgetful: bool
    #: The address of all destinations.
    url: str
    #: The folder, or the folder of a bucket, that has the snapshots; None: the store has them.
    state: str | None = None
    #: The type of each destination.
    types: tuple[str, ...] = TYPES

    @property
    def passing_key(self) -> str:
        """The key of the audience that is retired now and then."""
        raise NotImplementedError

    def write(self) -> None:
        for key, names in self.members.items():
            self.write_members(key, names)
        pairs = sorted(self.new_ids.items())
        _write_rows(self.folder / "aliases.csv", ["previous_id", "user_id"], pairs)
        _write_rows(self.folder / "cities.csv", ["user_id", "city"], sorted(self.cities.items()))
        _write_rows(self.folder / "emails.csv", ["user_id", "email"], sorted(self.emails.items()))

    def write_members(self, key: str, names: Iterable[str]) -> None:
        _write_rows(self.folder / f"{key}.csv", ["user_id"], ([user] for user in sorted(names)))

    def configure(self) -> None:
        options = {"batch_size": 3, "concurrency": 2, "give_up_after": "300ms", "timeout": "20s"}
        configured = {
            name: {**_destination(kind, f"{self.url}/{name}"), **options, **self.mapped[name].options}
            for name, kind in zip(DESTINATIONS, self.types, strict=True)
        }
        here = {name: each for name, each in configured.items() if name not in self.left_out}
        audiences: list[dict[str, Any]] = [
            {
                "name": self.passing_key if key == "passing" else key,
                **self.snapshot(key),
                "destinations": sorted(wanted & here.keys()),
            }
            for key, wanted in self.subscribed.items()
        ]
        next(each for each in audiences if each["name"] == "buyers")["min_stay"] = "2 runs"
        audiences.append({"name": "wave", **self.snapshot("wave"), "initial": "manual"})
        for audience in audiences:
            audience["holdout"] = self.holdouts.get(audience["name"])
        config = {
            "store": self.store,
            "sources": {"shop": {"files": "."}},
            "audiences": audiences,
            "priority_groups": {"campaign": list(self.group)} if self.group else {},
            "computed_traits": [
                {"source": "shop", "file": file, "traits": [trait], **self._destinations_of(trait, here)}
                for trait, file in TRAIT_FILES.items()
                if trait == "city" or self.types == TYPES
            ],
            "aliases": [{"source": "shop", "file": "aliases.csv"}],
            "guard": {"max_removed": "50%", "max_added": MOST, "at_least": 0},
            "destinations": here,
            **({"retention": "1ms"} if self.forgetful else {}),
            **({"state": self.state} if self.state else {}),
        }
        self.write_config(config)

    def snapshot(self, key: str) -> dict[str, Any]:
        """Where the members of an audience are read from, as options of the config."""
        return {"source": "shop", "file": f"{key}.csv"}

    def write_config(self, config: dict[str, Any]) -> None:
        (self.folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config))), "utf-8")

    def _destinations_of(self, trait: str, here: Collection[str]) -> dict[str, Any]:
        names = self.traits_for.get(trait)
        return {} if names is None else {"destinations": [name for name in names if name in here]}


def _destination(kind: str, url: str) -> dict[str, Any]:
    if kind == "webhook":
        return {"type": kind, "url": f"{url}/hook", "body": "batch"}
    if kind == "segment":
        return {"type": kind, "write_key": "a-key", "url": url, "events": True}
    events = {} if kind == "hubspot" else {"events": True}
    return FAKES[kind].destination(kind, url, **events)


def _write_rows(path: Path, header: list[str], rows: Iterable[Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    os.utime(path, (1, 1))  # long ago: what didn't change is not read again
