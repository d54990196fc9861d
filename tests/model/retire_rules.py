"""An audience that is retired now and then, or gets another key: the next one is of the same people."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from audience_sync.store.connection.engine import Store
from audience_sync.store.tables import properties

from .undo_rules import UndoRules

#: An order to retire the audience that is there for a while.
RETIRE = ("retire",)
#: An order to give it another key.
MOVE = ("sync", "--move-key")


class RetireRules(UndoRules):
    """``passing``: how many keys were closed; the members of the present one are `passing` of ``members``. ``moving``:
    the config has the next key already."""

    passing = 0
    moving = False

    @property
    def passing_key(self) -> str:
        return f"passing_{self.passing + self.moving}"

    def typed(self, order: tuple[str, ...]) -> tuple[str, ...]:
        key = self.passing_key
        if order == RETIRE:
            return "retire", key, "--yes"
        if order != MOVE:
            return super().typed(order)
        if not self._retired_at():
            return ("sync",)
        self.moving = True
        self.configure()
        return *MOVE, f"{key}={self.passing_key}"

    def settle_keys(self) -> None:
        """What was retired leaves the config. A command that was killed may have done it, or not."""
        self.moving = False
        self.passing += self._retired_at() not in ([], [None])
        self.configure()

    def _retired_at(self) -> list[Any]:
        """Of the present key; nothing where the store doesn't know it."""
        opened = Store(self.store)
        try:
            with opened.reading() as connection:
                mine = properties.c.key == self.passing_key
                return list(connection.execute(select(properties.c.retired_at).where(mine)).scalars())
        finally:
            opened.close()

    def passing_truth(self, user: str) -> dict[str, Any]:
        """Nobody is in one that was retired."""
        before = {f"passing_{number}": False for number in range(self.passing)}
        return {**before, self.passing_key: user in self.people("passing")}
