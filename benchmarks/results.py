"""What was measured before? Results in a JSON file, so that cases can be run one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured, Summary
from benchmarks.rounds import Result

Key = tuple[str, str, str]


class Results:
    def __init__(self, file: Path) -> None:
        self._file = file
        document = json.loads(file.read_text()) if file.exists() else {"results": [], "facts": {}}
        self.facts: dict[str, Any] = document["facts"]
        self._results = {
            (case, who, step): Result(case, who, step, tuple(Measured(**run) for run in each["runs"]))
            for each in document["results"]
            for case, who, step in [each["key"]]
        }

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results.values())

    def add(self, results: list[Result]) -> None:
        """In the place of what was known of the same."""
        self._results.update({result.key: result for result in results})
        self.save()

    def save(self) -> None:
        results = [{"key": each.key, "runs": [run.as_json() for run in each.runs]} for each in self._results.values()]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps({"facts": self.facts, "results": results}, indent=1))

    def runs(self, case: str, contender: str, step: str) -> tuple[Measured, ...]:
        found = self._results.get((case, contender, step))
        return found.runs if found else ()

    def median(self, case: str, contender: str, step: str, of: str = "wall") -> float | None:
        """``of``: a field of a measurement, or of its command's own answer; None where it wasn't measured."""
        values = [getattr(run, of, run.answer.get(of)) for run in self.runs(case, contender, step)]
        known = [value for value in values if value is not None]
        return Summary.of(known).median if known else None
