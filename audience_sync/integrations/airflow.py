"""Run a project as a task of Apache Airflow 3: in the task, or in `audience-sync serve` while the task is deferred."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseHook, BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.triggers.base import BaseTrigger, TriggerEvent

from audience_sync.errors import HeldError, RunError, RunInProgressError, WrongUseError
from audience_sync.integrations.outcome import counts_of, require_served_success, require_success
from audience_sync.integrations.serve_client import RefusedByServerError, ServeClient, ServeError

#: How often in a row a server may give no answer before the task fails, to be retried.
_FAILURES = 10


class AudienceSyncOperator(BaseOperator):  # type: ignore[misc]  # Airflow is not in the environment of mypy
    """Make one run, as ``audience-sync sync`` does. Its counts are the XCom: run, status, entered, left and more.

    ``config``: the config file on the worker. ``env``: a part of its ``environments``. ``audiences``: their keys;
    default: all. Computed traits are always synced. ``reason``: recorded with the run.

    With ``conn_id`` the run is made by ``audience-sync serve`` instead, and the task is deferred meanwhile: it needs no
    slot of a worker, and the triggerer asks for the run every ``poll_interval``. The connection, of the type HTTP, has
    the server's scheme (as its schema), host and port, and the token as its password.

    The task fails without a retry if a guard holds something or the config has a problem: a person has to act. It
    is skipped if another run is in progress. It fails, to be retried, if a source, the store or every destination
    failed. Calls that are pending or refused don't fail it: the next run continues with them.
    """

    template_fields: Sequence[str] = ("config", "env", "audiences", "conn_id", "reason")
    ui_color = "#e8f1ee"

    def __init__(
        self,
        *,
        config: str = "config.yaml",
        env: str | None = None,
        audiences: Sequence[str] | str | None = None,
        reason: str | None = None,
        conn_id: str | None = None,
        poll_interval: timedelta = timedelta(seconds=10),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.env, self.audiences, self.reason = config, env, audiences, reason
        self.conn_id, self.poll_interval = conn_id, poll_interval

    def execute(self, context: Mapping[str, Any]) -> dict[str, Any]:
        """Make the run, or start it at the server and defer."""
        if self.conn_id is None:
            return self._run(context)
        instance = context["ti"]
        # A retry asks for a run of its own, a task that Airflow started twice for the same one.
        key = f"{instance.dag_id}/{instance.task_id}/{instance.run_id}/{instance.map_index}/{instance.try_number}"
        key = quote(key, safe="/:+")  # a header is ASCII, and the name of a Dag need not be
        keys = [self.audiences] if isinstance(self.audiences, str) else self.audiences
        with _for_airflow(context):
            run = _client(self.conn_id).start(keys, reason=self.reason, key=key[-255:])
        self.log.info("run %d has started at %s", run, self.conn_id)
        trigger = RunTrigger(conn_id=self.conn_id, run=run, poll_seconds=self.poll_interval.total_seconds())
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Mapping[str, Any], event: Mapping[str, Any]) -> dict[str, Any]:
        """Continue after the server has ended the run. ``event``: the run, or why the server does not answer."""
        if "error" in event:
            raise ServeError(event["error"])
        counts = counts_of(event["run"])
        with _for_airflow(context, counts):
            require_served_success(event["run"], self.log.warning)
        return counts

    def _run(self, context: Mapping[str, Any]) -> dict[str, Any]:
        from audience_sync import Project

        self._cancelled = threading.Event()
        with _for_airflow(context), Project.open(self.config, env=self.env) as project:
            run = project.sync(self.audiences, reason=self.reason, cancelled=self._cancelled)
        counts = counts_of(run.to_dict())
        with _for_airflow(context, counts):
            require_success(run, self.log.warning)
        return counts

    def on_kill(self) -> None:
        """Cancel a run of this process: its answers are recorded, and the next run sends the rest."""
        if cancelled := getattr(self, "_cancelled", None):
            cancelled.set()


@contextmanager
def _for_airflow(context: Mapping[str, Any], counts: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Raise what Airflow handles as an error asks for. The counts of a run that failed or is held stay as XCom."""
    try:
        yield
    except RunInProgressError as error:
        raise AirflowSkipException(str(error)) from None
    except WrongUseError as error:
        raise AirflowFailException(str(error)) from None
    except RunError as error:
        context["ti"].xcom_push(key="return_value", value=counts)
        if isinstance(error, HeldError):
            raise AirflowFailException(str(error)) from None
        raise


def _client(conn_id: str) -> ServeClient:
    connection = BaseHook.get_connection(conn_id)
    port = f":{connection.port}" if connection.port else ""
    return ServeClient(f"{connection.schema or 'http'}://{connection.host}{port}", connection.password)


class RunTrigger(BaseTrigger):  # type: ignore[misc]
    """Wait in the triggerer until a run of ``audience-sync serve`` has ended."""

    def __init__(self, *, conn_id: str, run: int, poll_seconds: float) -> None:
        super().__init__()
        self.conn_id, self.run_number, self.poll_seconds = conn_id, run, poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        arguments = {"conn_id": self.conn_id, "run": self.run_number, "poll_seconds": self.poll_seconds}
        return f"{type(self).__module__}.{type(self).__qualname__}", arguments

    async def on_kill(self) -> None:
        """Cancel the run when a person kills the task: its answers are recorded, and the next run sends the rest."""
        client = await asyncio.to_thread(_client, self.conn_id)
        await asyncio.to_thread(client.cancel, self.run_number)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event: the run, or the error that ends the wait. A server may restart meanwhile."""
        client, failures = await asyncio.to_thread(_client, self.conn_id), 0
        while True:
            try:
                run = await asyncio.to_thread(client.ended_run, self.run_number)
            except ServeError as error:
                failures += 1
                if failures == _FAILURES:
                    yield TriggerEvent({"error": str(error)})
                    return
            except RefusedByServerError as error:
                yield TriggerEvent({"error": str(error)})
                return
            else:
                failures = 0
                if run is not None:
                    yield TriggerEvent({"run": run})
                    return
            await asyncio.sleep(self.poll_seconds)
