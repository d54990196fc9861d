"""Let a person freeze and unfreeze audiences, and let members be missing for a moment."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .hold_rules import CRASHES, HoldRules


class DampingRules(HoldRules):
    """``frozen``: by key, the members at the freeze, which stay until the unfreeze."""

    def _until_done(self, *command: str, crash: tuple[str, int] | None = None) -> None:
        raise NotImplementedError

    def counted(self, key: str) -> frozenset[str]:
        """The users who are sent as members of an audience."""
        return self.frozen[key] if key in self.frozen else self.sent_members(key)

    @precondition(lambda self: not self.group)
    @rule(key=st.sampled_from(["vip", "buyers", "wave"]), crash=CRASHES)
    def an_audience_is_frozen(self, key: str, crash: tuple[str, int] | None) -> None:
        """Freeze an audience of which nothing is pending: pending calls would still be sent."""
        self.everything_is_sent()
        self._until_done("freeze", key, crash=crash)
        self.frozen.setdefault(key, self.counted(key))

    @precondition(lambda self: self.frozen)
    @rule(data=st.data(), crash=CRASHES)
    def an_audience_is_unfrozen(self, data: st.DataObject, crash: tuple[str, int] | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.frozen)))
        self._until_done("unfreeze", key, crash=crash)
        del self.frozen[key]

    @rule(crash=CRASHES, later_crash=CRASHES)
    def a_member_is_missing_for_a_moment(
        self, crash: tuple[str, int] | None, later_crash: tuple[str, int] | None
    ) -> None:
        """Nothing is sent: `buyers` stay for two runs. A killed run may count, as may its repeat."""
        self.everything_is_sent()
        whole = sorted(self.counted("buyers") - self.erased)
        if len(whole) < 3 or "buyers" in self.frozen:
            return
        before = self.messages()
        self._run_with_buyers("sync", whole[1:], crash)
        self.check()
        self._run_with_buyers("sync", self.members["buyers"], later_crash)
        assert self.messages() == before, "something was sent of a member who came back in time"
        self.check()

    def _run_with_buyers(self, command: str, members: Iterable[str], crash: tuple[str, int] | None) -> None:
        self.write_members("buyers", members)
        self._until_done(command, crash=crash)
