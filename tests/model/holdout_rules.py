"""Let a person hold users out of audiences, and put audiences into a priority group."""

from __future__ import annotations

from hashlib import md5

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .alias_rules import AliasRules

SHARES = {None: 0.0, "30%": 0.3, "60%": 0.6}


class HoldoutRules(AliasRules):
    """Rules about holdouts and a priority group."""

    def sent_members(self, key: str) -> frozenset[str]:
        share = SHARES[self.holdouts.get(key)]
        left = self.people(key) - self._claimed(key)
        return frozenset(user for user in left if _hash(key, user) >= share)

    def _claimed(self, key: str) -> frozenset[str]:
        """The users of earlier audiences in the group, held-out ones included."""
        before = self.group[: self.group.index(key)] if key in self.group else ()
        return frozenset().union(*(self.people(each) - self._claimed(each) for each in before))

    @rule(key=st.sampled_from(["vip", "buyers", "wave"]), share=st.sampled_from(sorted(SHARES, key=str)))
    def a_share_is_held_out(self, key: str, share: str | None) -> None:
        self.holdouts = {**self.holdouts, key: share}
        self.configure()

    @precondition(lambda self: not self.frozen)
    @rule(group=st.sampled_from([(), ("vip", "buyers"), ("buyers", "vip")]))
    def audiences_are_a_group(self, group: tuple[str, ...]) -> None:
        self.group = group
        self.configure()


def _hash(key: str, user: str) -> float:
    """A number from 0 to 1, by the rule in docs/holdout.md."""
    return int(md5(f"{key}:{user}".encode()).hexdigest()[:8], 16) / 16**8
