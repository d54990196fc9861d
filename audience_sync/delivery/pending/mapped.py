"""Add to pending calls what the destination's mapping needs: identifiers, former names, values under a new id."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct

from audience_sync.delivery.mapping_sql import carries_sql
from audience_sync.delivery.pending.merge import JOIN_WIDTH
from audience_sync.delivery.state.pending_rule import PendingRule
from audience_sync.model import ALIAS_KEY, NO_RUN, PropertyKind, RunId
from audience_sync.sql import Condition, Expression, Query, Relation, TableName, quote_literal
from audience_sync.store.snapshots.chain import Chain, current_rows_query, trait_column
from audience_sync.workspace import Workspace

#: Whether a call ends a membership.
_HAS_EXIT = "contains(c.traits, '\":false')"


class MappedValues(Struct, frozen=True, kw_only=True):
    """The stored values that the mapping of one destination needs.

    ``identifiers``: the traits whose current values a call needs. ``user_id``: the trait by which the destination knows
    users; None is the user id. ``last``: a table (``user_id``, ``key``, ``value``) of the last values of identifiers
    that users with an exit have lost. ``lost``: a table of the newest lost values of users whose id changed.
    ``baselines``: the audiences whose first members were recorded without sending. ``former``: a table (``user_id``,
    ``key``, ``name``) of the names that refused and withheld values have still to end. ``names``: by key, the present
    names.
    """

    identifiers: Sequence[str] = ()
    user_id: str | None = None
    last: TableName | None = None
    lost: TableName | None = None
    baselines: Collection[str] = ()
    former: TableName | None = None
    names: Mapping[str, str] | None = None


class FormerNames(Struct, frozen=True):
    """The names that end in pending calls: those of each subscription, and those of single users."""

    of_rules: Relation | None
    of_users: TableName | None

    def pairs(self, users: str, reached: Expression, *, by_key: bool) -> Query | None:
        """Return a query with ``user_id``, ``key`` and ``name``.

        ``users``: a table with ``user_id``, and with ``key`` if only pairs of these keys are wanted (``by_key``).
        """
        using = "(user_id, key)" if by_key else "(user_id)"
        queries = []
        if self.of_rules:
            how = f"join {self.of_rules} using (key)" if by_key else f"cross join {self.of_rules}"
            queries.append(f"select user_id, key, name from {users} {how} where since_run > {reached}")
        if self.of_users:
            queries.append(f"select user_id, key, name from {self.of_users} semi join {users} using {using}")
        return Query(" union ".join(queries)) if queries else None


def former_names(rules: Sequence[PendingRule], stored: TableName | None) -> FormerNames:
    rows = ", ".join(
        f"({quote_literal(each.subscription.key)}, {each.subscription.since_run}, {quote_literal(name)})"
        for each in rules
        for name in each.subscription.form.former
    )
    return FormerNames(Relation(f"(values {rows}) former(key, since_run, name)") if rows else None, stored)


def users_with_new_id(log: TableName, user_id: str, reached: Expression, condition: Condition) -> Query:
    """Return a query for users whose id at the destination has changed since they were last sent something.

    It has ``user_id`` and ``run_id``, the run of the change. Nothing can be sent under a lost id.
    """
    return Query(
        f"select user_id, max(run_id) as run_id from {log} where key = {quote_literal(user_id)} "
        f"""and value is not null and value not in ('null', '""') and run_id > {reached} and {condition} """
        "group by user_id"
    )


def users_with_new_identifiers(log: TableName, identifiers: Sequence[str], reached: Expression) -> Query:
    """Return a query for users who have new values of identifiers: what was refused without them can be sent."""
    keys = ", ".join(map(quote_literal, identifiers))
    return Query(f"select user_id from {log} where key in ({keys}) and value is not null and run_id > {reached}")


def add_values_under_new_ids(
    workspace: Workspace,
    items: TableName,
    moved: Query,
    chains: Mapping[str, Chain],
    rules: Sequence[PendingRule],
    *,
    reached: Expression,
    mapped: MappedValues,
) -> TableName | None:
    """Add every value that a user with a new id has been sent under the former one. Return a table of what was added.

    Lost values are among them: somebody else may have had this id before. A value gets the run of the change, since it
    is sent again.
    """
    users = workspace.table("moved", moved)
    if not workspace.one(f"select count(*) from {users}")[0]:
        return None
    added = _new_table_of_added(workspace)
    own = [each for each in rules if each.subscription.key != ALIAS_KEY and each.subscription.key in chains]
    values = [_sent_values(chains[each.subscription.key], each, reached, mapped) for each in own]
    for start in range(0, len(values), JOIN_WIDTH):
        query = Query(" union all ".join(values[start : start + JOIN_WIDTH]))
        _insert_repeated(workspace, items, added, values=query, users=users)
    if mapped.lost and own:
        rows = [(quote_literal(each.subscription.key), *_runs_sent(each, mapped)) for each in own]
        terms = ", ".join(f"({key}, {since}, {after})" for key, since, after in rows)
        lost = f"select user_id, key, value, run_id from {mapped.lost} join (values {terms}) t(key, since, after) "
        query = Query(f"{lost} using (key) where since <= {reached} and run_id > after")
        _insert_repeated(workspace, items, added, values=query, users=users)
    return added


def _sent_values(chain: Chain, rule: PendingRule, reached: Expression, mapped: MappedValues) -> Query:
    """Return a query for the current values of a property that users have been sent."""
    key = rule.subscription.key
    since, after = _runs_sent(rule, mapped)
    return Query(f"from ({_current(chain, key)}) where {since} <= {reached} and run_id > {after}")


def _runs_sent(rule: PendingRule, mapped: MappedValues) -> tuple[RunId, RunId]:
    """Return the run since which the property is sent, and the run after which a value has to be made for that."""
    since = rule.subscription.since_run
    return since, since if rule.subscription.key in mapped.baselines else NO_RUN


def add_owners_of_former_names(
    workspace: Workspace,
    items: TableName,
    chains: Mapping[str, Chain],
    rules: Sequence[PendingRule],
    *,
    reached: Expression,
    mapped: MappedValues,
) -> TableName | None:
    """Add the value of a property whose present name another one has still to end. Return a table of what was added.

    Otherwise the end of the former name would overwrite it.
    """
    if mapped.former is None:
        return None
    owners = {name: key for key, name in (mapped.names or {}).items()}
    added = _new_table_of_added(workspace)
    for former, name in workspace.all(f"select distinct key, name from {mapped.former}"):
        owner = next((each for each in rules if each.subscription.key == owners.get(name)), None)
        if owner is None or owner.subscription.key in (former, ALIAS_KEY) or owner.subscription.key not in chains:
            continue
        key = owner.subscription.key
        users = workspace.table(
            "touched",
            f"select distinct user_id, 0 as run_id from {items} where key = {quote_literal(former)} "
            f"and {owner.subscription.since_run} <= {reached}",
        )
        values = Query(_current(chains[key], key))
        _insert_repeated(workspace, items, added, values=values, users=users)
    return added


def _new_table_of_added(workspace: Workspace) -> TableName:
    added = workspace.name("added")
    workspace.run(f"create table {added} (user_id varchar, key varchar)")
    return added


def _current(chain: Chain, key: str) -> str:
    value = "'true'" if chain.kind is PropertyKind.AUDIENCE else trait_column(key)
    return (
        f"select user_id, {quote_literal(key)} as key, {value} as value, run_id from ({current_rows_query(chain)}) "
        f"where {value} is not null"
    )


def _insert_repeated(
    workspace: Workspace, items: TableName, added: TableName, *, values: Query, users: TableName
) -> None:
    """Insert the ``values`` (``user_id``, ``key``, ``value``, ``run_id``) of these users that are not in ``items``."""
    found = workspace.table(
        "repeated",
        f"select v.user_id, v.key, v.value, greatest(v.run_id, u.run_id) as run_id from ({values}) v join {users} u "
        f"using (user_id) anti join {items} using (user_id, key)",
    )
    workspace.run(f"insert into {items} from {found}")
    workspace.run(f"insert into {added} select user_id, key from {found}")
    workspace.run(f"drop table {found}")


def add_mapping_columns(
    workspace: Workspace,
    calls: TableName,
    chains: Mapping[str, Chain],
    *,
    identifiers: Sequence[str],
    last: TableName | None,
    former: FormerNames,
    repeated: Sequence[TableName],
    reached: Expression,
) -> TableName | None:
    """Create a table of the calls with three more columns; None if nothing is to be added.

    ``identifiers``: a JSON object with the values that a user has and the call does not carry. An exit has the last
    values of a user without, under which the destination knows the user (``last``). ``former``: the names to
    end, as a JSON list of pairs (key, name). ``repeated``: a JSON list of the keys that are sent again under a new id.
    NULL without any.
    """
    pairs = former.pairs(calls, reached, by_key=False)
    found = [key for key in identifiers if key in chains and chains[key].kind is PropertyKind.COMPUTED_TRAIT]
    lacking = Query(f"select user_id from {calls} where not ({' and '.join(map(carries_sql, found)) or 'true'})")
    users = workspace.one(f"select count(*) from ({lacking})")[0] if found else 0
    if not (users or pairs or repeated or (last and found)):
        return None
    joins, members = _identifiers_sql(found, chains, lacking, users=users, last=last)
    columns = [f"'{{' || concat_ws(',', {', '.join(['null', *members])}) || '}}' as identifiers"]
    keys = " union all ".join(f"from {table}" for table in repeated)
    lists = {
        "former": pairs and f"select user_id, to_json(list([key, name] order by key, name)) as value from ({pairs})",
        "repeated": keys and f"select user_id, to_json(list(distinct key)) as value from ({keys})",
    }
    for name, query in lists.items():
        if query:
            joins.append(f"left join ({query} group by user_id) {name} on {name}.user_id = c.user_id")
        columns.append(f"{f'cast({name}.value as varchar)' if query else 'null::varchar'} as {name}")
    table = workspace.table(
        "calls", f"select c.*, {', '.join(columns)} from {calls} c {' '.join(joins)} order by c.user_id"
    )
    workspace.run(f"drop table {calls}")
    return table


def _identifiers_sql(
    keys: Sequence[str], chains: Mapping[str, Chain], lacking: Query, *, users: int, last: TableName | None
) -> tuple[list[str], list[str]]:
    """Return the joins with the values of identifiers, and for each of them the SQL of its member in a JSON object.

    ``lacking``: the ``users`` whose calls do not carry all of them. ``last``: see ``MappedValues``.
    """
    own_chains = list(dict.fromkeys(chains[key] for key in keys)) if users else []
    joins, members = list[str](), list[str]()
    for number, chain in enumerate(own_chains):
        values = ", ".join(trait_column(key) for key in keys if chains[key] == chain)
        rows = f"select user_id, {values} from ({current_rows_query(chain)}) where coalesce({values}) is not null"
        if users < chain.user_count / 2:
            rows = f"from ({rows}) semi join ({lacking}) using (user_id)"
        joins.append(f"left join ({rows}) i{number} on i{number}.user_id = c.user_id")
    for number, key in enumerate(keys if users or last else ()):
        name, carried = quote_literal(f'"{key}":'), carries_sql(key)
        value = f"i{own_chains.index(chains[key])}.{trait_column(key)}" if users else "null"
        member = f"case when not {carried} then {name} || {value} end"
        if last:
            table = f"l{number}"
            own = f"{table}.user_id = c.user_id and {table}.key = {quote_literal(key)}"
            joins.append(f"left join {last} {table} on {own}")
            losses = " or ".join(f"""contains(c.traits, '"{key}":{each}')""" for each in ("null", '""'))
            is_lost = f"""case when {carried} then {losses} else coalesce({value}, 'null') in ('null', '""') end"""
            member = f"coalesce(case when {_HAS_EXIT} and {is_lost} then {name} || {table}.value end, {member})"
        members.append(member)
    return joins, members
