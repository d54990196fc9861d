"""docs/scheduling/airflow_dag.py obeys the exit codes. In an environment with Airflow (see .ci/run)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

FILE = Path(__file__).parents[2] / "docs" / "scheduling" / "airflow_dag.py"
#: By exit code: what the task raises. Airflow repeats it after any error but the first of these.
EXPECTED = {
    0: None,
    1: None,
    2: AirflowFailException,
    3: RuntimeError,
    4: AirflowFailException,
    5: AirflowSkipException,
}


def main() -> int:
    spec = importlib.util.spec_from_file_location("airflow_dag", FILE)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag = module.audience_sync()
    assert (dag.catchup, dag.max_active_runs) == (False, 1)
    task = dag.get_task("sync")
    assert task.retries == 3
    found: dict[int, type[Exception] | None] = {}
    for code in EXPECTED:
        module.COMMAND = ["sh", "-c", f"exit {code}"]
        try:
            task.python_callable()
            found[code] = None
        except Exception as error:
            found[code] = type(error)
    assert found == EXPECTED, found
    print(f"Airflow: {len(found)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
