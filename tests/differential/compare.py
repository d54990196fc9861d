"""Compare what two versions did, command by command."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from difflib import unified_diff
from itertools import zip_longest

from .deliberate import as_before
from .play import Observation
from .store import Table

#: Lines of a difference that are shown.
SHOWN = 60
#: Columns of views, by view.
Contract = Mapping[str, list[str]]
Play = Generator[Observation, None, None]


@dataclass
class Compared:
    """How much two versions did alike, and the first difference in each seed."""

    seeds: int = 0
    commands: int = 0
    calls: int = 0
    differences: list[str] = field(default_factory=list)


def contract_of(observation: Observation) -> Contract:
    return {name: view.columns for name, view in observation.views.items()}


def details(observation: Observation, contract: Contract) -> dict[str, list[str]]:
    """What a command did, as named lists of lines. Views that the contract lacks are left out."""
    return {
        "command": [observation.command],
        "exit code": [str(observation.exit_code)],
        "stdout": observation.stdout.splitlines(),
        "stderr": observation.stderr.splitlines(),
        **{f"calls to {name}": calls for name, calls in observation.calls.items()},
        **{
            f"view {name}": _rows(observation.views[name], columns)
            for name, columns in contract.items()
            if name in observation.views
        },
        "snapshot files": observation.snapshots,
    }


def _rows(table: Table, columns: Iterable[str]) -> list[str]:
    places = [table.columns.index(column) if column in table.columns else None for column in columns]
    return sorted(
        " | ".join("(no such column)" if place is None else row[place] for place in places) for row in table.rows
    )


def differences(old: Observation, new: Observation) -> Iterator[str]:
    """Each difference as a text, in the words of the last release. Tables are compared if both have the same schema."""
    contract = contract_of(as_before(old))
    one, other = details(as_before(old), contract), details(as_before(new), contract)
    if old.revision == new.revision:
        for which, observation in ((one, old), (other, new)):
            which |= {f"table {name}": _rows(table, table.columns) for name, table in observation.tables.items()}
    for name in dict.fromkeys([*one, *other]):
        before, after = one.get(name, ["(missing)"]), other.get(name, ["(missing)"])
        if before != after:
            lines = list(unified_diff(before, after, "old", "new", n=1, lineterm=""))[2:]
            more = [f"... and {len(lines) - SHOWN} lines more"] if len(lines) > SHOWN else []
            yield "\n".join([f"{old.command}\n  {name}:", *(f"    {line}" for line in [*lines[:SHOWN], *more])])


def compare(old: Play, new: Play, compared: Compared) -> None:
    """Compare until the first command that differs: what comes after it follows from it. Ends both plays."""
    with closing(old), closing(new):
        _compare(old, new, compared)


def _compare(old: Play, new: Play, compared: Compared) -> None:
    compared.seeds += 1
    for before, after in zip_longest(old, new):
        if before is None or after is None:
            compared.differences.append(f"{(before or after).command}\n  only one version got so far")
            return
        if found := list(differences(before, after)):
            compared.differences.append("\n".join(found))
            return
        compared.commands += 1
        compared.calls += sum(map(len, before.calls.values()))
