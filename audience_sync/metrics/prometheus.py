"""Write the metrics in Prometheus' format to a file for node_exporter, or serve them over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    generate_latest,
    start_http_server,
    write_to_textfile,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from audience_sync.config.validate.own_output import contains_other_than_metrics
from audience_sync.errors import AudienceSyncError, MetricsError
from audience_sync.metrics.collect import METRICS
from audience_sync.store.connection.engine import Store
from audience_sync.version import __version__

PREFIX = "audience_sync_"
STORE_UP = f"{PREFIX}store_up", "1 where the store can be read."

CONTENT_TYPE = CONTENT_TYPE_LATEST

OpenStore = Callable[[], AbstractContextManager[Store]]


class _StoreCollector(Collector):
    def __init__(self, opened: OpenStore) -> None:
        self._open_store = opened

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("audience_sync", "The program.", {"version": __version__})
        try:
            with self._open_store() as store, store.reading() as connection:
                found = [(metric, list(metric.samples(connection))) for metric in METRICS]
        except AudienceSyncError:
            yield GaugeMetricFamily(*STORE_UP, 0.0)
            return
        yield GaugeMetricFamily(*STORE_UP, 1.0)
        for metric, samples in found:
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(f"{PREFIX}{metric.name}", metric.meaning, labels=metric.labels)
            for labels, value in samples:
                family.add_metric(labels, value)
            yield family


def _registry(opened: OpenStore) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_StoreCollector(opened))
    return registry


def metrics_text(opened: OpenStore) -> bytes:
    """The metrics, in the form that ``CONTENT_TYPE`` names."""
    return generate_latest(_registry(opened))


def write_metrics_file(path: Path, opened: OpenStore) -> None:
    """Replace a file in one step by the metrics, readable for other users such as node_exporter's.

    A link stays a link; a device is written to, not replaced. Raises MetricsError if that fails.
    """
    registry, file = _registry(opened), Path(os.path.realpath(path))
    try:
        if contains_other_than_metrics(file):
            raise MetricsError(f"the metrics were not written to {path}: it holds something else. Name another file")
        if file.exists() and not file.is_file():
            _write_to_device(file, generate_latest(registry))
        else:
            write_to_textfile(str(file), registry)
            file.chmod(0o644)
    except OSError as error:
        raise MetricsError(f"the metrics can't be written to {path}: {error.strerror}") from None


def _write_to_device(file: Path, text: bytes) -> None:
    """A pipe without a reader raises OSError at once."""
    with open(os.open(file, os.O_WRONLY | os.O_NONBLOCK), "wb") as out:
        out.write(text)


@contextmanager
def serve_metrics(host: str, port: int, opened: OpenStore) -> Iterator[None]:
    """Serve ``/metrics`` within the context. Raises MetricsError if the port is not available."""
    try:
        server, thread = start_http_server(port, addr=host, registry=_registry(opened))
    except OSError as error:
        raise MetricsError(f"`metrics` can't be served at {host}:{port}: {error.strerror}") from None
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
