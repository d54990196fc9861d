"""Users who get another id: what is sent them goes on under the new one."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .damping_rules import DampingRules

#: Ids that nobody had before.
NEWCOMERS = ("new-1", "new-2")


class AliasRules(DampingRules):
    """``new_ids``: by previous id. Users who are not to be sent have no other."""

    suppressed: set[str]
    names: tuple[str, ...]

    def people(self, key: str) -> frozenset[str]:
        """Whom the source has, under the ids that they have now."""
        return frozenset(self.new_ids.get(user, user) for user in self.members[key])

    def city_of(self, user: str) -> str | None:
        """A row of one's own goes before one under a previous id."""
        if user in self.new_ids:
            return None
        previous = [self.cities.get(old) for old, new in self.new_ids.items() if new == user]
        return self.cities.get(user, *previous)

    def has_several_ids(self, user: str) -> bool:
        return user in {*self.new_ids, *self.new_ids.values()}

    @precondition(lambda self: not self.frozen and not any(each.knows_by_email() for each in self.mapped.values()))
    @rule(data=st.data())
    def a_user_gets_another_id(self, data: st.DataObject) -> None:
        """Most have one, and none more than one previous one."""
        free = [user for user in self.names if user not in self.suppressed and not self.has_several_ids(user)]
        if len(free) < 4:
            return
        newcomers = [user for user in NEWCOMERS if not self.has_several_ids(user)]
        previous = data.draw(st.sampled_from(free), label="previous id")
        new = data.draw(st.sampled_from([user for user in free + 3 * newcomers if user != previous]), label="new id")
        self.new_ids = {**self.new_ids, previous: new}
        if data.draw(st.booleans(), label="and leaves"):
            self.members = {**self.members, "vip": self.members["vip"] - {previous, new}}
        self.write()
