"""Query the members of several audiences at once, from their chains."""

from __future__ import annotations

from collections.abc import Sequence

from audience_sync.store.snapshots.chain import BASE, DELTA, Chain, SnapshotFile
from audience_sync.workspace import quote_literal


def members_query(chains: Sequence[Chain]) -> str:
    """A query for the current members: ``place`` (the index of the chain, from 0) and ``user_id``."""
    base, deltas = _rows_query(chains, BASE), _rows_query(chains, DELTA)
    if deltas is None:
        return f"select place, user_id from ({base})"
    newest = f"{deltas} qualify row_number() over (partition by place, user_id order by number desc) = 1"
    older = f"select place, user_id from ({base}) anti join newest using (place, user_id) union all " if base else ""
    return f"with newest as materialized ({newest}) {older}select place, user_id from newest where present"


def _rows_query(chains: Sequence[Chain], kind: str) -> str | None:
    """A query for the rows of all files of a kind; ``number`` is the position of the file in its chain."""
    found = [(place, number, each) for place, number, each in _numbered_files(chains) if each.kind == kind]
    if not found:
        return None
    paths = ", ".join(quote_literal(str(each.path)) for _, _, each in found)
    known = ", ".join(f"({quote_literal(str(each.path))}, {place}, {number})" for place, number, each in found)
    return (
        f"select place, number, user_id, present from read_parquet([{paths}], filename = true) "
        f"join (values {known}) files(filename, place, number) using (filename)"
    )


def _numbered_files(chains: Sequence[Chain]) -> list[tuple[int, int, SnapshotFile]]:
    return [(place, number, each) for place, chain in enumerate(chains) for number, each in enumerate(chain.files)]
