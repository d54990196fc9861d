"""docs/scheduling/dagster_job.py obeys the exit codes. In an environment with Dagster (see .ci/run)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

FILE = Path(__file__).parents[2] / "docs" / "scheduling" / "dagster_job.py"
#: By exit code: does the job succeed, and was it tried again?
EXPECTED = {
    0: (True, False),
    1: (True, False),
    2: (False, False),
    3: (False, True),
    4: (False, False),
    5: (True, False),
}


def main() -> int:
    spec = importlib.util.spec_from_file_location("dagster_job", FILE)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PAUSE = 0
    found = {}
    for code in EXPECTED:
        module.COMMAND = ["sh", "-c", f"exit {code}"]
        with DagsterInstance.ephemeral() as instance:
            ended = module.audience_sync.execute_in_process(raise_on_error=False, instance=instance)
        found[code] = (ended.success, any(each.event_type_value == "STEP_UP_FOR_RETRY" for each in ended.all_events))
    assert found == EXPECTED, found
    print(f"Dagster: {len(found)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
