"""Read pending calls from the workspace, as identify calls or encoded for a destination."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha1
from itertools import pairwise
from typing import Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from audience_sync.delivery.mapping import DestinationMapping
from audience_sync.delivery.mapping_sql import MOST_FORMER, mapped_calls
from audience_sync.delivery.send.encode import (
    CallDetails,
    CallTexts,
    EncodedCall,
    companion_units,
    encode,
    encode_missing,
    part_of,
)
from audience_sync.destinations.base import Destination
from audience_sync.destinations.messages.identify import split_traits
from audience_sync.errors import ArrowError, BrokenDestinationError
from audience_sync.model import ALIAS_KEY, AudienceEvent, IdentifyCall, RunId, UserId
from audience_sync.prefetch import in_order
from audience_sync.sql import Query, Relation, TableName, quote_literal
from audience_sync.workspace import Workspace

#: The error of the program's own SQL for a run that the store does not have.
NO_RUN_TIME = "there is no start time of run "
#: Errors of DuckDB that quote the query but no value.
QUERY_TEXT_ERRORS = ("ParserException", "BinderException", "CatalogException")
#: If a list has fewer calls than this, and earlier lists could be encoded, each failing call is refused by itself.
FEW_CALLS = 100

#: The rows of a part of the table: half of DuckDB's row group, which it reads as a whole. Each part needs a plan, and
#: memory for its bodies. The first has fewer, each later one twice as many, so that the first request goes early.
FIRST_ROWS, PART_ROWS, PART_BYTES = 7_680, 61_440, 16_000_000
#: The most rows of a part, as a share of all: up to three parts are in memory at a time.
PART_SHARE = 1 / 8
#: Rows whose sizes are added up to find the parts.
BLOCK_ROWS = 256

T = TypeVar("T")
#: The message id, the body, the user id, and the fields of a call without a body.
_Row = tuple[Any, ...]

#: The columns of a call, in the order of ``CallReader._call``.
CALL_COLUMNS = ("user_id", "traits", "message_id", "timestamp", "versions", "identifiers", "former", "repeated")

#: ``EncodedCall._make`` without a Python function call for each of a million rows.
_encoded_call: Callable[[Iterable[Any]], EncodedCall] = partial(tuple.__new__, EncodedCall)


class CallReader(Struct, frozen=True, kw_only=True):
    """Read the calls of a table of pending calls.

    ``times``: the start of each run (ISO 8601). ``event_start_runs``: by audience with events, the run of its
    subscription; its backfill has no events. ``nonces``: the random value of each run; older versions stored none.
    ``mapping``: what the destination is sent of a call; the calls read here have the properties under our keys.
    ``is_mapped``: the table has the columns of ``add_mapping_columns``. ``readers``: parts that are read at a time.
    """

    workspace: Workspace
    table: TableName
    installation: str
    destination: str
    times: Mapping[RunId, str]
    event_start_runs: Mapping[str, RunId] = field(default_factory=dict)
    nonces: Mapping[RunId, str] = field(default_factory=dict)
    mapping: DestinationMapping = field(default_factory=DestinationMapping)
    is_mapped: bool = False
    readers: int = 1

    def __iter__(self) -> Iterator[IdentifyCall]:
        """Yield the calls in the order of user ids."""
        for rows in self.workspace.stream(f"{self._sql} order by user_id"):
            yield from map(self._call, rows)

    def for_users(self, users: Collection[UserId]) -> dict[UserId, IdentifyCall]:
        """Return the calls of a few users."""
        if not users:
            return {}
        names = ", ".join(map(quote_literal, users))
        rows = self.workspace.stream(f"{self._sql} where user_id in ({names})")
        return {row[0]: self._call(row) for batch in rows for row in batch}

    def _call(self, row: Sequence[Any]) -> IdentifyCall:
        *fields, identifiers, former, repeated = row
        call = self.mapping.with_identifiers(IdentifyCall(*fields)._replace(identifiers=identifiers))
        if former is not None:
            call = call._replace(former=tuple(self._former(call, json.loads(former))))
        if not self.event_start_runs:
            return call
        return call._replace(events=tuple(self._events(call, () if repeated is None else json.loads(repeated))))

    def _former(self, call: IdentifyCall, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
        """Yield the former names of the call's properties, but not those that another of them has now."""
        names = {key: self.mapping.name_of(key) for key, _ in split_traits(call.traits_json)}
        return ((key, name) for key, name in pairs if key in names and name not in names.values())

    def _events(self, call: IdentifyCall, repeated: Collection[str]) -> Iterator[AudienceEvent]:
        """Yield the events of the changes that the call carries; ``repeated``: the keys that are only sent again."""
        for version in call.versions.split(","):
            key, _, text = version.rpartition("@")
            # A membership may have moved with the user to another id.
            moved = f"{ALIAS_KEY}@{text}" in call.versions.split(",")
            run = RunId(int(text))
            is_event = key in self.event_start_runs and run > self.event_start_runs[key]
            if is_event and not moved and key not in repeated:
                nonce = [self.nonces[run]] if run in self.nonces else []
                own = [] if call.identifiers == "{}" else [call.identifiers]
                change = "\0".join((self.installation, self.destination, call.user_id, version, *nonce, *own))
                message_id = sha1(change.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()[:32]
                at = self.times.get(run, call.timestamp)
                yield AudienceEvent(key, bool(call.traits[key]), message_id, at)

    def encoded(self, destination: Destination) -> Iterator[Sequence[EncodedCall]]:
        """Yield groups of encoded calls in the order of user ids.

        DuckDB encodes calls in a fraction of the time if it can (``encode_sql``): see docs/decisions/0005.

        Raises BrokenDestinationError if the destination's own code fails at a whole list that is not just a short rest.
        """
        own = destination.encode_sql()
        body = own or "null"
        if destination.has_alias:  # ``encode`` handles a call with previous ids
            body = f"case when not contains(versions, {quote_literal(ALIAS_KEY + '@')}) then {body} end"
        if self.event_start_runs:  # ``encode`` handles a call that may have events
            body = f"case when run_id <= {min(self.event_start_runs.values())} then {body} end"

        def encode_fields(fields: Sequence[Any]) -> EncodedCall:
            return encode(self._call(fields), destination, self.mapping)

        works = False
        for found in self._rows_in_python() if own is None else _check_encode_sql(self._encoded_by_duckdb(body)):
            lists: Iterable[Sequence[EncodedCall]] = (
                encode_missing(found, encode_fields)
                if isinstance(found, CallTexts)
                else [_from_rows(found, encode_fields)]
            )
            for calls in lists:
                if not (works and len(calls) < FEW_CALLS):
                    _raise_if_broken(calls)
                works = True
                yield calls

    def _rows_in_python(self) -> Iterator[list[_Row]]:
        columns = ", ".join(f'"{each}"' for each in CALL_COLUMNS)
        query = f"select message_id, null, user_id, [{columns}] from ({self._rows(self.table)}) order by user_id"
        return self.workspace.stream(query)

    def _encoded_by_duckdb(self, body: str) -> Iterator[CallTexts | list[_Row]]:
        """Yield the calls that DuckDB encodes. ``body``: SQL, see ``encode_sql``."""
        former = self._former_texts() if self.is_mapped else ()
        call = ", ".join({"user_id": "own_id", "traits": "own_traits"}.get(each, f'"{each}"') for each in CALL_COLUMNS)

        def read(part: Relation) -> tuple[Query, list[CallTexts] | None]:
            query = mapped_calls(self.mapping, Query(f"{self._rows(part)} order by user_id"), former)
            encoded = Query(f"select *, {body} as body from ({query})")
            # A call without a body has what ``encode`` needs, as JSON.
            call_json = f"case when body is null then cast(to_json([{call}]) as varchar) end"
            columns = f"select message_id, body || ',', own_id, {call_json} from ({encoded})"
            try:
                return encoded, [CallTexts(*batch) for batch in self.workspace.text_columns(columns)]
            except ArrowError:  # it is raised in this form, or it was too large for buffers
                return encoded, None

        for encoded, batches in in_order(read, self._parts(), self.readers):
            if batches is not None:
                yield from batches
                continue
            call_list = f"case when body is null then [{call}] end"
            yield from self.workspace.stream(f"select message_id, encode(body), own_id, {call_list} from ({encoded})")

    def _parts(self) -> Iterator[Relation]:
        """Yield the table in parts of neighbouring users, each small enough for memory. It should be sorted by user."""
        table, blocks = self.table, self._blocks(self.table)
        if any(first[2] >= second[1] for first, second in pairwise(blocks)):
            table = self.workspace.name("sorted")
            list(self.workspace.stream(f"create table {table} as from {self.table} order by user_id"))
            blocks = self._blocks(table)
        start = end = size = 0
        most = FIRST_ROWS
        largest = min(PART_ROWS, max(FIRST_ROWS, int(PART_SHARE * (blocks[-1][0] + 1)))) if blocks else 0
        for last, _, _, block_size in blocks:
            end, size = last + 1, size + block_size
            if end - start >= most or size >= PART_BYTES:
                yield Relation(f"(from {table} where rowid between {start} and {last})")
                start, size, most = end, 0, min(most * 2, largest)
        if end > start:
            yield Relation(f"(from {table} where rowid >= {start})")

    def _blocks(self, table: str) -> list[tuple[Any, ...]]:
        """Return the last row of each block of BLOCK_ROWS, its first and its last user, and the bytes of its traits."""
        query = (
            f"select max(rowid), min(user_id), max(user_id), sum(strlen(traits)) from {table} "
            f"group by rowid // {BLOCK_ROWS} order by max(rowid)"
        )
        return [row for rows in self.workspace.stream(query) for row in rows]

    def split(self, call: EncodedCall, destination: Destination) -> list[EncodedCall]:
        """Split a call in two: the other properties, then the largest one. Empty if it can't be split.

        Traits that have a meaning only together stay together.
        """
        whole = self.for_users([call.user_id])[call.user_id]
        found = {key: value for key, value in split_traits(whole.traits_json) if key not in call.left_out}
        units = companion_units([key for key in found if call.only is None or key in call.only], destination.companions)
        if len(units) < 2:
            return []
        largest = max(units, key=lambda unit: sum(len(found[key]) for key in unit))
        others = frozenset().union(*(unit for unit in units if unit != largest))
        return [
            EncodedCall(part.message_id, part.body, part.user_id, replace(part.details or CallDetails(), only=keys))
            for keys in (others, largest)
            for part in [encode(part_of(whole, keys), destination, self.mapping)]
        ]

    @property
    def _sql(self) -> Query:
        """A query for the fields of IdentifyCall."""
        columns = ", ".join(f'"{each}"' for each in CALL_COLUMNS)
        return Query(f"select {columns} from ({self._rows(self.table)})")

    def _former_texts(self) -> list[str]:
        """Return the different texts in the column ``former``, the most frequent first."""
        query = f"select former from {self.table} where former is not null group by former order by count(*) desc"
        rows = self.workspace.stream(f"{query} limit {MOST_FORMER}")  # as others read meanwhile
        return [text for found in rows for (text,) in found]

    def _rows(self, table: str) -> Query:
        """Return a query for the fields of IdentifyCall and the newest run. ``table``: ours, or a part of it.

        The message id is always the same for the same change of a user. ``versions`` has the run of every value, so
        that true -> false -> true gives three ids. The nonce of the newest run distinguishes two copies of a store that
        went separate ways. What the mapping adds or leaves out is a part of it, too. SHA-1, as in name-based UUIDs, is
        twice as fast as SHA-256; the id names a change and protects nothing.
        """
        change = (
            f"{quote_literal(self.installation)}, {quote_literal(self.destination)}, user_id, traits, versions, nonce"
        )
        change += ", nullif(identifiers, '{}')" if self.is_mapped else ""
        change += ", 'without null'" if self.mapping.skips_null else ""
        runs = ", ".join(f"({run}, {quote_literal(at)}, {self._nonce(run)})" for run, at in self.times.items())
        started = f"coalesce(started, error('{NO_RUN_TIME}' || run_id))"
        mapped = "identifiers, former, repeated"
        if not self.is_mapped:
            mapped = "'{}' as identifiers, null::varchar as former, null::varchar as repeated"
        return Query(
            f"select user_id, traits, substr(sha1(concat_ws(chr(0), {change})), 1, 32) as message_id, "
            f'{started} as "timestamp", versions, run_id, {mapped} from {table} '
            f"left join (values {runs}) t(run_id, started, nonce) using (run_id)"
        )

    def _nonce(self, run: RunId) -> str:
        return quote_literal(self.nonces[run]) if run in self.nonces else "null"


def _from_rows(rows: Sequence[_Row], encode_fields: Callable[[Sequence[Any]], EncodedCall]) -> list[EncodedCall]:
    return [_encoded_call(row) if row[1] is not None else encode_fields(row[-1]) for row in rows]


def _check_encode_sql(stream: Iterator[T]) -> Iterator[T]:
    """Yield the items. Raises BrokenDestinationError if DuckDB refuses the destination's SQL, or a value in it."""
    import duckdb

    while True:
        try:
            item = next(stream, None)
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
            if isinstance(error, duckdb.InvalidInputException) and NO_RUN_TIME in str(error):
                raise
            message = f"error in the destination's own code: encode_sql: {_error_summary(error)}"
            raise BrokenDestinationError(message) from error
        if item is None:
            return
        yield item


def _error_summary(error: Exception) -> str:
    """Return DuckDB's error without the query and without values, which an error may quote."""
    kind = type(error).__name__
    words = str(error).partition("\n")[0]
    return f"{kind}: {words}" if kind in QUERY_TEXT_ERRORS else kind


def _raise_if_broken(calls: Sequence[EncodedCall]) -> None:
    if all(call.details is not None and call.details.is_fault for call in calls):
        raise BrokenDestinationError(calls[0].unsendable)
