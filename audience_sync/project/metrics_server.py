"""Serve metrics for Prometheus at the port of the config, which may change."""

from __future__ import annotations

from contextlib import ExitStack, closing
from typing import Self

from audience_sync.config.models import Settings
from audience_sync.store.connection.engine import Store


class MetricsServer:
    """A context in which the store's metrics are served."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._settings: Settings | None = None

    def serve(self, settings: Settings) -> None:
        """Serve as configured. Raises MetricsError if the port can't be opened, and then keeps the previous one."""
        before = self._settings
        try:
            self._answer(settings)
        except BaseException:
            if before is not None:
                self._answer(before)
            raise

    def _answer(self, settings: Settings) -> None:
        self._open.close()  # the new port may be the old one, at another host
        self._settings = None
        if settings.metrics.port is not None:
            from audience_sync.metrics.prometheus import serve_metrics

            server = serve_metrics(settings.metrics.host, settings.metrics.port, lambda: closing(Store(settings.store)))
            self._open.enter_context(server)
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
