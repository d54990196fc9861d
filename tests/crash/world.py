"""A project whose audiences and traits change at random, and the truth that a receiver must come to believe."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

AUDIENCES = ("vip", "churn_risk")
CONFIG = """
store: {store}
sources: {{data: {{files: data}}}}
audiences:
  - {{name: VIP, source: data, file: vip.csv}}
  - {{name: Churn Risk, source: data, file: churn_risk.csv}}
computed_traits:
  - {{source: data, file: traits.csv, traits: [plan, revenue]}}
guard: {{max_removed: 100%, max_added: 100000%}}
destinations:
  receiver: {{type: segment, write_key: a-write-key, url: "{url}", batch_size: 50, concurrency: 3, give_up_after: 20s}}
  log: {{type: file, path: identify_calls.jsonl, batch_size: 100}}
"""


class World:
    """``users`` is how many there are; ``told`` is everyone who was ever in a snapshot that may have been told."""

    def __init__(self, folder: Path, chance: random.Random, *, users: int, store: str, url: str) -> None:
        self.folder = folder
        self._chance = chance
        self._users = [f"user-{number:05d}" for number in range(users)]
        self.members: dict[str, set[str]] = {
            key: {user for user in self._users if chance.random() < 0.4} for key in AUDIENCES
        }
        self.traits: dict[str, dict[str, Any]] = {user: self._values() for user in self._users}
        self.ever: dict[str, set[str]] = {key: set() for key in AUDIENCES}
        (folder / "data").mkdir(parents=True)
        (folder / "config.yaml").write_text(CONFIG.format(store=store, url=url), "utf-8")

    def _values(self) -> dict[str, Any]:
        return {"plan": self._chance.choice(["free", "gold", None]), "revenue": self._chance.randrange(5)}

    def change(self) -> None:
        """Some users enter, leave, or get other values."""
        for key in AUDIENCES:
            for user in self._chance.sample(self._users, len(self._users) // 20):
                self.members[key] ^= {user}
        for user in self._chance.sample(self._users, len(self._users) // 20):
            self.traits[user] = self._values()

    def write(self) -> None:
        """The snapshots, each put in place whole."""
        for key in AUDIENCES:
            self.ever[key] |= self.members[key]
            self._table(key, ["user_id"], ([user] for user in sorted(self.members[key])))
        rows = ([user, values["plan"] or "", values["revenue"]] for user, values in self.traits.items())
        self._table("traits", ["user_id", "plan", "revenue"], rows)

    def _table(self, name: str, header: list[str], rows: Any) -> None:
        part = self.folder / "data" / f"{name}.part"
        with part.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        part.replace(self.folder / "data" / f"{name}.csv")

    def start(self) -> subprocess.Popen[bytes]:
        """One run of the installed command."""
        command = [sys.executable, "-m", "audience_sync", "sync", "--json"]
        return subprocess.Popen(command, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self) -> dict[str, Any]:
        """A run that nobody kills; it must end with exit code 0."""
        process = self.start()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (process.returncode, out.decode(), err.decode())
        answer: dict[str, Any] = json.loads(out)
        return answer

    def differences(self, believed: dict[str, dict[str, Any]]) -> list[str]:
        """Where a receiver's belief differs from the truth."""
        found = []
        for user in self._users:
            known = believed.get(user, {})
            for key in AUDIENCES:
                is_member, told = user in self.members[key], known.get(key)
                if told is not is_member and not (told is None and not is_member):
                    found.append(f"{user}: {key} is {is_member}, believed {told}")
                if told is False and user not in self.ever[key]:
                    found.append(f"{user}: was told to have left {key} without ever having been in it")
            for key, value in self.traits[user].items():
                if known.get(key) != value:
                    found.append(f"{user}: {key} is {value!r}, believed {known.get(key)!r}")
        return found


def believed_by_file(path: Path) -> dict[str, dict[str, Any]]:
    """What a reader of the file destination believes; a line that was torn by a kill is not there yet."""
    users: dict[str, dict[str, Any]] = {}
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            message = json.loads(line)
            users.setdefault(message["userId"], {}).update(message["traits"])
    return users
