"""Runs are traced where OpenTelemetry has an endpoint, and only there."""

from __future__ import annotations

from typing import Any

import pytest
from destinations.receiver import Receiver, Reply

from .conftest import Project

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")


def spans(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """The attributes of each span, and its parent's name, by its own."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found: list[Any] = []
    for request in receiver.requests:
        message = ExportTraceServiceRequest.FromString(_unpacked(request.body))
        found += [span for each in message.resource_spans for scope in each.scope_spans for span in scope.spans]
    names = {span.span_id: span.name for span in found}
    return {
        span.name: {
            "parent": names.get(span.parent_span_id),
            **{each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        }
        for span in found
    }


def _unpacked(body: bytes) -> bytes:
    import gzip

    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def test_a_run_and_its_parts_are_traced(vip: Project, receiver: Receiver) -> None:
    receiver.will_answer(Reply(headers={"Content-Type": "application/x-protobuf"}))
    vip.environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
    assert vip.run_afresh("sync").code == 0
    found = spans(receiver)
    assert found["run"] == {
        "parent": None,
        "audience_sync.run": 1,
        "audience_sync.command": "sync",
        "audience_sync.status": "succeeded",
    }
    within_load = dict.fromkeys(("load", "compare", "guard"), "load and compare")
    assert {name: each["parent"] for name, each in found.items() if name != "run"} == {
        **dict.fromkeys(("load and compare", "pending", "commit", "deliver", "record"), "run"),
        **within_load,
    }
    assert found["load"]["audience_sync.subject"] == "vip"
    assert found["deliver"]["audience_sync.destination"] == "log"
    assert found["deliver"]["audience_sync.delivered"] == 3
    assert not any(b"ada" in request.body for request in receiver.requests)


def test_a_collector_that_is_down_does_not_stop_a_run(vip: Project) -> None:
    vip.environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    assert vip.run_afresh("sync").code == 0
