"""Keep what was measured, one file a case, so that cases are measured one by one and the page is made of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, Summary

#: One run: whose, at which step.
Run = tuple[str, str, Measured]


class Results:
    """The folder of results. A case has facts (when, where, the load) and runs by contender and step."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cases: dict[str, dict[str, Any]] = {}

    def _document(self, case: str) -> dict[str, Any]:
        if case not in self._cases:
            file = self._folder / f"{case}.json"
            self._cases[case] = (
                json.loads(file.read_text()) if file.exists() else {"facts": {}, "rounds": 0, "runs": {}}
            )
        return self._cases[case]

    def forget(self, case: str) -> None:
        """As if the case had not been measured. Its file stays until the next round is added."""
        self.start(case, {})

    def start(self, case: str, facts: dict[str, Any]) -> None:
        """Forget what was measured of the case before."""
        self._cases[case] = {"facts": facts, "rounds": 0, "runs": {}}

    def add_round(self, case: str, runs: Iterable[Run]) -> None:
        document = self._document(case)
        for who, step, measured in runs:
            document["runs"].setdefault(who, {}).setdefault(step, []).append(measured.as_json())
        document["rounds"] += 1
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / f"{case}.json").write_text(json.dumps(document, indent=1))

    def facts(self, case: str) -> dict[str, Any]:
        """Empty if the case was not measured."""
        found: dict[str, Any] = self._document(case)["facts"]
        return found

    def rounds(self, case: str) -> int:
        return int(self._document(case)["rounds"])

    def runs(self, case: str, who: str, step: str) -> Iterator[Measured]:
        """In the order of the rounds."""
        for run in self._document(case)["runs"].get(who, {}).get(step, ()):
            yield Measured(**run)

    def values(self, case: str, who: str, step: str, of: str = "wall") -> list[float]:
        """``of``: a field of a measurement, one of its amounts, or a number of its command's own answer."""
        found = [_value(run, of) for run in self.runs(case, who, step)]
        return [value for value in found if value is not None]

    def median(self, case: str, who: str, step: str, of: str = "wall") -> float | None:
        """None if it was not measured."""
        values = self.values(case, who, step, of)
        return Summary.of(values).median if values else None


def _value(run: Measured, of: str) -> float | None:
    value: float | None = getattr(run, of, None)
    return value if value is not None else run.amounts.get(of, run.answer.get(of))
