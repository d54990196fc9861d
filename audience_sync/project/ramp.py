"""Seed an audience share by share, until a step has too many refused calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from msgspec import Struct

from audience_sync.config.read.units import parse_share
from audience_sync.errors import WrongValueError
from audience_sync.model import RunStatus
from audience_sync.project.access import Access
from audience_sync.project.arguments import several
from audience_sync.project.values import Run
from audience_sync.sync.operations.ramp import refused_of, stop_reason

#: The largest share of refused calls among the members that were reached, unless another one is given (0 to 1).
MAX_REFUSED = 0.05
_RISING = "write rising shares of the members, such as 1%,10%,100%"


class RampStep(Struct, frozen=True, kw_only=True):
    """One run of a ramp, up to ``share`` (0 to 1) of the members. ``stopped``: why it is the last one."""

    share: float
    run: Run
    stopped: str | None = None

    @property
    def exit_code(self) -> int:
        """That of the command after this step: 0 if its share was sent, even if that is not all members."""
        if self.stopped:
            return max(self.run.exit_code, 1)
        troubled = any(each.error or each.still_refused for each in self.run.report.destinations)
        return 0 if self.run.status is RunStatus.PARTIAL and not troubled else self.run.exit_code


def ramp_steps(
    access: Access, key: str, shares: Sequence[float], most_refused: float, seed: Callable[[float], Run]
) -> Iterator[RampStep]:
    """Send to these shares of the members, one after another. ``seed`` makes a run up to such a share."""
    for share in shares:
        run = seed(share)
        with access.reading() as store, store.reading() as connection:
            refused = refused_of(connection, key)
        step = RampStep(share=share, run=run, stopped=stop_reason(run.report, key, refused, most_refused))
        yield step
        if step.stopped:
            return


def parsed_shares(shares: str | Iterable[str | float]) -> Sequence[float]:
    """The shares of a ramp. Raises WrongValueError unless they rise, from above 0 to at most 1."""
    given = shares.split(",") if isinstance(shares, str) else several("shares", shares)
    found = [_number("shares", each) for each in given]
    if not found or sorted(set(found)) != found or not 0 < found[0] <= found[-1] <= 1:
        raise WrongValueError("shares", _RISING)
    return found


def parsed_share(argument: str, share: str | float) -> float:
    """A share, 0 to 1 or such as ``5%``. Raises WrongValueError."""
    found = _number(argument, share)
    if not 0 <= found <= 1:
        raise WrongValueError(argument, "a share is from 0 to 1, such as 0.05 or 5%")
    return found


def _number(argument: str, share: str | float) -> float:
    try:
        return parse_share(share.strip()) if isinstance(share, str) else float(share)
    except ValueError as error:
        raise WrongValueError(argument, str(error)) from None
    except TypeError:
        raise WrongValueError(argument, f"{share!r} is not a share, such as 0.05 or 5%") from None
