"""Retire an audience now and then, or give it another key; the next one has the same members."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import properties

from .undo_rules import UndoRules

#: Retire the passing audience.
RETIRE = ("retire",)
#: Give it another key.
MOVE = ("sync", "--move-key")


class RetireRules(UndoRules):
    """``passing``: the number of closed keys; ``members`` has those of the present one under `passing`.

    ``moving``: the config already has the next key.
    """

    passing = 0
    moving = False

    @property
    def passing_key(self) -> str:
        return f"passing_{self.passing + self.moving}"

    def resolve_command(self, command: tuple[str, ...]) -> tuple[str, ...]:
        key = self.passing_key
        if command == RETIRE:
            return "retire", key, "--yes"
        if command != MOVE:
            return super().resolve_command(command)
        if not self._retired_at():
            return ("sync",)
        self.moving = True
        self.configure()
        return *MOVE, f"{key}={self.passing_key}"

    def settle_keys(self) -> None:
        """Remove a retired key from the config. A killed command may or may not have retired it."""
        self.moving = False
        self.passing += self._retired_at() not in ([], [None])
        self.configure()

    def _retired_at(self) -> list[Any]:
        """When the present key was retired; empty if the store does not have it."""
        opened = Store(self.store)
        try:
            with opened.reading() as connection:
                mine = properties.c.key == self.passing_key
                return list(connection.execute(select(properties.c.retired_at).where(mine)).scalars())
        finally:
            opened.close()

    def passing_truth(self, user: str) -> dict[str, Any]:
        """The memberships of all passing keys: a retired one has no members."""
        before = {f"passing_{number}": False for number in range(self.passing)}
        return {**before, self.passing_key: user in self.people("passing")}
