"""The measurements of the service, in the format of Prometheus."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Stage = Literal["upload", "decode", "wait", "restore", "encode"]

BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)

MEMORY = 0.8
"""Weight of the earlier measurements in the mean time of a restoration."""


class Metrics:
    """Measurements of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "unblur_requests",
            "Requests for a restoration by HTTP status; 499: the client went away.",
            ["status"],
            registry=self._registry,
        )
        self._in_flight = Gauge(
            "unblur_requests_in_flight", "Requests for a restoration without an answer yet.", registry=self._registry
        )
        self._waiting = Gauge(
            "unblur_queue_length", "Requests that are uploading or waiting for the network.", registry=self._registry
        )
        self._stages = Histogram(
            "unblur_stage_seconds",
            "Seconds of a stage of a request.",
            ["stage"],
            buckets=BUCKETS_S,
            registry=self._registry,
        )
        self._megapixels = Counter("unblur_megapixels", "Megapixels that were restored.", registry=self._registry)
        self._ready = Gauge("unblur_ready", "1 if requests are accepted.", registry=self._registry)
        self.seconds_per_request: float | None = None
        """Mean time in seconds that the network takes for a request, recent ones first; None before the first."""

    def count(self, status: int) -> None:
        """Count an answered request."""
        self._requests.labels(str(status)).inc()

    @contextmanager
    def measure(self, stage: Stage) -> Iterator[None]:
        """Measure the time of a stage inside this context, unless an exception ends it."""
        began = time.perf_counter()
        yield
        self.note(stage, time.perf_counter() - began)

    def note(self, stage: Stage, seconds: float) -> None:
        """Record the time of a stage."""
        self._stages.labels(stage).observe(seconds)

    def note_restored(self, pixels: int, seconds: float) -> None:
        """Record a photograph that the network restored."""
        self.note("restore", seconds)
        self._megapixels.inc(pixels / 1e6)
        earlier = self.seconds_per_request
        self.seconds_per_request = seconds if earlier is None else MEMORY * earlier + (1 - MEMORY) * seconds

    def export(self, *, in_flight: int, waiting: int, is_ready: bool) -> bytes:
        """Return all measurements, and the present state of the queue, as text."""
        self._in_flight.set(in_flight)
        self._waiting.set(waiting)
        self._ready.set(is_ready)
        return generate_latest(self._registry)
