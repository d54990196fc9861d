"""Record the stages of a run, and trace them with OpenTelemetry, if it is installed and has a collector."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct, field

log = logging.getLogger("audience_sync")

#: Seconds that a run waits for the collector at its end, unless OpenTelemetry's own variable sets another time.
TIMEOUT_SECONDS = 2.0
#: The stage of each audience or entry of computed traits, whose number shows how far a run is.
LOAD = "load"
#: The stage of each destination. Several are in progress at once.
DELIVER = "deliver"
#: OpenTelemetry's own variables. One of them turns tracing on.
VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Stage(Struct):
    """A stage of a run. ``seconds``: how long it took; None while it is in progress.

    ``is_idle``: it found nothing to do, such as a source that has not changed.
    """

    name: str
    subject: str | None
    started_at: datetime
    seconds: float | None = None
    is_idle: bool = False

    def mark_idle(self) -> None:
        self.is_idle = True


class StageLog(Struct):
    """The stages of one run, in the order in which they began; threads may add some at the same time.

    ``entries``: the audiences and entries of computed traits to load; ``loaded``: those whose stage `load` has ended.
    """

    stages: list[Stage] = field(default_factory=list)
    entries: int = 0
    loaded: int = 0


class TraceContext(NamedTuple):
    """What a stage in another thread belongs to: the open span, and the log of the run."""

    span: Any
    log: StageLog | None


_LOG: ContextVar[StageLog | None] = ContextVar("stages", default=None)


def set_up() -> None:
    """Send spans from now on, over HTTP, if the environment names a collector."""
    if not any(os.environ.get(each) for each in VARIABLES):
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        log.warning(
            "tracing is on (%s) without OpenTelemetry. Install it: pip install 'audience-sync[otel]'",
            " or ".join(VARIABLES),
        )
        return
    provider = TracerProvider(resource=Resource.create({"service.name": "audience-sync"}))
    given = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") or os.environ.get("OTEL_EXPORTER_OTLP_TIMEOUT")
    exporter = OTLPSpanExporter(timeout=float(given) if given else TIMEOUT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


@contextmanager
def span(name: str, *, parent: Any = None, **attributes: str | int | float) -> Iterator[None]:
    """A context that is recorded as one span.

    ``parent``: the open span of another thread, if the span belongs to that. Attributes are counts, keys and names,
    never a user's id, property or secret.
    """
    if "opentelemetry.sdk.trace" not in sys.modules:
        yield
        return
    from opentelemetry import trace

    tracer = trace.get_tracer("audience_sync")
    found = {f"audience_sync.{key}": value for key, value in attributes.items()}
    with tracer.start_as_current_span(name, context=parent, attributes=found, record_exception=False):
        yield


def set_span_attributes(**attributes: str | int | float) -> None:
    """Add attributes to the open span."""
    if "opentelemetry.sdk.trace" in sys.modules:
        from opentelemetry import trace

        trace.get_current_span().set_attributes({f"audience_sync.{key}": each for key, each in attributes.items()})


def current_context() -> TraceContext:
    """The open span and the log, for the stages in another thread."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return TraceContext(None, _LOG.get())
    from opentelemetry.context import get_current

    return TraceContext(get_current(), _LOG.get())


@contextmanager
def stage(
    name: str, subject: str | None = None, *, parent: TraceContext | None = None, **attributes: str | int | float
) -> Iterator[Stage]:
    """A context that is one stage of a run: recorded in the run's log, if there is one, and as one span.

    ``subject``: the audience or destination. ``parent``: the ``current_context`` of another thread.
    """
    log = _LOG.get() if parent is None else parent.log
    mine, started, token = Stage(name, subject, datetime.now(UTC)), time.monotonic(), _LOG.set(log)
    if log is not None:
        log.stages.append(mine)
    named = {} if subject is None else {"subject": subject}
    try:
        with span(name, parent=parent and parent.span, **named, **attributes):
            yield mine
    finally:
        mine.seconds = round(time.monotonic() - started, 3)
        if log is not None:
            log.loaded += name == LOAD
        _LOG.reset(token)


@contextmanager
def logged_stages() -> Iterator[StageLog]:
    """A context whose stages are in the log that it returns."""
    log = StageLog()
    token = _LOG.set(log)
    try:
        yield log
    finally:
        _LOG.reset(token)


def current_stages() -> StageLog | None:
    """The log of the run or preview in progress; None outside of one."""
    return _LOG.get()


def expect_entries(count: int) -> None:
    """Add audiences or entries of computed traits to those that the run is to load."""
    if (log := _LOG.get()) is not None:
        log.entries += count
