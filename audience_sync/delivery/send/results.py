"""Define the result of a batch, with its refused calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from audience_sync.delivery.send.batches import Batch
from audience_sync.delivery.send.encode import EncodedCall


@dataclass(frozen=True, slots=True)
class RefusedCall:
    """A call that the destination refuses for good. ``properties``: the refused ones, if the rest was sent."""

    call: EncodedCall
    reason: str
    http_status: int | None
    properties: frozenset[str] | None = None


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """The outcome of a batch: each call is delivered, refused or withheld (its user was suppressed meanwhile).

    ``answered`` is false if a call has no final answer. ``final_responses`` counts requests with a final answer.
    ``suspects`` are calls that failed repeatedly before the server accepted any other call of the batch.
    """

    batch: Batch
    answered: bool = True
    refusals: list[RefusedCall] = field(default_factory=list)
    suspects: list[RefusedCall] = field(default_factory=list)
    withheld: list[EncodedCall] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    final_responses: int = 0
    http_status: int | None = None
    reason: str = ""
    started: float = 0.0

    @property
    def delivered(self) -> int:
        return len(self.batch.calls) - len(self.refusals) - len(self.withheld)


def partial_refusal_reason(reason: str, keys: Iterable[str]) -> str:
    return f"{reason.removesuffix('.')}. The rest was sent, without: {', '.join(sorted(keys))}"
