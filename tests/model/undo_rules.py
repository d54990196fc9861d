"""Let a person undo a run."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .hold_rules import CRASHES
from .holdout_rules import HoldoutRules


class UndoRules(HoldoutRules):
    @precondition(lambda self: not (self.forgetful or self.group or self.new_ids or self.holdouts.get("vip")))
    @rule(data=st.data(), crash=CRASHES)
    def a_run_is_undone(self, data: st.DataObject, crash: tuple[str, int] | None) -> None:
        """Undo a run, except for later changes. The undone changes are held until a person approves them."""
        self.everything_is_sent()
        before = self.members["vip"] - self.erased
        if len(before) < 4 or "vip" in self.frozen:  # of fewer, two who leave would be held
            return
        everyone = st.sampled_from(self.names).filter(lambda user: user not in self.erased)
        changed = before ^ {data.draw(everyone), data.draw(st.sampled_from(sorted(before)))}
        undone = before ^ changed
        run = self._run_that_finds(changed)
        if data.draw(st.booleans(), label="it is changed back and again"):
            self._run_that_finds(before)
            self._run_that_finds(changed)
            undone = frozenset()
        self._until_done("undo", run, "--yes", crash=crash)
        self.members = {**self.members, "vip": changed ^ undone}
        self.check()
        sent = self.messages()
        again = self.run_command("sync")
        assert again.code == (4 if undone else 0), again
        assert self.messages() == sent, "something was sent of what was undone"
        self.write_members("vip", self.members["vip"])
        self.run_successfully("sync")
        self.check()

    def _run_that_finds(self, members: frozenset[str]) -> str:
        self.write_members("vip", members)
        self.run_successfully("sync")
        found = re.search(r"Run (\d+)", self.last_output)
        assert found, self.last_output
        return found[1]
