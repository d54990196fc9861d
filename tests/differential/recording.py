"""Keep what a version did as a small text: short output whole, the rest as counts and hashes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from .compare import Contract, contract_of, details
from .play import Observation

RECORDED = Path(__file__).with_name("recorded")
#: Together they have every feature and fault, and nearly every command.
SEEDS, DAYS = (43, 44, 79, 112, 204), 4
#: Lines of an output that are kept whole.
SHORT = 30
_USER = re.compile(r'"userId": "(\w*)"')


def recorded(seed: int) -> str:
    return (RECORDED / f"seed_{seed}.txt").read_text("utf-8")


def contract_in(recording: str) -> Contract:
    """The views of the version that was recorded, from the head of the recording."""
    head = recording.partition("\n\n")[0].splitlines()
    return {name: columns.split() for name, _, columns in (line.partition(": ") for line in head)}


def blocks(recording: str) -> list[str]:
    """One for each command."""
    return recording.rstrip("\n").split("\n\n# ")[1:]


def record(observations: Iterable[Observation]) -> str:
    """The whole recording: at its head the views with their columns, then a block for each command."""
    kept = list(observations)
    contract: dict[str, list[str]] = {}
    for each in kept:
        contract |= contract_of(each)
    head = "".join(f"{name}: {' '.join(columns)}\n" for name, columns in contract.items())
    return head + "".join(f"\n# {block}\n" for block in summaries(kept, contract))


def summaries(observations: Iterable[Observation], contract: Contract) -> Iterator[str]:
    """A block for each command. Views and snapshot files are in it if they have changed."""
    before: dict[str, list[str]] = {}
    for each in observations:
        found = details(each, contract)
        yield "\n".join(line for name, lines in found.items() for line in _summary(name, lines, before.get(name)))
        before = found


def _summary(name: str, lines: list[str], before: list[str] | None) -> Iterator[str]:
    if name == "command":
        yield lines[0]
    elif name == "stdout" and len(lines) <= SHORT and lines[:1] != ["{"]:
        yield "stdout:"
        yield from (f"  {line}".rstrip() for line in lines)
    elif name in ("stdout", "stderr"):
        yield f"{name}: {len(lines)} lines {_hash(lines)}" if lines else f"{name}: none"
    elif name.startswith("calls"):
        yield f"{name}: {len(lines)}"
        each = " ".join(f"{user}:{_hash([line])[:4]}" for line in lines for user in _USER.findall(line))
        yield from textwrap.wrap(each, 118, initial_indent="  ", subsequent_indent="  ")
    elif name == "exit code":
        yield f"exit code: {lines[0]}"
    elif lines != (before or []):
        yield f"{name}: {len(lines)} {_hash(lines)}"


def _hash(lines: list[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()[:12]
