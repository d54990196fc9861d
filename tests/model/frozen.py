"""A person who freezes audiences, and takes them up again."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .decisions import CRASHES, Person


class Freezing(Person):
    """``frozen``: by key, the members that are told until a person says otherwise, whatever the source says."""

    def _until_done(self, *order: str, crash: tuple[str, int] | None = None) -> None:
        raise NotImplementedError

    def counted(self, key: str) -> frozenset[str]:
        """Who is told to be in an audience."""
        return self.frozen.get(key, self.members[key])

    @rule(key=st.sampled_from(["vip", "buyers", "wave"]), crash=CRASHES)
    def an_audience_is_frozen(self, key: str, crash: tuple[str, int] | None) -> None:
        """It is told whole before: what was owed then would still be sent."""
        self.all_is_told()
        self._until_done("freeze", key, crash=crash)
        self.frozen.setdefault(key, self.members[key])

    @precondition(lambda self: self.frozen)
    @rule(data=st.data(), crash=CRASHES)
    def an_audience_is_taken_up_again(self, data: st.DataObject, crash: tuple[str, int] | None) -> None:
        key = data.draw(st.sampled_from(sorted(self.frozen)))
        self._until_done("unfreeze", key, crash=crash)
        del self.frozen[key]
