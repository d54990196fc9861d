"""Let users get another id: everything is then sent under the new one."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .damping_rules import DampingRules

#: Ids that no user had before.
NEWCOMERS = ("new-1", "new-2")


class AliasRules(DampingRules):
    """``new_ids``: by previous id. Suppressed users get no other id."""

    suppressed: set[str]
    names: tuple[str, ...]

    def people(self, key: str) -> frozenset[str]:
        """The users of the source, under their current ids."""
        return frozenset(self.new_ids.get(user, user) for user in self.members[key])

    def city_of(self, user: str) -> str | None:
        """The user's city. A row under the current id wins over one under a previous id."""
        if user in self.new_ids:
            return None
        previous = [self.cities.get(old) for old, new in self.new_ids.items() if new == user]
        return self.cities.get(user, *previous)

    def has_several_ids(self, user: str) -> bool:
        return user in {*self.new_ids, *self.new_ids.values()}

    @precondition(lambda self: not self.frozen and not any(each.knows_by_email() for each in self.mapped.values()))
    @rule(data=st.data())
    def a_user_gets_another_id(self, data: st.DataObject) -> None:
        """Merge a user into another id. No user has more than one previous id."""
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
