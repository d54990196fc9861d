"""Trace runs with OpenTelemetry, if it is installed and the environment names a collector."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

log = logging.getLogger("audience_sync")

#: Seconds that a run waits for the collector at its end, unless OpenTelemetry's own variable sets another time.
TIMEOUT_SECONDS = 2.0
#: OpenTelemetry's own variables. One of them turns tracing on.
VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


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

    ``parent``: the ``current_span_context`` of another thread, if the span belongs to that. Attributes are counts,
    keys and names, never a user's id, property or secret.
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


def current_span_context() -> Any:
    """The open span, as the parent of spans in another thread."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        return None
    from opentelemetry.context import get_current

    return get_current()
